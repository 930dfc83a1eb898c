/* `dockcc lock`, and what --locked needs of lock files when a Dockerfile is compiled. */
#include "lock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "../../runtime/sha256.h"
#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../graph/graph.h"
#include "command.h"
#include "context.h"
#include "file.h"

/* ---- the file ----------------------------------------------------------------------------------- */

const char *
lock_path(const void *ctx, const struct job *j)
{
	const char *given = option_value(&j->o->lock_file, NULL), *file = j->dockerfile, *slash;

	if (given != NULL)
		return given;
	if (strncmp(file, "./", 2) == 0)
		file += 2;
	slash = strrchr(file, '/');
	return mem_printf(ctx, "%.*sdockcc.lock", slash != NULL ? (int)(slash + 1 - file) : 0, file);
}

static bool
hexadecimal(const char *s, size_t n)
{
	return n == strspn(s, "0123456789abcdef");
}

/* KIND NAME DIGEST; the name may hold blanks. */
static bool
entry_valid(const char *line)
{
	const char *last = strrchr(line, ' '), *name = strchr(line, ' ');
	size_t n;

	if (name == NULL || last <= name + 1)
		return false;
	n = strlen(++last);
	if (strncmp(line, "git ", 4) == 0)
		return (n == 40 || n == 64) && hexadecimal(last, n);
	return (strncmp(line, "image ", 6) == 0 || strncmp(line, "url ", 4) == 0) && n == 71 && strncmp(last, "sha256:", 7) == 0 &&
	       hexadecimal(last + 7, 64);
}

struct lock *
lock_read(const void *ctx, const char *path, struct diag *d)
{
	struct lock *l = mem_new(ctx, struct lock);
	struct source *s;
	struct buf *text = buf_new(l);
	struct sha256 h;
	struct stat st;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "dockcc: there is no lock file %s: dockcc lock writes it\n", path);
		return NULL;
	}
	if ((s = file_read(ctx, path, path)) == NULL)
		return NULL;
	for (uint32_t i = 1; i <= s->nlines; i++) {
		size_t len;
		const char *p = source_line(s, i, &len), *line = mem_dup(l, p, len);

		if (len == 0 || *line == '#')
			continue;
		if (entry_valid(line))
			buf_printf(text, "%s\n", line);
		else
			diag_add(d, DIAG_BAD_LOCK, s, (struct span){ .begin = (uint32_t)(p - s->text), .end = (uint32_t)(p - s->text + len) },
			         "this is no entry of a lock file");
	}
	sha256_init(&h);
	sha256_update(&h, s->text, s->len);
	sha256_hex(&h, l->digest);
	l->path = path;
	l->text = buf_str(text);
	return l;
}

/* ---- what a graph uses -------------------------------------------------------------------------- */

static bool
has_entry(const struct lock *l, const char *kind, const char *name)
{
	size_t nkind = strlen(kind), nname = strlen(name);

	for (const char *p = l->text; *p != '\0'; p = strchr(p, '\n') + 1) {
		const char *end = strchr(p, '\n'), *last = memrchr(p, ' ', (size_t)(end - p));

		if (strncmp(p, kind, nkind) == 0 && p[nkind] == ' ' && (size_t)(last - p) == nkind + 1 + nname &&
		    strncmp(p + nkind + 1, name, nname) == 0)
			return true;
	}
	return false;
}

struct checking {
	const struct lock *lock;
	const struct graph *g;
	struct diag *d;
};

static void
missing(const struct checking *c, const struct step *st, const struct value *v, const char *name)
{
	struct span at = v->nparts > 0 && v->parts[0].at.end > v->parts[0].at.begin ? v->parts[0].at : st->at;
	struct diag_item *item = diag_add(c->d, DIAG_NOT_LOCKED, c->g->source, at, "%s is not in %s", name, c->lock->path);

	item->line = st->line_start;
	diag_fix(c->d, item, NULL, "dockcc lock");
}

/* Whether a word names one commit already: the run time decides finer cases. */
static bool
names_commit(const char *word)
{
	const char *mark = strchr(word, '#');

	if (mark != NULL && hexadecimal(mark + 1, 40))
		return true;
	return mark == NULL && (strstr(word, "checksum=") != NULL || strstr(word, "commit=") != NULL);
}

static bool
is_remote(const char *word)
{
	static const char *const remote[] = { "http://", "https://", "git://", "ssh://", "git@" };

	for (size_t k = 0; k < sizeof(remote) / sizeof(remote[0]); k++)
		if (strncmp(word, remote[k], strlen(remote[k])) == 0)
			return true;
	return false;
}

static bool
has_source(const struct lock *l, const char *word)
{
	return has_entry(l, "url", word) || has_entry(l, "git", word) || names_commit(word);
}

/* What --build-context gives for an image, NULL: nothing. */
static const char *
location_of(const struct graph *g, const char *name)
{
	for (size_t i = g->ncontexts; i-- > 0;)
		if (strcasecmp(g->contexts[i].name, name) == 0)
			return g->contexts[i].location;
	return NULL;
}

/* A directory or a tar of one, as local as the context. */
static bool
is_local(const char *location)
{
	return strstr(location, "://") == NULL && strncmp(location, "oci-archive:", 12) != 0 && strncmp(location, "docker-archive:", 15) != 0;
}

static void
check_image(const struct checking *c, const struct step *st, const struct origin *o)
{
	const char *name, *location;

	if (o->kind != ORIGIN_IMAGE || !value_is_static(o->image))
		return; /* what is not known yet is refused when the script runs */
	name = value_text(o->image);
	location = location_of(c->g, name);
	if (location != NULL && is_remote(location)) {
		if (!has_source(c->lock, location))
			missing(c, st, o->image, location);
	} else if (strchr(name, '@') == NULL && (location == NULL || !is_local(location)) && !has_entry(c->lock, "image", name)) {
		missing(c, st, o->image, name);
	}
}

static void
check_sources(const struct checking *c, const struct step *st)
{
	for (size_t i = 0; st->kind == STEP_ADD && st->checksum == NULL && i + 1 < st->npaths; i++) {
		const char *word = value_is_static(st->paths[i]) ? value_text(st->paths[i]) : "";

		if (is_remote(word) && !has_source(c->lock, word))
			missing(c, st, st->paths[i], word);
	}
}

void
lock_check(const struct lock *l, const struct graph *g, struct diag *d)
{
	const struct checking c = { .lock = l, .g = g, .d = d };

	for (size_t i = 0; i < g->nstages; i++)
		for (size_t k = 0; g->stages[i]->live && k < g->stages[i]->nsteps; k++) {
			const struct step *st = g->stages[i]->steps[k];

			if (st->dead)
				continue;
			if (st->kind == STEP_FROM)
				check_image(&c, st, &st->base);
			if (st->kind == STEP_COPY)
				check_image(&c, st, &st->from);
			for (size_t m = 0; m < st->nmounts; m++)
				check_image(&c, st, &st->mounts[m].from);
			check_sources(&c, st);
		}
}

/* ---- the command -------------------------------------------------------------------------------- */

int
cmd_lock(const void *ctx, const struct options *o)
{
	struct options *all = mem_new(ctx, struct options);
	struct job j = { .o = all, .script = "dockcc lock", .all_stages = o->target.n == 0 };
	bool update = o->update.n > 0, check = o->check.n > 0;
	struct string_list words = { 0 };
	int status, fd;

	*all = *o;
	string_add(ctx, &all->level, "0"); /* every stage as it is written */
	if ((status = context_enter(ctx, o)) != EXIT_GOOD)
		return status;
	if (context_directory() != NULL && o->lock_file.n == 0) {
		fputs("dockcc: the context will be gone: say where the lock file is with --lock-file\n", stderr);
		return EXIT_USAGE;
	}
	if (!find_dockerfile(ctx, all, &j))
		return EXIT_INPUT;
	if ((status = compile_script(ctx, &j, &fd)) != EXIT_GOOD)
		return status;
	string_add(ctx, &words, mem_printf(ctx, "--lock=%s", check ? update ? "check-update" : "check" : update ? "update" : "add"));
	string_add(ctx, &words, mem_printf(ctx, "--lock-file=%s", lock_path(ctx, &j)));
	options_for_script(all, true, &words);
	run_shell(fd, &words);
}
