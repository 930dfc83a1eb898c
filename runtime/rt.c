#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rt.h"

static void
err_text(struct rt_err *e, int errnum, const char *fmt, va_list ap)
{
	int n = vsnprintf(e->text, sizeof(e->text), fmt, ap);

	if (errnum != 0 && n >= 0 && (size_t)n < sizeof(e->text))
		snprintf(e->text + n, sizeof(e->text) - (size_t)n, ": %s", strerror(errnum));
}

int
rt_fail(struct rt_err *e, int errnum, const char *fmt, ...)
{
	va_list ap;

	e->status = RT_IO;
	va_start(ap, fmt);
	err_text(e, errnum, fmt, ap);
	va_end(ap);
	return -1;
}

int
rt_fail_status(struct rt_err *e, int status, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	va_start(ap, fmt);
	err_text(e, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int
rt_prefix(struct rt_err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;
	int n;

	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	n = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->text) - 3) {
		memcpy(e->text + n, ": ", 2);
		snprintf(e->text + n + 2, sizeof(e->text) - (size_t)n - 2, "%.*s", (int)sizeof(old) - n - 3, old);
	}
	return -1;
}

/* ---- memory ------------------------------------------------------------------------------------ */

static void *
must(void *p)
{
	static const char text[] = "dockcc-rt: out of memory\n";

	if (p == NULL) {
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(RT_IO);
		_exit(RT_IO);
	}
	return p;
}

void *
rt_alloc(size_t size)
{
	return must(calloc(1, size != 0 ? size : 1));
}

void *
rt_grow(void *p, size_t size)
{
	return must(realloc(p, size != 0 ? size : 1));
}

char *
rt_strndup(const char *s, size_t n)
{
	char *p;

	n = strnlen(s, n);
	p = must(malloc(n + 1));
	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
rt_strdup(const char *s)
{
	return rt_strndup(s, strlen(s));
}

static void
str_vprintf(struct str *b, const char *fmt, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		n = 0;
	p = must(malloc((size_t)n + 1));
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	str_add(b, p, (size_t)n);
	free(p);
}

char *
rt_printf(const char *fmt, ...)
{
	struct str b = { 0 };
	va_list ap;

	va_start(ap, fmt);
	str_vprintf(&b, fmt, ap);
	va_end(ap);
	return b.s;
}

void
str_add(struct str *b, const void *p, size_t n)
{
	if (n >= SIZE_MAX / 4 - b->len)
		must(NULL);
	if (b->len + n + 1 > b->cap) {
		b->cap = b->cap < 64 ? 64 : b->cap;
		while (b->cap < b->len + n + 1)
			b->cap *= 2;
		b->s = rt_grow(b->s, b->cap);
	}
	if (n != 0)
		memcpy(b->s + b->len, p, n);
	b->len += n;
	b->s[b->len] = '\0';
}

void
str_puts(struct str *b, const char *s)
{
	str_add(b, s, strlen(s));
}

void
str_putc(struct str *b, int c)
{
	char one = (char)c;

	str_add(b, &one, 1);
}

void
str_printf(struct str *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	str_vprintf(b, fmt, ap);
	va_end(ap);
}

void
str_free(struct str *b)
{
	free(b->s);
	*b = (struct str){ 0 };
}

void
list_add(struct list *l, const char *s)
{
	if (l->n + 2 > l->cap) {
		l->cap = l->cap < 8 ? 8 : l->cap * 2;
		l->v = rt_grow(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = rt_strdup(s);
	l->v[l->n] = NULL;
}

void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct list){ 0 };
}

/* ---- files ------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

int
rt_write_all(int fd, const void *p, size_t n, const char *what, struct rt_err *e)
{
	const char *s = p;

	while (n > 0) {
		ssize_t k = stopped ? 0 : write(fd, s, n);

		if (stopped)
			return rt_fail_status(e, 128 + stopped, "interrupted");
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return rt_fail(e, errno, "write %s", what);
		s += k;
		n -= (size_t)k;
	}
	return 0;
}

int
rt_read_file(int dirfd, const char *name, size_t limit, struct str *b, struct rt_err *e)
{
	cleanup_fd int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char block[16384];
	struct stat st;
	size_t total = 0;

	if (fd < 0)
		return rt_fail(e, errno, "open %s", name);
	if (fstat(fd, &st) < 0)
		return rt_fail(e, errno, "stat %s", name);
	if (!S_ISREG(st.st_mode))
		return rt_fail(e, 0, "%s is not a regular file", name);
	for (;;) {
		ssize_t k = read(fd, block, sizeof(block));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return rt_fail(e, errno, "read %s", name);
		if (k == 0)
			break;
		if ((size_t)k > limit - total)
			return rt_fail(e, 0, "%s is larger than %zu bytes", name, limit);
		str_add(b, block, (size_t)k);
		total += (size_t)k;
	}
	str_add(b, "", 0);
	return 0;
}

static char *
temporary_name(const char *name)
{
	unsigned char r[8] = { 0 };

	if (getrandom(r, sizeof(r), 0) < 0)
		memcpy(r, &(pid_t){ getpid() }, sizeof(pid_t));
	return rt_printf("%s.tmp-%02x%02x%02x%02x%02x%02x%02x%02x", name, r[0], r[1], r[2], r[3], r[4], r[5], r[6],
	                 r[7]);
}

int
rt_write_file(int dirfd, const char *name, const void *p, size_t n, mode_t mode, struct rt_err *e)
{
	cleanup_free char *tmp = temporary_name(name);
	cleanup_fd int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	int closing, rc = 0;

	if (fd < 0)
		return rt_fail(e, errno, "create %s", tmp);
	if (rt_write_all(fd, p, n, name, e) < 0)
		rc = -1;
	else if (fsync(fd) < 0)
		rc = rt_fail(e, errno, "fsync %s", name);
	closing = fd;
	fd = -1;
	if (close(closing) < 0 && rc == 0)
		rc = rt_fail(e, errno, "close %s", name);
	if (rc == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		rc = rt_fail(e, errno, "rename %s to %s", tmp, name);
	if (rc < 0)
		unlinkat(dirfd, tmp, 0);
	return rc;
}

int
rt_write_named(const char *path, const void *p, size_t n, struct rt_err *e)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return rt_write_file(AT_FDCWD, path, p, n, 0644, e);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? rt_fail(e, errno, "open %s", path) : rt_write_all(fd, p, n, path, e);
}

/* ---- being asked to end ------------------------------------------------------------------------ */

static void
on_signal(int sig)
{
	stopped = sig;
}

void
rt_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

int
rt_stopped(void)
{
	return stopped;
}

void
rt_forget_signal(void)
{
	stopped = 0;
}

static int remove_deep(int dirfd, const char *name, int depth, struct rt_err *e);

/* Empties a directory that nobody else should be writing to.  Each level is one open descriptor, so that a tree
   deeper than the descriptor limit is cut from below: the deepest reachable directory is moved up first. */
static int
remove_entries(int dir, int depth, struct rt_err *e)
{
	int top = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = top < 0 ? NULL : fdopendir(top);
	int rc = 0;

	if (d == NULL) {
		rt_close_fd(&top);
		return rt_fail(e, errno, "open a directory to remove");
	}
	for (struct dirent *entry; rc == 0 && (errno = 0, entry = readdir(d)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR && unlinkat(dir, entry->d_name, 0) == 0)
			continue;
		if (depth > 200) { /* too deep to hold every level open: hang it higher */
			cleanup_free char *flat = temporary_name("x");
			cleanup_free char *up = rt_printf("../../%s", flat);

			if (renameat(dir, entry->d_name, dir, up) < 0)
				rc = rt_fail(e, errno, "remove %s", entry->d_name);
			continue;
		}
		rc = remove_deep(dir, entry->d_name, depth, e);
	}
	closedir(d);
	return rc;
}

static int
remove_deep(int dirfd, const char *name, int depth, struct rt_err *e)
{
	for (int again = 0; again < 100000; again++) {
		cleanup_fd int fd = -1;

		if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR && errno != EPERM)
			return rt_fail(e, errno, "remove %s", name);
		if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return rt_fail(e, errno, "remove %s", name);
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
			fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return rt_fail(e, errno, "open %s", name);
		if (remove_entries(fd, depth + 1, e) < 0 && (fchmod(fd, 0700) < 0 || remove_entries(fd, depth + 1, e) < 0))
			return -1;
	}
	return rt_fail(e, ENOTEMPTY, "remove %s", name);
}

int
rt_remove_tree(int dirfd, const char *name, struct rt_err *e)
{
	return remove_deep(dirfd, name, 0, e);
}

int
rt_mkdir_p(int dirfd, const char *path, mode_t mode, struct rt_err *e)
{
	cleanup_free char *copy = rt_strdup(path);

	for (char *p = copy + 1; *copy != '\0'; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return rt_fail(e, errno, "make directory %s", copy);
		*p = c;
		if (c == '\0')
			break;
	}
	return 0;
}

/* ---- what people see --------------------------------------------------------------------------- */

size_t
rt_utf8(const unsigned char *s, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
	         : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (n < 2) {
		*code = s[0];
		return n;
	}
	*code = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	return *code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : n;
}

char *
rt_printable(const char *s)
{
	struct str b = { 0 };

	str_add(&b, "", 0);
	while (*s != '\0') {
		uint32_t c;
		size_t n = rt_utf8((const unsigned char *)s, &c);

		if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
		    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069)) {
			for (size_t i = 0; i < (n == 0 ? 1 : n); i++)
				str_printf(&b, "\\x%02x", (unsigned char)s[i]);
		} else {
			str_add(&b, s, n);
		}
		s += n == 0 ? 1 : n;
	}
	return b.s;
}

static void (*warn_watch)(void *arg, const char *line);
static void *warn_arg;

void
rt_warn_watch(void (*watch)(void *arg, const char *line), void *arg)
{
	warn_watch = watch;
	warn_arg = arg;
}

void
rt_warn(const char *fmt, ...)
{
	struct str b = { 0 };
	va_list ap;
	char *shown;

	va_start(ap, fmt);
	str_vprintf(&b, fmt, ap);
	va_end(ap);
	shown = rt_printable(b.s);
	b.len = 0;
	str_printf(&b, "dockcc-rt: warning: %s", shown);
	if (warn_watch != NULL)
		warn_watch(warn_arg, b.s);
	else
		dprintf(STDERR_FILENO, "%s\n", b.s);
	free(shown);
	str_free(&b);
}

static char *words;
static size_t nwords;

void
rt_keep_words(char **argv)
{
	words = argv[0];
	for (; *argv != NULL; argv++)
		nwords = (size_t)(*argv - words) + strlen(*argv);
}

void
rt_hide_words(void)
{
	if (words == NULL || nwords < 4)
		return;
	memset(words, 0, nwords);
	memcpy(words, "init", 4);
}
