#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLAN_LIMIT = 1 << 30 };

static const char *const verb_names[] = {
	[VERB_FROM] = "from", [VERB_ARG] = "arg", [VERB_SET] = "set", [VERB_WORKDIR] = "workdir",
	[VERB_COPY] = "copy", [VERB_ADD] = "add", [VERB_RUN] = "run",
};

const char *
verb_name(enum verb v)
{
	return verb_names[v];
}

static void *
append(void *array, size_t size, size_t n)
{
	/* grows at the powers of two */
	return (n & (n - 1)) == 0 ? rt_grow(array, size * (n == 0 ? 1 : n * 2)) : array;
}

/* The value of "--name=value" when `word` is that option. */
static const char *
option(const char *word, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, n) != 0)
		return NULL;
	return word[2 + n] == '=' ? word + 3 + n : word[2 + n] == '\0' ? word + 2 + n : NULL;
}

static int
unknown(const struct plan_step *s, const char *word, struct rt_err *e)
{
	return rt_fail_status(e, RT_USAGE, "step %s: %s does not know %s", s->id, verb_name(s->verb), word);
}

static int
from_option(struct plan_step *s, const char *word, struct rt_err *e)
{
	const char *v;

	if (strcmp(word, "--stage") == 0)
		s->origin = FROM_STAGE;
	else if (strcmp(word, "--scratch") == 0)
		s->origin = FROM_NOTHING;
	else if ((v = option(word, "platform")) != NULL)
		s->platform = *v != '\0' ? v : NULL;
	else if ((v = option(word, "pin")) != NULL)
		s->pin = v;
	else if ((v = option(word, "trigger")) != NULL)
		list_add(&s->triggers, v);
	else
		return unknown(s, word, e);
	return 0;
}

static int
set_option(struct plan_step *s, const char *word, struct rt_err *e)
{
	static const char *const names[] = { "env", "label", "expose", "volume", "user", "stopsignal", "shell", "cmd",
		"cmd-shell", "entrypoint", "entrypoint-shell", "author", "onbuild", "healthcheck", "and" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = option(word, names[i]);
		struct plan_setting *set;
		bool same = strcmp(names[i], "and") == 0;

		if (v == NULL)
			continue;
		if (same && s->nsettings == 0)
			return unknown(s, word, e);
		s->settings = append(s->settings, sizeof(*set), s->nsettings);
		set = &s->settings[s->nsettings++];
		*set = (struct plan_setting){ .name = same ? set[-1].name : names[i], .value = v, .same = same };
		return 0;
	}
	return unknown(s, word, e);
}

static int
copy_option(struct plan_step *s, const char *word, struct rt_err *e)
{
	const char *v;

	if ((v = option(word, "from")) != NULL)
		s->origin = FROM_STAGE, s->from = v;
	else if ((v = option(word, "from-image")) != NULL)
		s->origin = FROM_IMAGE, s->from = v;
	else if (strcmp(word, "--from-scratch") == 0)
		s->origin = FROM_NOTHING;
	else if ((v = option(word, "platform")) != NULL)
		s->platform = v;
	else if ((v = option(word, "chown")) != NULL)
		s->chown = v;
	else if ((v = option(word, "chmod")) != NULL)
		s->chmod = v;
	else if ((v = option(word, "checksum")) != NULL)
		s->checksum = v;
	else if ((v = option(word, "exclude")) != NULL)
		list_add(&s->excludes, v);
	else if ((v = option(word, "unpack")) != NULL)
		s->unpack = strcmp(v, "false") != 0;
	else if (strcmp(word, "--link") == 0)
		s->link = true;
	else if (strcmp(word, "--parents") == 0)
		s->parents = true;
	else if (strcmp(word, "--keep-git-dir") == 0)
		s->keep_git_dir = true;
	else if (strcmp(word, "--join") == 0)
		s->join = true;
	else if ((v = option(word, "heredoc")) != NULL) {
		s->files = append(s->files, sizeof(*s->files), s->nfiles);
		s->files[s->nfiles++] = (struct plan_file){ .name = v, .data = "" };
	} else if ((v = option(word, "data")) != NULL && s->nfiles > 0)
		s->files[s->nfiles - 1].data = v;
	else
		return unknown(s, word, e);
	return 0;
}

static int
mount_option(struct plan_step *s, struct plan_mount *m, const char *word, struct rt_err *e)
{
	const struct {
		const char *name, **to;
	} strings[] = {
		{ "target", &m->target }, { "source", &m->source }, { "id", &m->id }, { "sharing", &m->sharing },
		{ "env", &m->env }, { "mode", &m->mode }, { "uid", &m->uid }, { "gid", &m->gid }, { "size", &m->size },
	};
	const char *v;

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if ((v = option(word, strings[i].name)) != NULL) {
			*strings[i].to = v;
			return 0;
		}
	if ((v = option(word, "from")) != NULL)
		m->origin = FROM_STAGE, m->from = v;
	else if ((v = option(word, "from-image")) != NULL)
		m->origin = FROM_IMAGE, m->from = v;
	else if (strcmp(word, "--from-scratch") == 0)
		m->origin = FROM_NOTHING;
	else if (strcmp(word, "--required") == 0)
		m->required = true;
	else if (strcmp(word, "--ro") == 0)
		m->readonly = true;
	else if (strcmp(word, "--rw") == 0)
		m->readwrite = true;
	else
		return unknown(s, word, e);
	return 0;
}

static int
mount_begin(struct plan_step *s, const char *kind, struct rt_err *e)
{
	static const char *const kinds[] = {
		[RUN_MOUNT_BIND] = "bind", [RUN_MOUNT_CACHE] = "cache", [RUN_MOUNT_TMPFS] = "tmpfs",
		[RUN_MOUNT_SECRET] = "secret", [RUN_MOUNT_SSH] = "ssh",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kind, kinds[i]) != 0)
			continue;
		s->mounts = append(s->mounts, sizeof(*s->mounts), s->nmounts);
		s->mounts[s->nmounts++] = (struct plan_mount){
			.kind = (enum run_mount_kind)i, .origin = i == RUN_MOUNT_BIND ? FROM_CONTEXT : FROM_NOTHING,
		};
		return 0;
	}
	return rt_fail_status(e, RT_USAGE, "step %s: there is no mount of type %s", s->id, kind);
}

static int
run_option(struct plan_step *s, const char *word, struct rt_err *e)
{
	const char *v;

	if ((v = option(word, "mount")) != NULL)
		return mount_begin(s, v, e);
	if (strcmp(word, "--exec") == 0)
		s->exec = true;
	else if (strcmp(word, "--join") == 0)
		s->join = true;
	else if ((v = option(word, "network")) != NULL)
		s->network = v;
	else if ((v = option(word, "security")) != NULL)
		s->security = v;
	else if ((v = option(word, "script")) != NULL)
		s->script = v;
	else if (s->nmounts > 0)
		return mount_option(s, &s->mounts[s->nmounts - 1], word, e);
	else
		return unknown(s, word, e);
	return 0;
}

static int
step_option(struct plan_step *s, const char *word, struct rt_err *e)
{
	switch (s->verb) {
	case VERB_FROM: return from_option(s, word, e);
	case VERB_SET: return set_option(s, word, e);
	case VERB_COPY:
	case VERB_ADD: return copy_option(s, word, e);
	case VERB_RUN: return run_option(s, word, e);
	case VERB_ARG: return strcmp(word, "--history") == 0 ? 0 : unknown(s, word, e);
	case VERB_WORKDIR: break;
	}
	return unknown(s, word, e);
}

static int
step_operands(struct plan_step *s, struct rt_err *e)
{
	size_t least = s->verb == VERB_SET || s->verb == VERB_RUN || s->nfiles > 0 ? 0 : s->verb == VERB_COPY || s->verb == VERB_ADD ? 2 : 1;

	if (s->nfiles > 0)
		least = 1;
	if (s->verb == VERB_RUN && s->exec)
		least = 1;
	if (s->nargs < least || ((s->verb == VERB_FROM || s->verb == VERB_WORKDIR) && s->nargs != 1))
		return rt_fail_status(e, RT_USAGE, "step %s: %s with %zu operands", s->id, verb_name(s->verb), s->nargs);
	if (s->verb == VERB_FROM)
		s->from = s->args[0];
	return 0;
}

int
plan_step(struct plan_step *s, const char *const *words, size_t n, struct rt_err *e)
{
	size_t i = 3, v = 0;

	*s = (struct plan_step){ .unpack = -1 };
	if (n < 3)
		return rt_fail_status(e, RT_USAGE, "a step of the plan is cut short");
	s->id = words[0];
	s->lines = words[1];
	while (v < sizeof(verb_names) / sizeof(verb_names[0]) && strcmp(words[2], verb_names[v]) != 0)
		v++;
	if (v == sizeof(verb_names) / sizeof(verb_names[0]))
		return rt_fail_status(e, RT_USAGE, "step %s: there is no verb %s", s->id, words[2]);
	s->verb = (enum verb)v;
	s->origin = s->verb == VERB_FROM ? FROM_IMAGE : FROM_CONTEXT;
	for (; i < n && strncmp(words[i], "--", 2) == 0; i++) {
		if (words[i][2] == '\0') {
			i++;
			break;
		}
		if (step_option(s, words[i], e) < 0)
			return -1;
	}
	s->args = words + i;
	s->nargs = n - i;
	return step_operands(s, e);
}

struct plan_stage *
plan_stage(const struct plan *p, const char *id)
{
	for (size_t i = 0; i < p->nstages; i++)
		if (strcmp(p->stages[i].id, id) == 0)
			return &p->stages[i];
	return NULL;
}

/* Stage ids become names of files and of steps. */
static bool
good_id(const char *id)
{
	return *id != '\0' && *id != '.' && id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static int
record(struct plan *p, const char *const *words, size_t n, struct rt_err *e)
{
	struct plan_stage *stage;
	struct plan_step *s;

	if (strcmp(words[0], "stage") == 0 && n == 3) {
		if (!good_id(words[1]) || plan_stage(p, words[1]) != NULL)
			return rt_fail_status(e, RT_USAGE, "the plan names a stage %s, which is no stage id or used twice", words[1]);
		p->stages = append(p->stages, sizeof(*p->stages), p->nstages);
		p->stages[p->nstages] = (struct plan_stage){ .id = words[1], .name = words[2], .index = p->nstages };
		p->nstages++;
		return 0;
	}
	if (strcmp(words[0], "step") != 0 || p->nstages == 0)
		return rt_fail_status(e, RT_USAGE, "the plan has a record %s where none belongs", words[0]);
	stage = &p->stages[p->nstages - 1];
	stage->steps = append(stage->steps, sizeof(*s), stage->nsteps);
	s = &stage->steps[stage->nsteps];
	if (plan_step(s, words + 1, n - 1, e) < 0)
		return -1;
	if ((stage->nsteps == 0) != (s->verb == VERB_FROM))
		return rt_fail_status(e, RT_USAGE, "step %s: a stage begins with its one from", s->id);
	stage->nsteps++;
	return 0;
}

static int
check_stage_name(const struct plan *p, size_t index, const char *id, const char *step, struct rt_err *e)
{
	const struct plan_stage *other = plan_stage(p, id);

	if (other == NULL || other->index >= index)
		return rt_fail_status(e, RT_USAGE, "step %s needs stage %s, which does not come before it", step, id);
	return 0;
}

/* Back pointers, once nothing moves any more, and the rule that stages come before their users. */
static int
link_up(struct plan *p, struct rt_err *e)
{
	for (size_t i = 0; i < p->nstages; i++)
		for (size_t j = 0; j < p->stages[i].nsteps; j++) {
			struct plan_step *s = &p->stages[i].steps[j];

			s->stage = &p->stages[i];
			if (s->origin == FROM_STAGE && check_stage_name(p, i, s->from, s->id, e) < 0)
				return -1;
			for (size_t k = 0; k < s->nmounts; k++)
				if (s->mounts[k].origin == FROM_STAGE && check_stage_name(p, i, s->mounts[k].from, s->id, e) < 0)
					return -1;
		}
	return 0;
}

static int
read_all(int fd, struct str *b, struct rt_err *e)
{
	for (;;) {
		char chunk[8192];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rt_fail(e, errno, "read the plan");
		if (n == 0)
			return 0;
		if (b->len + (size_t)n > PLAN_LIMIT)
			return rt_fail_status(e, RT_USAGE, "the plan is larger than 1 GiB");
		str_add(b, chunk, (size_t)n);
	}
}

/* Next field of the stream; NULL at its end. */
static const char *
field(const struct str *b, size_t *at)
{
	const char *s = b->s + *at, *end;

	if (*at >= b->len || (end = memchr(s, '\0', b->len - *at)) == NULL)
		return NULL;
	*at += (size_t)(end - s) + 1;
	return s;
}

int
plan_read(int fd, struct plan *p, struct rt_err *e)
{
	struct str b = { 0 };
	size_t at = 0;
	const char *count;

	*p = (struct plan){ 0 };
	if (read_all(fd, &b, e) < 0)
		return -1;
	p->bytes = b.s;
	while ((count = field(&b, &at)) != NULL) {
		unsigned long n = strtoul(count, NULL, 10);
		const char **words;

		if (n == 0 || n > b.len)
			break;
		words = rt_alloc((n + 1) * sizeof(*words)); /* lives as long as the plan */
		for (unsigned long i = 0; i < n; i++)
			if ((words[i] = field(&b, &at)) == NULL)
				goto cut;
		if (n == 1 && strcmp(words[0], "end") == 0)
			return link_up(p, e);
		if (n == 2 && strcmp(words[0], "failed") == 0) {
			e->status = (int)strtol(words[1], NULL, 10);
			e->text[0] = '\0'; /* the script has told it */
			return -1;
		}
		if (record(p, words, n, e) < 0)
			return -1;
	}
cut:
	return rt_fail_status(e, RT_USAGE, "the plan ends before its end: the script stopped while it worked out a value");
}

char *
step_title(const struct plan_step *s)
{
	struct str b = { 0 };

	switch (s->verb) {
	case VERB_FROM:
		str_puts(&b, s->from);
		break;
	case VERB_SET:
		for (size_t i = 0; i < s->nsettings; i++)
			str_printf(&b, "%s%s", i > 0 ? " " : "", s->settings[i].name);
		break;
	case VERB_COPY:
	case VERB_ADD:
		if (s->from != NULL)
			str_printf(&b, "%s: ", s->from);
		for (size_t i = 0; i + 1 < s->nargs; i++)
			str_printf(&b, "%s ", s->args[i]);
		for (size_t i = 0; i < s->nfiles; i++)
			str_printf(&b, "<<%s ", s->files[i].name);
		str_printf(&b, "-> %s", s->args[s->nargs - 1]);
		break;
	case VERB_ARG:
	case VERB_WORKDIR:
	case VERB_RUN:
		for (size_t i = 0; i < s->nargs; i++)
			str_printf(&b, "%s%s", i > 0 ? " " : "", s->args[i]);
		break;
	}
	str_add(&b, "", 0);
	return b.s != NULL ? b.s : rt_strdup("");
}
