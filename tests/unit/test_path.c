/* Names inside a root: openat2 and the walk give the same answers, and neither leaves. */
#include <errno.h>

#include "../../runtime/path.h"
#include "tree.h"

static const struct { const char *path; int flags; const char *want; } opens[] = {
	{ "/f", O_RDONLY, "in" }, { "f", O_RDONLY, "in" }, { "../../f", O_RDONLY, "in" }, { "d/../f", O_RDONLY, "in" },
	{ "abs", O_RDONLY, "in" }, { "up", O_RDONLY, "in" }, { "d/up", O_RDONLY, "in" }, { "dl/g", O_RDONLY, "deep" },
	{ "dl/../f", O_RDONLY, NULL }, { "dl/../../f", O_RDONLY, "in" }, { "dl/back/f", O_RDONLY, "in" }, { "chain", O_RDONLY, "deep" },
	{ "secret", O_RDONLY, NULL }, { "loop", O_RDONLY, NULL }, { "f/", O_RDONLY, NULL }, { "f/x", O_RDONLY, NULL },
	{ "none", O_RDONLY, NULL }, { "abs", O_RDONLY | O_NOFOLLOW, NULL }, { "dl/", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, "" },
	{ ".", O_RDONLY | O_DIRECTORY, "" }, { "/", O_RDONLY | O_DIRECTORY, "" }, { "d/.", O_RDONLY | O_DIRECTORY, "" },
	{ "", O_RDONLY, NULL },
};

static const struct { const char *path, *want; } resolves[] = {
	{ "f", "/f" }, { "/", "/" }, { "../..", "/" }, { "abs", "/f" }, { "dl", "/d/e" }, { "dl/x/y", "/d/e/x/y" },
	{ "dangling", "/nowhere/x" }, { "no/../f", "/f" }, { "no/a/../b", "/no/b" }, { "secret", NULL }, { "loop", NULL },
};

static const struct { const char *path, *want; } cleans[] = {
	{ "", "." }, { "/", "/" }, { "a//b/./c/..", "a/b" }, { "../a", "../a" }, { "a/../..", ".." }, { "/../a", "/a" }, { "./", "." },
	{ "a/../../b/..", ".." }, { "/a/b/../../..", "/" }, { "a/", "a" },
};

static void
make_root(int root)
{
	struct rt_err e;

	mkdirat(root, "d", 0755);
	mkdirat(root, "d/e", 0755);
	rt_write_file(root, "f", "in", 2, 0644, &e);
	rt_write_file(root, "d/e/g", "deep", 4, 0644, &e);
	symlinkat("/f", root, "abs");
	symlinkat("../../../f", root, "up");
	symlinkat("../f", root, "d/up");
	symlinkat("d/e", root, "dl");
	symlinkat("../..", root, "d/e/back");
	symlinkat("/dl/g", root, "chain");
	symlinkat("../secret", root, "secret");
	symlinkat("loop", root, "loop");
	symlinkat("/nowhere/x", root, "dangling");
	rt_write_file(tree_fd, "secret", "out", 3, 0644, &e);
}

static void
check_opens(int root)
{
	for (size_t i = 0; i < sizeof(opens) / sizeof(*opens); i++) {
		int fd = path_open(root, opens[i].path, opens[i].flags, 0);
		char got[16] = "";
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && read(fd, got, sizeof(got) - 1) < 0)
			got[0] = '!';
		is_text(fd < 0 ? NULL : got, opens[i].want, opens[i].path);
		rt_close_fd(&fd);
	}
}

int
main(void)
{
	struct rt_err e = { 0 };
	char *store, *got;
	const char *base;
	int root, fd;

	tree_start();
	root = tree_fresh("root");
	make_root(root);
	for (int walk = 0; walk < 2; walk++) {
		path_no_openat2 = walk == 1;
		printf("# %s\n", walk ? "component walk" : "openat2");
		check_opens(root);
		fd = path_open(root, "dl/new", O_WRONLY | O_CREAT | O_EXCL, 0600);
		ok(fd >= 0 && unlinkat(root, "d/e/new", 0) == 0, "create behind a link");
		rt_close_fd(&fd);
		fd = path_parent(root, "/dl/x/", &store, &base, &e);
		ok(fd >= 0 && strcmp(base, "x") == 0, "parent");
		rt_close_fd(&fd);
		free(store);
		fd = path_parent(root, "../..", &store, &base, &e);
		ok(fd >= 0 && *base == '\0', "parent of the root");
		rt_close_fd(&fd);
		free(store);
	}
	for (size_t i = 0; i < sizeof(resolves) / sizeof(*resolves); i++) {
		got = path_resolve(root, resolves[i].path);
		is_text(got, resolves[i].want, resolves[i].path);
		free(got);
	}
	for (size_t i = 0; i < sizeof(cleans) / sizeof(*cleans); i++) {
		got = path_clean(cleans[i].path);
		is_text(got, cleans[i].want, cleans[i].path);
		free(got);
	}
	close(root);
	tree_end();
	return tap_done();
}
