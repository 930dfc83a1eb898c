/* A build context as one tar. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bundle_tar.h"
#include "copy_int.h"
#include "stream.h"
#include "tar_entry.h"

struct packer {
	struct writer *w;
	struct inodes firsts;
};

/* What the build made carries TIME_MADE wherever it is copied to; in a tar it has to be the time that this means. */
static int64_t
entry_time(const struct stat *st)
{
	return st->st_mtim.tv_nsec == TIME_MADE ? 0 : (int64_t)st->st_mtim.tv_sec;
}

static int
pack_dir(void *arg, struct node *n, struct rt_err *e)
{
	struct packer *p = arg;
	cleanup_free char *name = rt_printf("context/%s/", n->path);
	struct tar_entry t = { .type = '5', .name = name, .mode = n->st.st_mode & 07777, .mtime = entry_time(&n->st) };

	return tar_put_header(p->w, &t, e);
}

static int
pack_nothing(void *arg, struct node *n, struct rt_err *e)
{
	(void)arg;
	(void)n;
	(void)e;
	return 0;
}

/* The size that the header says is what is read: a file that grows or shrinks in between is an error. */
static int
pack_file(struct packer *p, struct node *n, struct tar_entry *t, struct rt_err *e)
{
	struct fd_reader r;
	struct stat st;
	cleanup_fd int fd = source_open(n->dirfd, n->name, n->path, &st, e);

	if (fd < 0)
		return -1;
	t->type = '0';
	t->size = (uint64_t)st.st_size;
	fd_reader_init(&r, fd, 0, t->size, n->path);
	return tar_put_header(p->w, t, e) < 0 || reader_copy(&r.reader, p->w, e) < 0 ? -1 : tar_put_padding(p->w, t->size, e);
}

static int
pack_link(struct packer *p, struct node *n, struct tar_entry *t, struct rt_err *e)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(n->dirfd, n->name, target, sizeof(target) - 1);

	if (len < 0)
		return rt_fail(e, errno, "read the link %s", n->path);
	target[len] = '\0';
	t->type = '2';
	t->link = target;
	t->mode = 0777;
	return tar_put_header(p->w, t, e);
}

static int
pack_leaf(void *arg, struct node *n, struct rt_err *e)
{
	struct packer *p = arg;
	cleanup_free char *name = rt_printf("context/%s", n->path), *first = NULL;
	struct tar_entry t = { .name = name, .mode = n->st.st_mode & 07777, .mtime = entry_time(&n->st) };
	const char *path = n->st.st_nlink > 1 ? inodes_first(&p->firsts, &n->st, n->path) : NULL;

	if (path != NULL) {
		first = rt_printf("context/%s", path);
		t.type = '1';
		t.link = first;
		return tar_put_header(p->w, &t, e);
	}
	switch (n->st.st_mode & S_IFMT) {
	case S_IFREG:
		return pack_file(p, n, &t, e);
	case S_IFLNK:
		return pack_link(p, n, &t, e);
	case S_IFIFO:
		t.type = '6';
		return tar_put_header(p->w, &t, e);
	default:
		t.type = S_ISCHR(n->st.st_mode) ? '3' : '4';
		t.major = major(n->st.st_rdev);
		t.minor = minor(n->st.st_rdev);
		return tar_put_header(p->w, &t, e);
	}
}

int
context_tar_write(void *context_tar, struct writer *w, struct rt_err *e)
{
	const struct context_tar *c = context_tar;
	struct packer p = { .w = w };
	struct visitor v = { .enter = pack_dir, .leave = pack_nothing, .leaf = pack_leaf, .arg = &p };
	struct filter f = { .context = c->ignore, .prefix = "", .no_sockets = true };
	char name[] = "ignore", top[] = "context/";
	struct tar_entry t = { .type = '0', .name = name, .mode = 0644, .size = c->patterns->len };
	struct stat st;
	int rc;

	if (tar_put_header(w, &t, e) < 0 || w->write(w, c->patterns->len > 0 ? c->patterns->s : "", c->patterns->len, e) < 0 ||
	    tar_put_padding(w, c->patterns->len, e) < 0)
		return -1;
	if (fstat(c->fd, &st) < 0)
		return rt_fail(e, errno, "stat the build context");
	t = (struct tar_entry){ .type = '5', .name = top, .mode = st.st_mode & 07777, .mtime = entry_time(&st) };
	rc = tar_put_header(w, &t, e);
	if (rc == 0)
		rc = tree_walk(c->fd, -1, &f, &v, e);
	inodes_free(&p.firsts);
	return rc == 0 ? tar_put_end(w, e) : -1;
}
