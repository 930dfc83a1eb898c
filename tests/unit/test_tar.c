/* Tar: round trips, layers, and archives that mean harm. */
#include <errno.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tree.h"

/* Unpacks one archive of one or two entries next to a file that must not change. */
static void
hostile(const char *what, enum tar_mode mode, const char *entries[][3], bool refused)
{
	int root = tree_fresh("root");
	struct tarball t = tarball();
	struct rt_err e = { 0 };
	struct stat before, after;
	int rc;

	rt_write_file(tree_fd, "outside", "safe", 4, 0644, &e);
	fstatat(tree_fd, "outside", &before, 0);
	for (size_t i = 0; entries[i][0] != NULL; i++)
		tarball_add(&t, entries[i][0][0], entries[i][1], entries[i][2]);
	rc = tarball_unpack(&t, root, mode, &e);
	fstatat(tree_fd, "outside", &after, 0);
	ok((rc < 0) == refused, "%s: %s", what, refused ? "refused" : "clamped");
	if (rc < 0)
		printf("# %s\n", e.text);
	is_text(tree_text(tree_fd, "outside"), "safe", "the file outside is as before");
	ok(before.st_nlink == after.st_nlink && before.st_mode == after.st_mode && before.st_mtime == after.st_mtime &&
	   faccessat(tree_fd, "evil", F_OK, AT_SYMLINK_NOFOLLOW) < 0, "nothing else outside");
	str_free(&t.s);
	close(root);
}

static void
escapes(void)
{
	char outside[128];

	snprintf(outside, sizeof(outside), "%s/outside", tree_dir);
	hostile("..", TAR_ARCHIVE, (const char *[][3]){ { "0", "../outside", "x" }, { "0", "../evil", "x" }, { NULL } }, false);
	hostile("absolute", TAR_ARCHIVE, (const char *[][3]){ { "0", outside, "x" }, { NULL } }, false);
	hostile("through a link up", TAR_ARCHIVE,
	        (const char *[][3]){ { "2", "l", ".." }, { "0", "l/outside", "x" }, { "0", "l/evil", "x" }, { NULL } }, false);
	hostile("through a link with dots", TAR_LAYER,
	        (const char *[][3]){ { "2", "l", "../../.." }, { "5", "l/evil", "" }, { NULL } }, false);
	hostile("onto a link", TAR_ARCHIVE, (const char *[][3]){ { "2", "l", outside }, { "0", "l", "x" }, { NULL } }, false);
	hostile("a directory onto a link", TAR_ARCHIVE, (const char *[][3]){ { "2", "l", ".." }, { "5", "l/", "" }, { "0", "l/evil", "x" },
	                                                                     { NULL } }, false);
	hostile("hard link out", TAR_ARCHIVE, (const char *[][3]){ { "1", "h", "../outside" }, { NULL } }, true);
	hostile("hard link out, absolute", TAR_ARCHIVE, (const char *[][3]){ { "1", "h", outside }, { NULL } }, true);
	hostile("hard link through a link", TAR_ARCHIVE,
	        (const char *[][3]){ { "2", "l", ".." }, { "1", "h", "l/outside" }, { NULL } }, true);
	hostile("hard link to a directory", TAR_ARCHIVE, (const char *[][3]){ { "5", "d", "" }, { "1", "h", "d" }, { NULL } }, true);
	hostile("whiteout of ..", TAR_LAYER, (const char *[][3]){ { "0", ".wh...", "" }, { NULL } }, true);
	hostile("whiteout of nothing", TAR_LAYER, (const char *[][3]){ { "0", "d/.wh.", "" }, { NULL } }, true);
	hostile("whiteout through a link", TAR_LAYER,
	        (const char *[][3]){ { "2", "l", ".." }, { "0", "l/.wh.outside", "" }, { NULL } }, geteuid() != 0);
	hostile("a file named as the root", TAR_ARCHIVE, (const char *[][3]){ { "0", "a/..", "x" }, { NULL } }, true);
	hostile("an empty link", TAR_ARCHIVE, (const char *[][3]){ { "2", "l", "" }, { NULL } }, true);
}

/* Applies `change` to a good archive: must fail with RT_DIGEST. */
static void
broken(const char *what, void (*change)(struct tarball *t))
{
	int root = tree_fresh("root");
	struct tarball t = tarball();
	struct rt_err e = { 0 };

	tarball_add(&t, '0', "a", "0123456789");
	tarball_add(&t, '0', "b", "0123456789");
	change(&t);
	ok(tarball_unpack(&t, root, TAR_ARCHIVE, &e) < 0 && e.status == RT_DIGEST, "broken: %s", what);
	printf("# %s\n", e.text);
	str_free(&t.s);
	close(root);
}

static void
fix_sum(char *h)
{
	unsigned sum = 0;
	char text[8];

	memset(h + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += (unsigned char)h[i];
	snprintf(text, sizeof(text), "%06o", sum);
	memcpy(h + 148, text, 7);
}

static void bad_sum(struct tarball *t) { t->s.s[1024 + 5] ^= 1; }
static void cut_header(struct tarball *t) { t->s.len = 1024 + 300; }
static void cut_data(struct tarball *t) { t->s.len = 1024 + 512 + 4; }
static void junk_size(struct tarball *t) { memcpy(t->s.s + 124, "12x4", 4); fix_sum(t->s.s); }
static void huge_size(struct tarball *t) { memset(t->s.s + 124, 0xff, 12); t->s.s[124] = (char)0x80; fix_sum(t->s.s); }
static void minus_size(struct tarball *t) { memset(t->s.s + 124, 0xff, 12); fix_sum(t->s.s); }
static void big_size(struct tarball *t) { memcpy(t->s.s + 124, "77777777777", 11); fix_sum(t->s.s); }
static void minus_uid(struct tarball *t) { memset(t->s.s + 108, 0xff, 8); fix_sum(t->s.s); }

static void
pax(struct tarball *t, const char *records)
{
	size_t rest = t->s.len;
	struct tarball x = tarball();

	tarball_add(&x, '0', "pax", records);
	x.s.s[156] = 'x';
	fix_sum(x.s.s);
	str_add(&x.s, t->s.s, rest);
	str_free(&t->s);
	t->s = x.s;
}

static void pax_length(struct tarball *t) { pax(t, "99 path=x\n"); }
static void pax_short(struct tarball *t) { pax(t, "3 x\n"); }
static void pax_size(struct tarball *t) { pax(t, "29 size=99999999999999999999\n"); }
static void pax_uid(struct tarball *t) { pax(t, "18 uid=4294967295\n"); }
static void pax_empty(struct tarball *t) { pax(t, "8 path=\n"); }
static void pax_map(struct tarball *t) { pax(t, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"); }
static void pax_map_out(struct tarball *t) { pax(t, "25 GNU.sparse.map=100,10\n23 GNU.sparse.size=100\n"); }

/* host tar -> ours -> host tar */
static void
with_host_tar(void)
{
	static const char make[] =
		"rm -rf in out && mkdir -p in/d/e out && echo hello >in/d/f && ln in/d/f in/d/hard && ln -s ../x in/d/sym && "
		"mkfifo in/d/fifo && chmod 4755 in/d/f && truncate -s 3000000 in/sparse && printf x | dd of=in/sparse bs=1 seek=2000000 "
		"conv=notrunc 2>/dev/null && mkdir -p in/$(printf 'n%.0s' $(seq 150))/$(printf 'm%.0s' $(seq 150)) && "
		"echo u >in/$(printf 'n%.0s' $(seq 150))/$(printf 'm%.0s' $(seq 150))/\303\274 && chmod 0511 in/d/e && touch -d @77 in/d in";
	static const char *const formats[] = { "--format=gnu", "--format=pax", "--format=gnu -S", "--format=pax -S --sparse-version=1.0",
	                                       "--format=pax -S --sparse-version=0.1", "--format=pax -S --sparse-version=0.0" };
	char *command = rt_printf("cd \"$T\" && %s", make);

	setenv("T", tree_dir, 1);
	if (system(command) != 0) {
		ok(true, "host tar # SKIP");
		free(command);
		return;
	}
	free(command);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct tarball t = tarball(), again = tarball();
		struct rt_err e = { 0 };
		int root = tree_fresh("out"), rc;
		struct stat st;

		command = rt_printf("cd \"$T\" && tar --sort=name %s -cf t.tar -C in .", formats[i]);
		ok(system(command) == 0 && rt_read_file(tree_fd, "t.tar", 64 << 20, &t.s, &e) == 0, "%s", formats[i]);
		free(command);
		rc = tarball_unpack(&t, root, TAR_ARCHIVE, &e);
		ok(rc == 0, "unpacked (%s)", rc < 0 ? e.text : "");
		ok(system("cd \"$T\" && (cd in && find . -printf '%p %y %m %n %s %l %U:%G ' -printf '%Ts\\n' | sort) >want && "
		          "(cd out && find . -printf '%p %y %m %n %s %l %U:%G ' -printf '%Ts\\n' | sort) >got && diff want got >&2 && "
		          "cmp in/sparse out/sparse && cmp in/d/f out/d/f") == 0, "the tree is the same, times too");
		ok(fstatat(root, "sparse", &st, 0) == 0 && st.st_size == 3000000 && (i < 2 || st.st_blocks < 1000), "sparse");
		ok(tar_write_tree(&again.writer, root, 5, &e) == 0 && rt_write_file(tree_fd, "again.tar", again.s.s, again.s.len, 0644, &e) == 0 &&
		   system("cd \"$T\" && rm -rf back && mkdir back && tar -xpf again.tar -C back && (cd back && find . -type f | sort | xargs cksum) >got && (cd in && find . -type f | sort | xargs cksum) >want && diff want got >&2") == 0,
		   "host tar reads what we write");
		str_free(&t.s);
		str_free(&again.s);
		close(root);
	}
}

static void
layers(void)
{
	int root = tree_fresh("root"), again = tree_fresh("again");
	struct tarball t = tarball(), out = tarball(), second = tarball();
	struct rt_err e = { 0 };
	struct stat st;
	char mark = 0, name[128];

	if (geteuid() != 0) {
		ok(true, "whiteouts # SKIP not root");
		return;
	}
	tarball_add(&t, '5', "a/", "");
	tarball_add(&t, '0', "a/f", "x");
	tarball_add(&t, '0', "a/.wh.gone", "");
	tarball_add(&t, '5', "b/", "");
	tarball_add(&t, '0', "b/.wh..wh..opq", "");
	tarball_add(&t, '0', "b/n", "y");
	tarball_add(&t, '0', ".wh.c", "");
	tarball_add(&t, '5', "c/", "");
	tarball_add(&t, '0', ".wh..wh.plnk/1", "z");
	tarball_add(&t, '0', "w", "kept");
	tarball_add(&t, '0', ".wh.w", "");
	ok(tarball_unpack(&t, root, TAR_LAYER, &e) == 0, "layer unpacked %s", e.text);
	ok(fstatat(root, "a/gone", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0, "whiteout");
	snprintf(name, sizeof(name), "%s/root/b", tree_dir);
	ok(lgetxattr(name, "trusted.overlay.opaque", &mark, 1) == 1 && mark == 'y', "opaque");
	snprintf(name, sizeof(name), "%s/root/c", tree_dir);
	ok(lgetxattr(name, "trusted.overlay.opaque", &mark, 1) == 1, "whiteout and directory: opaque");
	is_text(tree_text(root, "w"), "kept", "a whiteout does not touch its own layer");
	ok(tree_mode(root, ".wh..wh.plnk") == 0, "aufs leftovers are skipped");
	ok(fstatat(root, "a", &st, 0) == 0 && st.st_mtime == 1000, "the time of a directory survives its entries");
	ok(tar_write_layer(&out.writer, root, -1, -1, &e) == 0, "layer written");
	ok(tarball_unpack(&out, again, TAR_LAYER, &e) == 0 && tar_write_layer(&second.writer, again, -1, -1, &e) == 0 &&
	   out.s.len == second.s.len && memcmp(out.s.s, second.s.s, out.s.len) == 0, "written, read, written: the same bytes");
	mkdirat(root, ".wh.mine", 0755);
	ok(tar_write_layer(&out.writer, root, -1, -1, &e) < 0 && strstr(e.text, ".wh.mine") != NULL, "a user's .wh. name is refused");
	str_free(&t.s);
	str_free(&out.s);
	str_free(&second.s);
	close(root);
	close(again);
}

int
main(void)
{
	umask(022);
	tree_start();
	escapes();
	broken("checksum", bad_sum);
	broken("truncated header", cut_header);
	broken("truncated data", cut_data);
	broken("junk in a number", junk_size);
	broken("size beyond 2^62", huge_size);
	broken("negative size", minus_size);
	broken("larger than the limit", big_size);
	broken("negative owner", minus_uid);
	broken("pax length", pax_length);
	broken("pax without key", pax_short);
	broken("pax size", pax_size);
	broken("pax owner", pax_uid);
	broken("pax empty path", pax_empty);
	broken("pax sparse map is missing", pax_map);
	broken("pax sparse map reaches out", pax_map_out);
	layers();
	with_host_tar();
	ok(tar_time(-1, -1, -1) == -1 && tar_time(1999999999, -1, 2000000000) == 1 && tar_time(2000000000, -1, 2000000000) == 0 &&
	   tar_time(9000000000, 5, -1) == 5 && tar_time(3000000000, 5, 0) == 3, "the time rule");
	tree_end();
	return tap_done();
}
