/* COPY and WORKDIR, every sentence of spec execution.md 1.1 to 1.3 and 1.6. */
#include "copy_case.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>

#define FILES "echo one >f1; echo two >f2; mkdir -p d/b; echo a >d/a; echo c >d/b/c; echo h >d/.hid"
#define D_IN "/x/.hid=h /x/a=a /x/b/ /x/b/c=c"
#define PASSWD "mkdir etc; echo root:x:0:0::/root:/bin/sh >etc/passwd; echo u1:x:55:66::/h:/bin/sh >>etc/passwd; "
#define ETC "/etc/ /etc/passwd=root:x:0:0::/root:/bin/sh"

static const struct copy_case cases[] = {
	/* 1.1 destination path */
	{ "relative destination is joined to WORKDIR", FILES, NULL, { "f1" }, "x", "/w/ /w/x=one", .workdir = "/w" },
	{ "`.` is WORKDIR as a directory", FILES, NULL, { "f1" }, ".", "/w/ /w/f1=one", .workdir = "/w" },
	{ "so is nothing", FILES, NULL, { "f1" }, "", "/w/ /w/f1=one", .workdir = "/w" },
	{ "trailing slash", FILES, NULL, { "f1" }, "/n/", "/n/ /n/f1=one" },
	{ "trailing /.", FILES, NULL, { "f1" }, "/n/.", "/n/ /n/f1=one" },
	{ "existing directory without slash", FILES, "mkdir n", { "f1" }, "/n", "/n/ /n/f1=one" },
	{ "the root", FILES, NULL, { "f1" }, "/", "/f1=one" },
	{ "above the root", FILES, NULL, { "f1" }, "/../../x", "/x=one" },
	{ "link to a directory", FILES, "mkdir dir; ln -s /dir ldir", { "f1" }, "/ldir", "/dir/ /dir/f1=one /ldir->/dir" },
	{ "link to a file", FILES, "echo old >file; ln -s file lfile", { "f1" }, "/lfile", "/file=one /lfile->file" },
	{ "dangling link", FILES, "ln -s /nowhere/x dang", { "f1" }, "/dang", "/dang->/nowhere/x /nowhere/ /nowhere/x=one" },
	{ "dangling link as a directory", FILES, "ln -s /nowhere/x dang", { "f1" }, "/dang/",
	  "/dang->/nowhere/x /nowhere/ /nowhere/x/ /nowhere/x/f1=one" },
	{ "absolute link is re-rooted", FILES, "ln -s /tmp l", { "f1" }, "/l/x", "/l->/tmp /tmp/ /tmp/x=one" },
	{ "relative link cannot leave", FILES, "ln -s ../../../../../../tmp l", { "f1" }, "/l/x",
	  "/l->../../../../../../tmp /tmp/ /tmp/x=one" },
	{ "loop of links", FILES, "ln -s b a; ln -s a b", { "f1" }, "/a/x", "!" },
	{ "link in a directory destination is replaced", FILES, "mkdir n; echo old >o; ln -s ../o n/f1", { "f1" }, "/n/",
	  "/n/ /n/f1=one /o=old" },
	{ "missing parents", FILES, NULL, { "f1" }, "/n/e/w", "/n/ /n/e/ /n/e/w=one" },
	{ "missing parents, octal --chmod", FILES, NULL, { "f1" }, "/n/e/w",
	  "/n/[640,0:0] /n/e/[640,0:0] /n/e/w=one[640,0:0]", .chmod = "0640" },
	{ "missing parents, symbolic --chmod", FILES, NULL, { "f1" }, "/n/w", "/n/ /n/w=one[600,0:0]", .chmod = "go=" },
	{ "missing parents, --chown", FILES, NULL, { "f1" }, "/n/w", "/n/[755,3:4] /n/w=one[644,3:4]", .chown = "3:4" },
	{ "existing parents keep owner and mode", FILES, "mkdir -m 700 n; chown 7:8 n", { "f1" }, "/n/e/w",
	  "/n/[700,7:8] /n/e/[750,3:4] /n/e/w=one[750,3:4]", .chown = "3:4", .chmod = "750" },
	{ "file in the way", FILES, "echo >n", { "f1" }, "/n/x", "!/n/x" },
	{ "file in the way of a directory destination", FILES, "echo >n", { "f1" }, "/n/", "!/n" },

	/* 1.2 sources */
	{ "source is clamped", FILES, NULL, { "../../f1" }, "/x", "/x=one" },
	{ "source is cleaned", FILES, NULL, { "./d/../f1" }, "/x", "/x=one" },
	{ "absolute source", FILES, NULL, { "/f1" }, "/x", "/x=one" },
	{ "slash behind a file", FILES, NULL, { "f1/" }, "/x", "/x=one" },
	{ "/. behind a directory", FILES, NULL, { "d/." }, "/x", "/x/ " D_IN },
	{ "missing", FILES, NULL, { "f9" }, "/x", "!f9: not found in the build context" },
	{ "missing in a stage", FILES, NULL, { "f9" }, "/x", "!f9: not found in stage s", .stage = true },
	{ "below a file", FILES, NULL, { "f1/x" }, "/x", "!not found" },
	{ "star takes dot files", FILES, NULL, { "d/*" }, "/h/", "/h/ /h/.hid=h /h/a=a /h/c=c" },
	{ "no match makes nothing", FILES, NULL, { "nomatch*" }, "/never/", "" },
	{ "no match in no directory", FILES, NULL, { "no/such*" }, "/never/", "" },
	{ "malformed pattern matches nothing", FILES, NULL, { "f[" }, "/never/", "" },
	{ "star does not cross", FILES, NULL, { "*/c" }, "/x/", "" },
	{ "star in the middle", FILES, NULL, { "*/b/c" }, "/x/", "/x/ /x/c=c" },
	{ "two stars are one", FILES, NULL, { "**/a" }, "/x/", "/x/ /x/a=a" },
	{ "question mark and set", FILES, NULL, { "f[^2]", "?2" }, "/x/", "/x/ /x/f1=one /x/f2=two" },
	{ "escaped wildcard", "echo x >'a[0]'; echo y >a0", NULL, { "a[[]0]" }, "/x/", "/x/ /x/a[0]=x" },
	{ "last match wins without slash", FILES, NULL, { "f*" }, "/x", "/x=two" },
	{ "lexical walk order", "mkdir -p p/a p/a.b; echo 1 >p/a/f; echo 2 >p/a.b/f", NULL, { "p/*/f" }, "/x", "/x=2" },
	{ "a matched directory is not descended", "mkdir -p m/m; echo 1 >m/f; echo 2 >m/m/f", NULL, { "m*" }, "/x/",
	  "/x/ /x/f=1 /x/m/ /x/m/f=2" },
	{ "link as last component", "echo 1 >f; ln -s f lf", NULL, { "lf" }, "/lf1", "/lf1=1" },
	{ "link name is kept", "echo 1 >f; ln -s f lf", NULL, { "lf" }, "/t/", "/t/ /t/lf=1" },
	{ "link to a directory gives contents", FILES "; ln -s d ld", NULL, { "ld" }, "/x", "/x/ " D_IN },
	{ "absolute link inside the source", FILES "; ln -s /d/b lb", NULL, { "lb/c" }, "/x", "/x=c",
	  .stage = true },
	{ "link on the way", FILES "; ln -s d ld", NULL, { "ld/b/c" }, "/x", "/x=c" },
	{ "matched link is followed", FILES "; mkdir h; ln -s ../f1 h/up", NULL, { "h/u*" }, "/t/", "/t/ /t/up=one" },
	{ "dangling link", "ln -s nowhere l", NULL, { "l" }, "/x", "!l: not found" },
	{ "matched dangling link", "ln -s nowhere l", NULL, { "l*" }, "/x", "!l: not found" },
	{ "escaping link", "ln -s /etc/passwd l", NULL, { "l" }, "/x", "!l: not found" },
	{ "escaping link by dots", "ln -s ../../../../../../../../etc/passwd l", NULL, { "l" }, "/x", "!l: not found" },
	{ "link that goes up and comes back", "mkdir d; echo 1 >f; ln -s ../../../f d/l", NULL, { "d/l" }, "/x", "/x=1" },
	{ "loop of links as source", "ln -s b a; ln -s a b", NULL, { "a" }, "/x", "!a" },
	{ "links inside stay links", "mkdir d; ln -s /etc/passwd d/l; ln -s nowhere d/m; ln -s ../.. d/n", NULL, { "d" }, "/x",
	  "/x/ /x/l->/etc/passwd /x/m->nowhere /x/n->../.." },

	/* odd names */
	{ "newline, minus and bytes that are no text", "mkdir d; for n in 'a\nb' -rf '*' \"$(printf '\\377\\376')\" ' '; do echo 1 >d/\"$n\"; done",
	  NULL, { "d" }, "/x", "/x/ /x/ =1 /x/*=1 /x/-rf=1 /x/a\nb=1 /x/\377\376=1" },
	{ "a name with a newline", "echo 1 >'a\nb'", NULL, { "a\nb" }, "/x/", "/x/ /x/a\nb=1" },
	{ "a name with a minus", "echo 1 >-rf", NULL, { "-rf" }, "-x/", "/-x/ /-x/-rf=1" },

	/* 1.3 what is created: directories */
	{ "contents, not the directory", FILES, NULL, { "d" }, "/x", "/x/ " D_IN },
	{ "new directory gets neither mode nor owner", FILES "; chmod 700 d; chown 7:8 d", NULL, { "d" }, "/x", "/x/ " D_IN,
	  .stage = true },
	{ "octal --chmod and --chown for a new one", FILES, NULL, { "d" }, "/p/x",
	  "/p/[750,3:4] /p/x/[750,3:4] /p/x/.hid=h[750,3:4] /p/x/a=a[750,3:4] /p/x/b/[750,3:4] /p/x/b/c=c[750,3:4]",
	  .chown = "3:4", .chmod = "0750" },
	{ "existing directory keeps both", FILES, "mkdir -m 750 x; chown 9:9 x", { "d" }, "/x", "/x/[750,9:9] " D_IN },
	{ "existing directory keeps both, --chown and --chmod", "mkdir d; echo a >d/a", "mkdir -m 750 x; chown 9:9 x", { "d" }, "/x",
	  "/x/[750,9:9] /x/a=a[700,3:4]", .chown = "3:4", .chmod = "700" },
	{ "directory onto a file", FILES, "echo >x", { "d" }, "/x", "!/x" },
	{ "subdirectory takes over mode and owner", FILES "; chmod 711 d/b", "mkdir -p x/b; chmod 750 x/b; chown 9:9 x/b", { "d" },
	  "/x", "/x/ /x/.hid=h /x/a=a /x/b/[711,0:0] /x/b/c=c" },
	{ "subdirectory meets a file", FILES, "mkdir x; echo >x/b", { "d" }, "/x", "!b" },
	{ "subdirectory meets a link", FILES, "mkdir x o; ln -s ../o x/b", { "d" }, "/x", "!b" },
	{ "file meets a subdirectory", FILES, "mkdir -p x/a", { "d" }, "/x", "!a" },
	{ "empty directory", "mkdir -p d/e", NULL, { "d" }, "/x", "/x/ /x/e/" },
	{ "the whole source", FILES, NULL, { "." }, "/x",
	  "/x/ /x/d/ /x/d/.hid=h /x/d/a=a /x/d/b/ /x/d/b/c=c /x/f1=one /x/f2=two" },
	{ "set-id and sticky bits", "mkdir -p d/t; chmod 1777 d/t; echo s >d/s; chmod 6755 d/s", NULL, { "d" }, "/x",
	  "/x/ /x/s=s[6755,0:0] /x/t/[1777,0:0]" },

	/* 1.3 files */
	{ "file to a new name", FILES, NULL, { "f1" }, "/x", "/x=one" },
	{ "existing file is replaced, not written", FILES, "echo old >x; ln x y", { "f1" }, "/x", "/x=one /y=old" },
	{ "existing fifo is replaced", FILES, "mkfifo x", { "f1" }, "/x", "/x=one" },
	{ "existing link in a directory is replaced", FILES, "mkdir x; ln -s /y x/f1", { "f1" }, "/x", "/x/ /x/f1=one" },
	{ "directory in place", FILES, "mkdir -p x/f1", { "f1" }, "/x", "!f1" },
	{ "several sources without slash", FILES, NULL, { "f1", "f2" }, "/x", "/x=two" },
	{ "several sources into a directory", FILES, NULL, { "f1", "d", "f2" }, "/x/",
	  "/x/ /x/.hid=h /x/a=a /x/b/ /x/b/c=c /x/f1=one /x/f2=two" },
	{ "a directory makes the destination one", FILES, NULL, { "d/b", "f1" }, "/x", "/x/ /x/c=c /x/f1=one" },
	{ "file, then directory", FILES, NULL, { "f1", "d" }, "/x", "!/x" },
	{ "fifo", "mkfifo p", NULL, { "p" }, "/x", "/x|" },
	{ "fifo in a directory", "mkdir d; mkfifo -m 600 d/p", NULL, { "d" }, "/x", "/x/ /x/p|[600,0:0]" },
	{ "device", "mkdir d; mknod d/n c 1 3; chmod 666 d/n", NULL, { "d" }, "/x", "/x/ /x/n%[666,0:0]", .stage = true },
	{ "empty file", ">f", NULL, { "f" }, "/x", "/x=" },

	/* 1.3 mode and owner */
	{ "mode is kept", "echo 1 >f; chmod 4751 f", NULL, { "f" }, "/x", "/x=1[4751,0:0]" },
	{ "a context has no owners", "echo 1 >f; chown 7:8 f", NULL, { "f" }, "/x", "/x=1" },
	{ "a stage has", "echo 1 >f; chown 7:8 f", NULL, { "f" }, "/x", "/x=1[644,7:8]", .stage = true },
	{ "a stage's links have", "mkdir d; ln -s x d/l; chown -h 7:8 d/l", NULL, { "d" }, "/x", "/x/ /x/l->x[777,7:8]", .stage = true },
	{ "--chown of links", "mkdir d; ln -s x d/l", NULL, { "d" }, "/x", "/x/[755,3:4] /x/l->x[777,3:4]", .chown = "3:4" },
	{ "--chmod not of links", "mkdir d; ln -s f d/l; echo 1 >d/f", NULL, { "d" }, "/x", "/x/[700,0:0] /x/f=1[700,0:0] /x/l->f",
	  .chmod = "700" },
	{ "--chown by name", FILES, PASSWD, { "f1" }, "/x", ETC " /x=one[644,55:66]", .chown = "u1" },
	{ "--chown by number", FILES, NULL, { "f1" }, "/x", "/x=one[644,55:55]", .chown = "55" },
	{ "--chown of an unknown name", FILES, PASSWD, { "f1" }, "/x", ETC " /x=one", .chown = "nosuch" },
	{ "--chown by name in an empty root", FILES, NULL, { "f1" }, "/x", "!u1", .chown = "u1", .empty_root = true },
	{ "--chmod replaces all twelve bits", "echo 1 >f; chmod 7777 f", NULL, { "f" }, "/x", "/x=1[640,0:0]", .chmod = "640" },
	{ "--chmod sets them", "echo 1 >f", NULL, { "f" }, "/x", "/x=1[6755,0:0]", .chmod = "06755", .chown = "0:0" },
	{ "set-id survives --chown", "echo 1 >f; chmod 4755 f", NULL, { "f" }, "/x", "/x=1[4755,3:4]", .chown = "3:4" },
	{ "--chmod too large", FILES, NULL, { "f1" }, "/x", "!--chmod=10000", .chmod = "10000" },
	{ "--chmod not octal", FILES, NULL, { "f1" }, "/x", "!--chmod=688", .chmod = "688" },
	{ "--chmod not symbolic", FILES, NULL, { "f1" }, "/x", "!--chmod=u+q", .chmod = "u+q" },
	{ "--chmod empty", FILES, NULL, { "f1" }, "/x", "!--chmod=", .chmod = "" },
	{ "--chmod symbolic, each its own", "mkdir -p d/b; echo 1 >d/f; echo 2 >d/x; chmod 711 d/x", NULL, { "d" }, "/x",
	  "/x/ /x/b/[775,0:0] /x/f=1[664,0:0] /x/x=2[775,0:0]", .chmod = "a+rX,g+w" },

	/* here-documents */
	{ "here-document", NULL, NULL, { NULL }, "/x", "/x=body", .files = { { "EOF", "body\n", 5 } } },
	{ "here-documents come last", FILES, NULL, { "f1" }, "/x/", "/x/ /x/A=1 /x/B= /x/f1=one",
	  .files = { { "A", "1\n", 2 }, { "B", "", 0 } } },
	{ "here-document with --chown and --chmod", NULL, NULL, { NULL }, "/d/x", "/d/[755,3:4] /d/x=1[744,3:4]", .chown = "3:4",
	  .chmod = "u+x", .files = { { "A", "1\n", 2 } } },

	/* --exclude */
	{ "--exclude filters contents", FILES, NULL, { "d" }, "/x", "/x/ /x/a=a", .exclude = { "b", ".hid" } },
	{ "--exclude leaves sources", FILES, NULL, { "f*" }, "/x/", "/x/ /x/f1=one /x/f2=two", .exclude = { "f1" } },
	{ "--exclude with an exception", FILES, NULL, { "d" }, "/x", "/x/ /x/b/ /x/b/c=c", .exclude = { "**", "!b/c" } },
	{ "--exclude any depth", FILES, NULL, { "d" }, "/x", "/x/ /x/.hid=h /x/a=a /x/b/", .exclude = { "**/c" } },
	{ "--exclude: no directory without contents", FILES, NULL, { "d" }, "/x", "/x/ /x/a=a", .exclude = { "*", "!a" } },

	/* .dockerignore */
	{ "ignored source", FILES, NULL, { "f1" }, "/x", "!f1: not found", .ignore = "f1\n" },
	{ "wildcard skips ignored", FILES, NULL, { "f*" }, "/x/", "/x/ /x/f2=two", .ignore = "f1\n" },
	{ "below an ignored directory", FILES, NULL, { "d/b/c" }, "/x", "!not found", .ignore = "d\n" },
	{ "re-included below it", FILES, NULL, { "d/b/c" }, "/x", "/x=c", .ignore = "d\n!d/b/c\n" },
	{ "re-included parents appear", FILES, NULL, { "." }, "/x", "/x/ /x/d/ /x/d/b/ /x/d/b/c=c", .ignore = "*\n!d/b/c\n" },
	{ "an ignored directory that holds something", FILES, NULL, { "d" }, "/x", "/x/ /x/b/ /x/b/c=c", .ignore = "d\n!d/b/c\n" },
	{ "an ignored directory that does not", FILES, NULL, { "d" }, "/x", "!d: not found", .ignore = "d\n!d/nothing\n" },
	{ "wildcard on re-included", FILES, NULL, { "d/*" }, "/x/", "/x/ /x/c=c", .ignore = "d\n!d/b/c\n" },
	{ "link to something ignored", "echo 1 >secret; ln -s secret l", NULL, { "l" }, "/x", "!l: not found", .ignore = "secret\n" },
	{ "link through something ignored", "mkdir d e; echo 1 >e/f; ln -s ../e d/l; ln -s d/l/f m", NULL, { "m" }, "/x", "!not found",
	  .ignore = "d\n" },
	{ "paths below a link are real paths", "mkdir d; echo 1 >d/f; echo 2 >d/g; ln -s d l", NULL, { "l" }, "/x", "/x/ /x/g=2",
	  .ignore = "d/f\n" },
	{ "last rule wins", "mkdir -p d/e; for f in d/a.txt d/e/b.txt d/e/no.txt d/e/c.md keep drop; do echo 1 >$f; done", NULL, { "." },
	  "/o", "/o/ /o/d/ /o/d/a.txt=1 /o/d/e/ /o/d/e/b.txt=1 /o/keep=1", .ignore = "*\n!keep\n!d/**/*.txt\nd/e/no.txt\n" },

	/* --parents */
	{ "--parents keeps the path", FILES, NULL, { "d/b/c" }, "/x", "/x/ /x/d/ /x/d/b/ /x/d/b/c=c", .parents = true },
	{ "--parents of a directory", FILES, NULL, { "d/b", "f1" }, "/x/", "/x/ /x/d/ /x/d/b/ /x/d/b/c=c /x/f1=one", .parents = true },
	{ "--parents keeps modes", FILES "; chmod 711 d; chmod 700 d/b", NULL, { "d/b/c" }, "/x",
	  "/x/ /x/d/[711,0:0] /x/d/b/[700,0:0] /x/d/b/c=c", .parents = true },
	{ "--parents leaves existing directories", FILES, "mkdir -p x/d; chmod 700 x/d", { "d/a" }, "/x", "/x/ /x/d/[700,0:0] /x/d/a=a",
	  .parents = true },
	{ "--parents with a pivot", FILES, NULL, { "d/./b/c" }, "/x", "/x/ /x/b/ /x/b/c=c", .parents = true },
	{ "--parents with a wildcard before the pivot", "mkdir -p p1/q p2/q; echo 1 >p1/q/a; echo 2 >p2/q/b", NULL, { "p*/./q" }, "/x",
	  "/x/ /x/q/ /x/q/a=1 /x/q/b=2", .parents = true },
	{ "--parents with a wildcard", FILES, NULL, { "*/a" }, "/x", "/x/ /x/d/ /x/d/a=a", .parents = true },
	{ "--parents with two stars", "mkdir -p s/t/u; echo 1 >s/a.c; echo 2 >s/t/u/b.c; echo 3 >s/t/u/b.h", NULL, { "**/*.c" }, "/x",
	  "/x/ /x/s/ /x/s/a.c=1 /x/s/t/ /x/s/t/u/ /x/s/t/u/b.c=2", .parents = true },
	{ "--parents, two stars behind a pivot", "mkdir -p s/t/u; echo 1 >s/a.c; echo 2 >s/t/u/b.c", NULL, { "./s/./**/*.c" }, "/x",
	  "/x/ /x/a.c=1 /x/t/ /x/t/u/ /x/t/u/b.c=2", .parents = true },
	{ "--parents, missing", FILES, NULL, { "d/nosuch" }, "/x", "!d/nosuch: not found", .parents = true },
	{ "--parents, no match", FILES, NULL, { "d/nosuch*" }, "/x", "/x/", .parents = true },
	{ "--parents with --exclude", FILES, NULL, { "d" }, "/x", "/x/ /x/d/ /x/d/.hid=h /x/d/a=a", .parents = true, .exclude = { "d/b" } },
	{ "--parents with an ignore file", FILES, NULL, { "d" }, "/x", "/x/ /x/d/ /x/d/.hid=h /x/d/b/ /x/d/b/c=c", .parents = true,
	  .ignore = "d/a\n" },
	{ "--parents is clamped", FILES, NULL, { "../../f1" }, "/x", "/x/ /x/f1=one", .parents = true },
};

/* ---- times, links, attributes, digests: no table ---- */

static struct stat
stat_of(int dirfd, const char *path)
{
	struct stat st = { 0 };

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		printf("# no %s\n", path);
	return st;
}

static bool
at_time(int dirfd, const char *path, time_t s, long ns)
{
	struct stat st = stat_of(dirfd, path);

	return st.st_mtim.tv_sec == s && st.st_mtim.tv_nsec == ns;
}

static void
check_times(void)
{
	const struct copy_case c = { .words = { "d" }, .dest = "/n/x" };
	int source = fresh("S"), target = fresh("D");
	struct timespec now;
	struct rt_err e = { 0 };

	shell("S", "mkdir -p d/b; echo 1 >d/b/f; ln -s x d/l; touch -h -d @1000.123456789 d/l d/b/f; touch -d @2000.000000007 d/b; "
	           "touch -d @3000.5 d");
	clock_gettime(CLOCK_REALTIME, &now);
	case_copy(&c, source, target, &e);
	check(at_time(target, "n/x/b/f", 1000, 123456789), "a file keeps its time to the nanosecond");
	check(at_time(target, "n/x/l", 1000, 123456789), "so does a link");
	check(at_time(target, "n/x/b", 2000, 7), "so does a directory");
	check(at_time(target, "n/x", 3000, 500000000), "the destination takes the source directory's time");
	check(stat_of(target, "n").st_mtim.tv_sec >= now.tv_sec - 1, "a parent that was made has the time of making");
	shell("D", "touch -d @1 n n/x n/x/b");
	case_copy(&c, source, target, &e);
	check(at_time(target, "n/x", 3000, 500000000) && at_time(target, "n/x/b", 2000, 7), "also when they exist");
	check(at_time(target, "n", 1, 0), "an existing parent nothing is made in keeps its time");
	close(source);
	close(target);
}

static void
check_links(void)
{
	const struct copy_case one = { .words = { "d" }, .dest = "/x" }, two = { .words = { "d/a", "d/b" }, .dest = "/y/" };
	int source = fresh("S"), target = fresh("D");
	struct rt_err e = { 0 };
	struct stat st;

	shell("S", "mkdir -p d/s; echo 1 >d/a; ln d/a d/b; ln d/a d/s/c; for i in $(seq 200); do echo $i >d/s/$i; ln d/s/$i d/$i; done");
	case_copy(&one, source, target, &e);
	st = stat_of(target, "x/a");
	check(st.st_nlink == 3 && st.st_ino == stat_of(target, "x/b").st_ino && st.st_ino == stat_of(target, "x/s/c").st_ino,
	      "hard links in one source stay");
	check(stat_of(target, "x/77").st_ino == stat_of(target, "x/s/77").st_ino && stat_of(target, "x/77").st_nlink == 2,
	      "two hundred of them");
	case_copy(&two, source, target, &e);
	check(stat_of(target, "y/a").st_nlink == 1, "not across sources");
	close(source);
	close(target);
}

static void
check_attributes(void)
{
	static const char capability[20] = "\1\0\0\2\0\4"; /* cap_net_bind_service=p, version 2 */
	struct copy_case c = { .words = { "d" }, .dest = "/x", .chown = "3:4", .stage = true };
	int source = fresh("S"), target = fresh("D"), fd;
	struct rt_err e = { 0 };
	char value[64];
	bool able;

	shell("S", "mkdir d; echo 1 >d/f");
	fd = openat(source, "d/f", O_RDONLY | O_CLOEXEC);
	able = fsetxattr(fd, "security.capability", capability, sizeof(capability), 0) == 0 &&
	       fsetxattr(fd, "user.note", "n", 1, 0) == 0 && fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) == 0;
	close(fd);
	case_copy(&c, source, target, &e);
	fd = openat(target, "x/f", O_RDONLY | O_CLOEXEC);
	check(!able || fgetxattr(fd, "security.capability", value, sizeof(value)) == sizeof(capability),
	      "a stage's file keeps its capabilities, with --chown");
	check(!able || fgetxattr(fd, "user.note", value, sizeof(value)) == 1, "and its user attributes");
	check(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)) < 0, "but not overlay's");
	close(fd);
	c.stage = false;
	case_copy(&c, source, target, &e);
	fd = openat(target, "x/f", O_RDONLY | O_CLOEXEC);
	check(fgetxattr(fd, "security.capability", value, sizeof(value)) < 0 && fgetxattr(fd, "user.note", value, sizeof(value)) < 0,
	      "a context's file has neither");
	close(fd);
	close(source);
	close(target);
}

static void
check_sockets(void)
{
	struct copy_case c = { .words = { "d" }, .dest = "/x" };
	int source = fresh("S"), target = fresh("D");
	struct rt_err e = { 0 };

	shell("S", "mkdir d; echo 1 >d/f");
	mknodat(source, "d/s", S_IFSOCK | 0600, 0);
	case_copy(&c, source, target, &e);
	check(faccessat(target, "x/s", F_OK, AT_SYMLINK_NOFOLLOW) < 0, "a context has no sockets");
	c.words[0] = "d/s";
	check(case_copy(&c, source, target, &e) < 0, "not as a source either");
	c.stage = true;
	c.words[0] = "d";
	case_copy(&c, source, target, &e);
	check(S_ISREG(stat_of(target, "x/s").st_mode) && stat_of(target, "x/s").st_size == 0, "a stage's socket becomes an empty file");
	close(source);
	close(target);
}

static void
check_large(void)
{
	const struct copy_case c = { .words = { "big", "odd" }, .dest = "/x/" };
	int source = fresh("S"), target = fresh("D");
	struct rt_err e = { 0 };

	shell("S", "head -c 5000001 /dev/urandom >big; head -c 65536 /dev/urandom >odd");
	case_copy(&c, source, target, &e);
	shell("D", "cmp x/big ../S/big && cmp x/odd ../S/odd && touch same");
	check(faccessat(target, "same", F_OK, 0) == 0, "large files");
	close(source);
	close(target);
}

static void
check_workdir(void)
{
	int target = fresh("D");
	struct rt_err e = { 0 };
	struct str got = { 0 };

	shell("D", "mkdir -m 700 old; ln -s /old l; echo >file");
	check(workdir_make(target, "/w/a", 55, 66, -1, &e) == 0 && workdir_make(target, "/w/a/b", 1, 2, 1234, &e) == 0 &&
	      workdir_make(target, "/l/n/m", 0, 0, 99, &e) == 0 && workdir_make(target, "/", 7, 7, -1, &e) == 0, "WORKDIR");
	describe(&got, target, "");
	check(strcmp(got.s, "/file= /l->/old /old/[700,0:0] /old/n/ /old/n/m/ /w/[755,55:66] /w/a/[755,55:66] /w/a/b/[755,1:2]") == 0,
	      "WORKDIR makes what is missing, owned by the user, through links");
	check(at_time(target, "w/a/b", 1234, 0) && at_time(target, "old/n", 99, 0) && at_time(target, "old/n/m", 99, 0),
	      "WORKDIR's time is SOURCE_DATE_EPOCH");
	check(workdir_make(target, "/file", 0, 0, -1, &e) < 0 && strstr(e.text, "/file") != NULL, "WORKDIR on a file");
	check(workdir_make(target, "/file/x", 0, 0, -1, &e) < 0, "WORKDIR below a file");
	str_free(&got);
	close(target);
}

/* The digest of S for the case's words. */
static bool
digest(const struct copy_case *c, int source, const char *memo, unsigned char hash[32])
{
	struct copy_source from = { .rootfd = source, .is_context = !c->stage, .what = "the build context" };
	struct copy_spec spec = { .paths = c->words, .npaths = 1, .dest = "/x", .workdir = "/", .epoch = -1, .unpack = -1,
		.parents = c->parents, .add = c->add, .checksum = c->checksum };
	struct rt_err e = { 0 };

	memset(hash, 0, 32);
	return copy_digest(&from, &spec, memo, hash, &e) == 0;
}

struct change {
	const char *what, *commands;
	bool context, stage; /* whether the digest must change */
};

static const struct change changes[] = {
	{ "nothing", ":", false, false },
	{ "time", "touch -d @5 d/a d/b d", false, false },
	{ "mode of the directory itself", "chmod 700 d", false, false },
	{ "owner", "chown 5:6 d/a", false, true },
	{ "mode", "chmod 600 d/a", true, true },
	{ "mode of a directory", "chmod 700 d/b", true, true },
	{ "content, same size and time", "touch -r d/a ../T/ref; echo A >d/a; touch -r ../T/ref d/a", true, true },
	{ "name", "mv d/a d/z", true, true },
	{ "a new file", "echo n >d/b/n", true, true },
	{ "type", "rm d/a; ln -s a d/a", true, true },
	{ "a link's target", "ln -sfn z d/l", true, true },
	{ "depth", "mv d/b/c d/c", true, true },
	{ "a hard link", "cp -p d/b/c d/h; rm d/i; ln d/b/c d/i", true, true },
	{ "a file elsewhere", "echo x >f9", false, false },
};

static void
check_digests(void)
{
	struct copy_case c = { .words = { "d" } };
	unsigned char before[2][32], after[2][32];
	char memo[8192];

	snprintf(memo, sizeof(memo), "%s/T/memo", case_top);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		int source = fresh("S");
		char what[128];

		shell("S", FILES "; ln -s a d/l; cp -p d/b/c d/i; chown 1:1 d/i");
		for (int stage = 0; stage < 2; stage++)
			c.stage = stage, digest(&c, source, memo, before[stage]);
		shell("S", changes[i].commands);
		for (int stage = 0; stage < 2; stage++)
			c.stage = stage, digest(&c, source, memo, after[stage]);
		snprintf(what, sizeof(what), "digest: %s", changes[i].what);
		check((memcmp(before[0], after[0], 32) != 0) == changes[i].context &&
		      (memcmp(before[1], after[1], 32) != 0) == changes[i].stage, what);
		close(source);
	}
	c.stage = false;
	c.words[0] = "nosuch";
	check(!digest(&c, fresh("S"), memo, before[0]), "digest of what is not there");
	c.words[0] = "http://localhost/x";
	c.add = true;
	check(digest(&c, fresh("S"), NULL, before[0]), "digest of a URL");
	c.checksum = "sha256:0";
	check(digest(&c, fresh("S"), NULL, after[0]) && memcmp(before[0], after[0], 32) != 0, "digest of a checksum");
}

static void
check_memo(void)
{
	const struct copy_case c = { .words = { "d" } };
	int source = fresh("S");
	unsigned char one[32], two[32], none[32];
	char memo[8192];
	struct stat first = { 0 }, second = { 0 };
	bool same = true;

	snprintf(memo, sizeof(memo), "%s/T/memo", case_top);
	unlink(memo);
	shell("S", FILES);
	/* changed again and again, always the same size, as fast as it goes: never missed */
	for (int i = 0; i < 50; i++) {
		int fd = openat(source, "d/a", O_WRONLY | O_CLOEXEC);

		same &= pwrite(fd, &(char){ (char)('A' + i % 2) }, 1, 0) == 1;
		close(fd);
		digest(&c, source, memo, i % 2 == 0 ? one : two);
		if (i > 0)
			same &= memcmp(one, two, 32) != 0;
	}
	check(same, "memo: a file that changes all the time");
	usleep(200000);
	digest(&c, source, memo, one);
	check(stat(memo, &first) == 0 && first.st_size > 16, "memo: quiet files are remembered");
	digest(&c, source, memo, two);
	digest(&c, source, NULL, none);
	check(stat(memo, &second) == 0 && second.st_ino == first.st_ino && memcmp(one, two, 32) == 0 && memcmp(one, none, 32) == 0,
	      "memo: an unchanged source neither changes the digest nor writes");
	shell("T", "echo junk >memo");
	check(digest(&c, source, memo, two) && memcmp(one, two, 32) == 0, "memo: a damaged one is an empty one");
	close(source);
}

static void
exchange(int dirfd, const char *one, const char *other)
{
	syscall(SYS_renameat2, dirfd, one, dirfd, other, 1 << 1); /* RENAME_EXCHANGE, linux/fs.h */
}

/* Somebody swaps sources for links that lead out while they are copied: what is outside never arrives
   (security.md S4.1). */
static void
check_race(void)
{
	const struct copy_case tree = { .words = { "d" }, .dest = "/x" }, file = { .words = { "d/f" }, .dest = "/y" };
	int source = fresh("S"), target = fresh("D");
	pid_t pid;
	struct str got = { 0 };
	bool good = true;

	shell(".", "mkdir -p out/s; echo secret >out/f; echo secret >out/s/g");
	shell("S", "mkdir -p d/s; echo open >d/f; echo open >d/s/g; ln -s ../../out/f d/link; ln -s ../../out/s d/dirlink; ln -s ../out up");
	pid = fork();
	if (pid == 0) {
		for (alarm(60);;) {
			exchange(source, "d/f", "d/link");
			exchange(source, "d/s", "d/dirlink");
			exchange(source, "d", "up");
		}
	}
	for (int i = 0; i < 1500; i++) {
		struct rt_err e = { 0 };

		case_copy(&tree, source, target, &e); /* may well fail */
		case_copy(&file, source, target, &e);
		got.len = 0;
		describe(&got, target, "");
		good &= strstr(got.len == 0 ? "" : got.s, "=secret") == NULL;
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check(good, "sources swapped for links while they are copied");
	str_free(&got);
	close(source);
	close(target);
}

int
main(void)
{
	const size_t n = sizeof(cases) / sizeof(*cases), nchanges = sizeof(changes) / sizeof(*changes);

	if (!cases_begin(n + 7 + 3 + 4 + 3 + 1 + 5 + nchanges + 3 + 4 + 1))
		return 0;
	for (size_t i = 0; i < n; i++)
		run_case(&cases[i]);
	check_times();
	check_links();
	check_attributes();
	check_sockets();
	check_large();
	check_workdir();
	check_digests();
	check_memo();
	check_race();
	return cases_end();
}
