#include "stamp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STAMP_LIMIT = 256 << 20 };

static const char format[] = "dockcc-stamp-1";

void
stamp_record(struct str *out, ...)
{
	va_list ap;
	size_t n = 0;
	const char *s;

	va_start(ap, out);
	while (va_arg(ap, const char *) != NULL)
		n++;
	va_end(ap);
	str_printf(out, "%zu", n);
	str_putc(out, '\0');
	va_start(ap, out);
	while ((s = va_arg(ap, const char *)) != NULL)
		str_add(out, s, strlen(s) + 1);
	va_end(ap);
}

void
stamp_list(struct str *out, const char *name, const struct list *l)
{
	str_printf(out, "%zu", l->n + 1);
	str_putc(out, '\0');
	str_add(out, name, strlen(name) + 1);
	for (size_t i = 0; i < l->n; i++)
		str_add(out, l->v[i], strlen(l->v[i]) + 1);
}

static char *
directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? rt_strdup(".") : slash == path ? rt_strdup("/") : rt_strndup(path, (size_t)(slash - path));
}

/* The newest whole second at which a file below `dir` (two levels) was changed. */
static time_t
newest(const char *dir, int levels)
{
	DIR *d = opendir(dir);
	time_t latest = 0;

	for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;) {
		cleanup_free char *path = rt_printf("%s/%s", dir, entry->d_name);
		struct stat st;
		time_t t = 0;

		if (entry->d_name[0] == '.' || lstat(path, &st) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			t = st.st_mtim.tv_sec;
		else if (S_ISDIR(st.st_mode) && levels > 1)
			t = newest(path, levels - 1);
		latest = t > latest ? t : latest;
	}
	if (d != NULL)
		closedir(d);
	return latest;
}

/* Waits, for less than a second, until files are stamped with another second than any stamp so far. */
static void
next_second(const char *dir)
{
	struct timespec now, pause;
	time_t latest = newest(dir, 2);

	clock_gettime(CLOCK_REALTIME, &now);
	if (latest != now.tv_sec)
		return;
	/* the clock that stamps files is a tick behind */
	pause = (struct timespec){ .tv_sec = now.tv_nsec <= 20000000, .tv_nsec = (1020000000 - now.tv_nsec) % 1000000000 };
	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		continue;
}

int
stamp_write(const char *path, const struct str *text, bool forced, struct rt_err *e)
{
	cleanup_free char *dir = directory_of(path), *above = directory_of(dir);
	struct str old = { 0 };
	struct rt_err ignored;
	bool there = access(path, F_OK) == 0, same;

	same = there && rt_read_file(AT_FDCWD, path, STAMP_LIMIT, &old, &ignored) == 0 && old.len == text->len &&
	       memcmp(old.s, text->s, text->len) == 0;
	str_free(&old);
	if (same)
		return 0;
	if (there && forced)
		next_second(strstr(path, "/arg/") != NULL || strstr(path, "/files/") != NULL ? above : dir);
	if (rt_mkdir_p(AT_FDCWD, dir, 0777, e) < 0)
		return -1;
	return rt_write_file(AT_FDCWD, path, text->s, text->len, 0666, e);
}

static void
put_state(struct str *out, const struct state *st)
{
	struct str config = { 0 };

	json_write(st->config, &config);
	stamp_record(out, "config", config.s, st->cmd_here ? "cmd" : "", st->scratch ? "scratch" : "", st->created, NULL);
	str_free(&config);
	for (size_t i = 0; i < st->nvars; i++)
		stamp_record(out, "variable", st->vars[i].name, st->vars[i].declared ? "declared" : "", st->vars[i].value, NULL);
}

void
stamp_put(struct str *out, const struct stamp *s)
{
	stamp_record(out, format, s->stage, s->store, s->fs, NULL);
	stamp_list(out, "keyed", &s->keyed);
	stamp_list(out, "layers", &s->layers);
	stamp_list(out, "hosts", &s->hosts);
	put_state(out, &s->state);
	for (size_t i = 0; i < s->vars.n; i++)
		if (s->vars.v[i].value != NULL)
			stamp_record(out, "word", s->vars.v[i].name, s->vars.v[i].value, NULL);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static const char *
field(const struct str *b, size_t *at)
{
	const char *s = b->s + *at, *end;

	if (*at >= b->len || (end = memchr(s, '\0', b->len - *at)) == NULL)
		return NULL;
	*at += (size_t)(end - s) + 1;
	return s;
}

/* The fields of the next record, NULL at the end or when it is cut; free the array. */
static const char **
next_record(const struct str *b, size_t *at, size_t *n)
{
	const char *count = field(b, at), **v;

	*n = count != NULL ? strtoul(count, NULL, 10) : 0;
	if (*n == 0 || *n > b->len)
		return NULL;
	v = rt_alloc((*n + 1) * sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		if ((v[i] = field(b, at)) == NULL) {
			free(v);
			return NULL;
		}
	return v;
}

static int
take_config(struct stamp *s, const char **v, const char *path, struct rt_err *e)
{
	s->state.config = json_parse(v[1], strlen(v[1]), path, e);
	s->state.cmd_here = *v[2] != '\0';
	s->state.scratch = *v[3] != '\0';
	s->state.created = rt_strdup(v[4]);
	return s->state.config != NULL ? 0 : -1;
}

static void
take_variable(struct state *st, const char **v)
{
	if (st->nvars == st->cap) {
		st->cap = st->cap * 2 + 16;
		st->vars = rt_grow(st->vars, st->cap * sizeof(*st->vars));
	}
	st->vars[st->nvars++] = (struct state_var){
		.name = rt_strdup(v[1]), .declared = *v[2] != '\0', .value = v[3] != NULL ? rt_strdup(v[3]) : NULL,
	};
}

static void
take_list(struct list *l, const char **v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		list_add(l, v[i]);
}

static int
take_record(struct stamp *s, const char **v, size_t n, const char *path, struct rt_err *e)
{
	if (strcmp(v[0], format) == 0 && n == 4) {
		s->stage = rt_strdup(v[1]);
		s->store = rt_strdup(v[2]);
		s->fs = rt_strdup(v[3]);
	} else if (strcmp(v[0], "keyed") == 0) {
		take_list(&s->keyed, v, n);
	} else if (strcmp(v[0], "layers") == 0) {
		take_list(&s->layers, v, n);
	} else if (strcmp(v[0], "config") == 0 && n == 5 && s->state.config == NULL) {
		return take_config(s, v, path, e);
	} else if (strcmp(v[0], "variable") == 0 && n >= 3) {
		take_variable(&s->state, v);
	} else if (strcmp(v[0], "word") == 0 && n == 3) {
		vars_set(&s->vars, v[1], v[2]);
	}
	return 0;
}

int
stamp_read(const char *path, struct stamp *s, struct rt_err *e)
{
	struct str text = { 0 };
	size_t at = 0, n;
	const char **v;
	int rc = 0;

	*s = (struct stamp){ 0 };
	if (rt_read_file(AT_FDCWD, path, STAMP_LIMIT, &text, e) < 0)
		return -1;
	while (rc == 0 && (v = next_record(&text, &at, &n)) != NULL) {
		rc = take_record(s, v, n, path, e);
		free(v);
	}
	if (rc == 0 && (at != text.len || s->stage == NULL || s->state.config == NULL))
		rc = rt_fail(e, 0, "%s is no stamp of a step: make clean and begin again", path);
	str_free(&text);
	return rc;
}

int
stamp_read_arg(const char *path, char **name, char **value, struct rt_err *e)
{
	struct str text = { 0 };
	size_t at = 0, n = 0;
	const char **v = NULL;
	int rc = 0;

	*name = *value = NULL;
	if (rt_read_file(AT_FDCWD, path, STAMP_LIMIT, &text, e) < 0)
		return -1;
	v = next_record(&text, &at, &n);
	if (v == NULL || n < 2 || strcmp(v[0], "arg") != 0) {
		rc = rt_fail(e, 0, "%s is no stamp of a build argument: make clean and begin again", path);
	} else {
		*name = rt_strdup(v[1]);
		*value = n > 2 ? rt_strdup(v[2]) : NULL;
	}
	free(v);
	str_free(&text);
	return rc;
}
