#include "words.h"

#include "../base/mem.h"

/* Lone words have no value; the names of options are prefixes of theirs. */
static void
word(struct words *w, const char *text)
{
	w->text(w, "", text);
}

static void
option(struct words *w, const char *name, const struct value *v)
{
	if (v != NULL)
		w->value(w, mem_printf(w->ctx, "--%s=", name), v);
}

static void
origin(struct words *w, const struct origin *o, bool context_default)
{
	switch (o->kind) {
	case ORIGIN_CONTEXT:
		break;
	case ORIGIN_STAGE:
		w->text(w, "--from=", o->stage->id);
		break;
	case ORIGIN_IMAGE:
		option(w, "from-image", o->image);
		break;
	case ORIGIN_SCRATCH:
		if (context_default)
			word(w, "--from-scratch");
		break;
	}
}

static void
from(struct words *w, const struct step *st)
{
	word(w, "from");
	switch (st->base.kind) {
	case ORIGIN_STAGE:
		word(w, "--stage");
		w->text(w, "", st->base.stage->id);
		break;
	case ORIGIN_IMAGE:
		option(w, "platform", st->base.platform);
		for (size_t i = 0; i < st->ntriggers; i++)
			w->text(w, "--trigger=", st->triggers[i]);
		word(w, "--");
		w->value(w, "", st->base.image);
		break;
	case ORIGIN_CONTEXT:
	case ORIGIN_SCRATCH:
		word(w, "--scratch");
		word(w, "scratch");
		break;
	}
}

static void
arg(struct words *w, const struct step *st)
{
	word(w, "arg");
	word(w, "--");
	for (size_t i = 0; i < st->nassigns; i++)
		w->assign(w, st->assigns[i]);
}

static void
set(struct words *w, const struct step *st)
{
	word(w, "set");
	for (size_t i = 0; i < st->nsettings; i++) {
		const struct setting *o = &st->settings[i];

		option(w, o->same ? "and" : o->name, o->value != NULL ? o->value : value_literal(w->ctx, ""));
	}
}

static void
copy(struct words *w, const struct step *st)
{
	word(w, st->kind == STEP_ADD ? "add" : "copy");
	if (st->join)
		word(w, "--join");
	origin(w, &st->from, true);
	option(w, "chown", st->chown);
	option(w, "chmod", st->chmod);
	option(w, "checksum", st->checksum);
	if (st->link)
		word(w, "--link");
	if (st->parents)
		word(w, "--parents");
	if (st->keep_git_dir)
		word(w, "--keep-git-dir");
	if (st->unpack >= 0)
		word(w, st->unpack != 0 ? "--unpack=true" : "--unpack=false");
	for (size_t i = 0; i < st->nexcludes; i++)
		w->text(w, "--exclude=", st->excludes[i]);
	for (size_t i = 0; i < st->nfiles; i++) {
		w->text(w, "--heredoc=", st->files[i].name);
		option(w, "data", st->files[i].content);
	}
	word(w, "--");
	for (size_t i = 0; i < st->npaths; i++)
		w->value(w, "", st->paths[i]);
}

static void
mount(struct words *w, const struct mount *m)
{
	static const char *const kinds[] = { [MOUNT_BIND] = "bind", [MOUNT_CACHE] = "cache", [MOUNT_TMPFS] = "tmpfs",
		[MOUNT_SECRET] = "secret", [MOUNT_SSH] = "ssh" };

	w->text(w, "--mount=", kinds[m->kind]);
	option(w, "target", m->target);
	option(w, "source", m->source);
	origin(w, &m->from, m->kind == MOUNT_BIND);
	option(w, "id", m->id);
	if (m->sharing != NULL)
		w->text(w, "--sharing=", m->sharing);
	option(w, "mode", m->mode);
	option(w, "uid", m->uid);
	option(w, "gid", m->gid);
	option(w, "size", m->size);
	option(w, "env", m->env);
	if (m->required)
		word(w, "--required");
	if (m->readonly)
		word(w, "--ro");
	if (m->readwrite)
		word(w, "--rw");
}

static void
run(struct words *w, const struct step *st)
{
	word(w, "run");
	if (st->join)
		word(w, "--join");
	if (st->exec_form)
		word(w, "--exec");
	if (st->network != NULL)
		w->text(w, "--network=", st->network);
	if (st->security != NULL)
		w->text(w, "--security=", st->security);
	if (st->script_name != NULL)
		w->text(w, "--script=", st->script_name);
	for (size_t i = 0; i < st->nmounts; i++)
		mount(w, &st->mounts[i]);
	word(w, "--");
	for (size_t i = 0; i < st->argc; i++)
		w->text(w, "", st->argv[i]);
}

void
step_words(struct words *w, const struct step *st)
{
	switch (st->kind) {
	case STEP_FROM: from(w, st); break;
	case STEP_ARG: arg(w, st); break;
	case STEP_SET: set(w, st); break;
	case STEP_WORKDIR:
		word(w, "workdir");
		word(w, "--");
		w->value(w, "", st->paths[0]);
		break;
	case STEP_COPY:
	case STEP_ADD: copy(w, st); break;
	case STEP_RUN: run(w, st); break;
	}
}
