/* A scratch directory and tars made by hand, for the tests that touch files. */
#ifndef TREE_H
#define TREE_H

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/tar_entry.h"
#include "tap.h"

static char tree_dir[64];
static int tree_fd = -1;

__attribute__((unused)) static void
tree_start(void)
{
	snprintf(tree_dir, sizeof(tree_dir), "/tmp/dockcc-unit-XXXXXX");
	if (mkdtemp(tree_dir) == NULL || (tree_fd = open(tree_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		perror(tree_dir);
		exit(99);
	}
}

__attribute__((unused)) static void
tree_end(void)
{
	struct rt_err e;

	rt_remove_tree(AT_FDCWD, tree_dir, &e);
	close(tree_fd);
}

/* An empty directory below the scratch directory. */
__attribute__((unused)) static int
tree_fresh(const char *name)
{
	struct rt_err e;

	rt_remove_tree(tree_fd, name, &e);
	mkdirat(tree_fd, name, 0755);
	return openat(tree_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Contents of a file, static; NULL when there is none. */
__attribute__((unused)) static const char *
tree_text(int fd, const char *name)
{
	static struct str b;
	struct rt_err e;

	b.len = 0;
	return rt_read_file(fd, name, 1 << 20, &b, &e) < 0 ? NULL : b.s;
}

__attribute__((unused)) static mode_t
tree_mode(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

/* A tar in memory, as writer and reader. */
struct tarball {
	struct writer writer;
	struct reader reader;
	struct str s;
	size_t at;
};

static int
tarball_write(struct writer *w, const void *p, size_t n, struct rt_err *e)
{
	(void)e;
	str_add(&((struct tarball *)w)->s, p, n);
	return 0;
}

static ssize_t
tarball_read(struct reader *r, void *p, size_t n, struct rt_err *e)
{
	struct tarball *t = (struct tarball *)((char *)r - offsetof(struct tarball, reader));

	(void)e;
	n = n < t->s.len - t->at ? n : t->s.len - t->at;
	memcpy(p, t->s.s + t->at, n);
	t->at += n;
	return (ssize_t)n;
}

__attribute__((unused)) static struct tarball
tarball(void)
{
	return (struct tarball){ .writer.write = tarball_write, .reader.read = tarball_read };
}

__attribute__((unused)) static void
tarball_add(struct tarball *t, char type, const char *name, const char *link_or_data)
{
	struct tar_entry entry = { .type = type, .name = (char *)(uintptr_t)name, .mode = type == '5' ? 0750 : 0640,
	                           .mtime = 1000, .uid = geteuid(), .gid = getegid() };
	struct rt_err e;

	if (type == '1' || type == '2')
		entry.link = (char *)(uintptr_t)link_or_data;
	else if (type == '0')
		entry.size = strlen(link_or_data);
	tar_put_header(&t->writer, &entry, &e);
	if (type == '0') {
		t->writer.write(&t->writer, link_or_data, entry.size, &e);
		tar_put_padding(&t->writer, entry.size, &e);
	}
}

__attribute__((unused)) static int
tarball_unpack(struct tarball *t, int fd, enum tar_mode mode, struct rt_err *e)
{
	struct tar_options o = { .mode = mode, .chown_uid = -1, .chown_gid = -1, .what = "test.tar", .max_bytes = 10 << 20 };
	int rc = tar_unpack(&t->reader, fd, &o, e);

	t->at = 0;
	return rc;
}

#endif
