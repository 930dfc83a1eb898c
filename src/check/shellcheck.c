/* The program shellcheck, when there is one: all RUN texts of a file go to it at once, and what it says comes back at the
   place in the Dockerfile.  shellcheck(1), json1: columns count characters, tabs as one. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../runtime/json.h"
#include "../base/buf.h"
#include "../base/mem.h"
#include "../base/utf8.h"
#include "walk.h"

extern char **environ;

uint32_t text_source(const struct text *t, size_t i); /* front/parse.h, which has JSON names of its own */

enum { AT_ONCE = 400 };

static void
export_names(struct buf *out, const struct env *e)
{
	for (; e != NULL; e = e->parent) {
		for (size_t k = 0; k < e->vars.cap; k++) {
			const char *name = e->vars.v[k].key;

			if (name != NULL && *name != '\0' && name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789")] == '\0' &&
			    (*name < '0' || *name > '9'))
				buf_printf(out, " %s=1", name);
		}
	}
}

void
scripts_add(struct check *c, struct check_stage *s, const struct inst *i, const struct text *t)
{
	struct script *script;
	struct buf *names;
	struct piece *map;

	if (c->o->shellcheck == NULL || !check_wants(c, DIAG_SHELLCHECK))
		return;
	mem_room(c->d, c->scripts, c->nscripts + 1, &c->scripts_cap);
	script = &c->scripts[c->nscripts++];
	names = buf_new(c->d);
	export_names(names, &s->env);
	map = mem_array(c->d, struct piece, t->npieces);
	memcpy(map, t->map, t->npieces * sizeof *map);
	*script = (struct script){
		.inst = i, .text = *t, .exports = buf_str(names),
		.shell = strcmp(s->shell_name, "bash") == 0 ? "bash" : strcmp(s->shell_name, "dash") == 0 ? "dash" : strstr(s->shell_name, "ksh") != NULL ? "ksh" : "sh",
	};
	script->text.s = mem_dup(c->d, t->s, t->len);
	script->text.map = map;
}

/* ---- running it ---- */

static bool
write_script(const char *path, const struct script *s)
{
	struct buf *b = buf_new(NULL);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good;

	if (*s->exports != '\0')
		buf_printf(b, "export%s\n", s->exports);
	else
		buf_putc(b, '\n');
	buf_add(b, s->text.s, s->text.len);
	if (s->text.len == 0 || s->text.s[s->text.len - 1] != '\n')
		buf_putc(b, '\n');
	good = fd >= 0 && write(fd, buf_str(b), b->len) == (ssize_t)b->len;
	if (fd >= 0)
		close(fd);
	talloc_free(b);
	return good;
}

static char *
read_all(const void *ctx, const char *path, size_t *len)
{
	struct buf *b = buf_new(ctx);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[16384];
	ssize_t n;

	while (fd >= 0 && ((n = read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR)))
		buf_add(b, part, n > 0 ? (size_t)n : 0);
	if (fd >= 0)
		close(fd);
	*len = b->len;
	return mem_dup(ctx, buf_str(b), b->len);
}

static bool
run(const char *program, char *const *argv, const char *out)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int status, error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_EXCL, 0600);
	posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	error = posix_spawnp(&pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0)
		return false;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) < 2;
}

/* ---- what it says ---- */

/* The offset in the text of a line and column that shellcheck counts; the first line is the export. */
static size_t
offset(const struct text *t, int64_t line, int64_t column)
{
	size_t at = 0;

	for (; line > 2; line--) {
		const char *eol = memchr(t->s + at, '\n', t->len - at);

		if (eol == NULL)
			return t->len;
		at = (size_t)(eol - t->s) + 1;
	}
	for (; column > 1 && at < t->len && t->s[at] != '\n'; column--) {
		uint32_t ignored;

		at += utf8_decode(t->s + at, t->len - at, &ignored);
	}
	return at;
}

static int64_t
number(const struct json *j, const char *pointer)
{
	const struct json *n = json_at(j, pointer);

	return n != NULL && n->type == JSON_INT ? n->i : 0;
}

static void
comment(struct check *c, const struct json *j)
{
	const char *file = json_string_at(j, "/file"), *text = json_string_at(j, "/message"), *slash;
	int64_t code = number(j, "/code"), line = number(j, "/line");
	char *name = mem_printf(c->scratch, "SC%lld", (long long)code);
	const struct script *s;
	size_t which, begin, end;
	struct span at;

	if (file == NULL || text == NULL || (slash = strrchr(file, '/')) == NULL || line < 2)
		return;
	which = (size_t)strtoul(slash + 1, NULL, 10);
	if (which >= c->nscripts || config_ignored_code(c, name, c->scripts[which].inst))
		return;
	s = &c->scripts[which];
	begin = offset(&s->text, line, number(j, "/column"));
	end = offset(&s->text, number(j, "/endLine"), number(j, "/endColumn"));
	at.begin = text_source(&s->text, begin < s->text.len ? begin : s->text.len - 1);
	at.end = end > begin ? text_source(&s->text, end - 1) + 1 : at.begin + 1;
	check_report(c, DIAG_SHELLCHECK, s->inst, at, "%s (%s)", text + strspn(text, " "), name);
}

static void
read_report(struct check *c, const char *path)
{
	size_t len;
	char *text = read_all(c->scratch, path, &len);
	struct rt_err e;
	struct json *j, *list;

	memset(&e, 0, sizeof e);
	j = json_parse(text, len, "shellcheck", &e);
	list = json_at(j, "/comments");
	for (size_t k = 0; list != NULL && list->type == JSON_ARRAY && k < list->n; k++)
		comment(c, list->v[k]);
	json_free(j);
}

/* One call for scripts of one shell, from *next on; false when there is no such program. */
static bool
batch(struct check *c, const char *dir, const char *shell, size_t *next)
{
	const char **argv = mem_array(c->scratch, const char *, AT_ONCE + 16);
	char *out = mem_printf(c->scratch, "%s/out", dir);
	size_t n = 0, files = 0;
	bool good = true;

	argv[n++] = c->o->shellcheck;
	argv[n++] = "--norc";
	argv[n++] = "--format=json1";
	argv[n++] = mem_printf(c->scratch, "--shell=%s", shell);
	argv[n++] = mem_printf(c->scratch, "--severity=%s", c->o->shellcheck_severity);
	argv[n++] = "--exclude=SC2187,SC1090,SC1091,SC2034,SC3028";
	for (; *next < c->nscripts && files < AT_ONCE; ++*next) {
		if (strcmp(c->scripts[*next].shell, shell) != 0)
			continue;
		argv[n] = mem_printf(c->scratch, "%s/%zu", dir, *next);
		if (write_script(argv[n++], &c->scripts[*next]))
			files++;
	}
	if (files > 0 && (good = run(c->o->shellcheck, (char *const *)(uintptr_t)argv, out)))
		read_report(c, out);
	unlink(out);
	for (size_t k = 6; k < n; k++)
		unlink(argv[k]);
	return good;
}

void
scripts_check(struct check *c)
{
	static const char *const shells[] = { "sh", "bash", "dash", "ksh" };
	const char *tmp = getenv("TMPDIR");
	char *dir = mem_printf(c->d, "%s/dockcc-check.XXXXXX", tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
	bool good = true;

	if (c->nscripts == 0 || mkdtemp(dir) == NULL)
		return;
	for (size_t k = 0; k < 4 && good; k++) {
		for (size_t next = 0; next < c->nscripts && good;)
			good = batch(c, dir, shells[k], &next);
	}
	rmdir(dir);
}
