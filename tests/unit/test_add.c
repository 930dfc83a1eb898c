/* ADD: archives, URLs from a server in this program, git from a loopback daemon (spec execution.md 1.4, 1.5;
   language.md 6, ADD sources). */
#include "copy_case.h"
#include "../../runtime/copy_int.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define TAR "mkdir in; echo 1 >in/one; chmod 600 in/one; chown 3:4 in/one; mkdir -m 711 in/sub; ln in/one in/sub/two; " \
	"ln -s one in/l; (cd in && tar -cf ../t.tar one sub l); "

static const struct copy_case archives[] = {
	{ "a plain tar is unpacked", TAR, NULL, { "t.tar" }, "/t", "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/two=1[600,3:4]" },
	{ "gzip", TAR "gzip t.tar; mv t.tar.gz x", NULL, { "x" }, "/t/x.tgz",
	  "/t/ /t/x.tgz/ /t/x.tgz/l->one /t/x.tgz/one=1[600,3:4] /t/x.tgz/sub/[711,0:0] /t/x.tgz/sub/two=1[600,3:4]" },
	{ "bzip2", TAR "bzip2 t.tar", NULL, { "t.tar.bz2" }, "/t", "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/two=1[600,3:4]" },
	{ "xz", TAR "xz t.tar", NULL, { "t.tar.xz" }, "/t", "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/two=1[600,3:4]" },
	{ "zstd", TAR "zstd -q t.tar", NULL, { "t.tar.zst" }, "/t", "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/two=1[600,3:4]" },
	{ "--chown overrides all entries", TAR, NULL, { "t.tar" }, "/t",
	  "/t/[755,7:8] /t/l->one[777,7:8] /t/one=1[600,7:8] /t/sub/[711,7:8] /t/sub/two=1[600,7:8]", .chown = "7:8" },
	{ "--chmod none", TAR, NULL, { "t.tar" }, "/t", "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/two=1[600,3:4]",
	  .chmod = "644" },
	{ "existing directories and files are merged", TAR, "mkdir -p t/sub; echo old >t/one; echo kept >t/sub/k", { "t.tar" }, "/t",
	  "/t/ /t/l->one /t/one=1[600,3:4] /t/sub/[711,0:0] /t/sub/k=kept /t/sub/two=1[600,3:4]" },
	{ "onto a file", TAR, "echo >t", { "t.tar" }, "/t", "!/t" },
	{ "COPY copies it", TAR, NULL, { "t.tar" }, "/x/", "/x/ /x/t.tar" },
	{ "--unpack=false copies it", TAR, NULL, { "t.tar" }, "/x/", "/x/ /x/t.tar", .no_unpack = 1 },
	{ "a file is copied", "echo 1 >plain", NULL, { "plain" }, "/p/", "/p/ /p/plain=1" },
	{ "gzip without a tar is copied", "echo 1 | gzip -n >t.gz", NULL, { "t.gz" }, "/p/", NULL },
	{ "what only begins like gzip is copied", "printf '\\037\\213\\010junk' >t.gz", NULL, { "t.gz" }, "/p/", NULL },
	{ "an empty tar is copied", "tar -cf e.tar -T /dev/null", NULL, { "e.tar" }, "/p/", "/p/ /p/e.tar" },
	{ "a directory is copied, archives in it too", TAR "mkdir d; mv t.tar d", NULL, { "d" }, "/p", "/p/ /p/t.tar" },
	{ "wildcards", TAR "cp t.tar u.tar; echo 1 >v.tar; rm -r in", NULL, { "*.tar" }, "/p/",
	  "/p/ /p/l->one /p/one=1[600,3:4] /p/sub/[711,0:0] /p/sub/two=1[600,3:4] /p/v.tar=1" },
	{ "--checksum needs a remote source", "echo 1 >f", NULL, { "f" }, "/x", "!--checksum", .checksum = "sha256:0" },
	{ "--checksum needs one source", NULL, NULL, { "http://127.0.0.1:1/a", "http://127.0.0.1:1/b" }, "/x", "!--checksum",
	  .checksum = "sha256:0" },
};

/* ---- a server ---- */

struct page {
	const char *path, *head, *body;
};

#define OK_ "HTTP/1.1 200 OK\r\n"
static const struct page pages[] = {
	{ "/file", OK_ "Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\n", "body\n" },
	{ "/file?v=1", OK_, "query\n" },
	{ "/", OK_, "root\n" },
	{ "/dir/", OK_, "dir\n" },
	{ "/a b", OK_, "blank\n" },
	{ "/[1-2]{a,b}", OK_, "globs\n" },
	{ "/moved", "HTTP/1.1 302 Found\r\nLast-Modified: Thu, 01 Jan 2004 00:00:00 GMT\r\nLocation: /file\r\n", "" },
	{ "/to-file", "HTTP/1.1 302 Found\r\nLocation: file:///etc/hostname\r\n", "" },
	{ "/to-ftp", "HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/x\r\n", "" },
	{ "/forever", "HTTP/1.1 302 Found\r\nLocation: /forever\r\n", "" },
	{ "/broken", OK_ "X: y\r\n", NULL }, /* shorter than it says */
	{ "/late", OK_ "last-modified: nonsense\r\n", "late\n" },
};

static void
answer(int fd)
{
	char text[8192] = "", path[1024] = "";
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && strstr(text, "\r\n\r\n") == NULL && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	sscanf(text, "%*s %1023s", path);
	fetch_percent_decode(path);
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		const char *body = pages[i].body == NULL ? "short" : pages[i].body;

		if (strcmp(path, pages[i].path) != 0)
			continue;
		dprintf(fd, "%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s", pages[i].head,
		        strlen(body) + (pages[i].body == NULL ? 100 : 0), body);
		return;
	}
	if (strcmp(path, "/t.tgz") == 0) {
		char data[65536];
		int file = open("t.tgz", O_RDONLY | O_CLOEXEC);

		got = read(file, data, sizeof(data));
		close(file);
		dprintf(fd, OK_ "Content-Length: %zd\r\nConnection: close\r\n\r\n", got);
		if (got > 0 && write(fd, data, (size_t)got) != got)
			_exit(1);
		return;
	}
	dprintf(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnope\n");
}

/* A socket of this host that nobody uses. */
static int
listener(int *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &n) < 0)
		return -1;
	*port = ntohs(at.sin_port);
	return fd;
}

static pid_t
serve(int *port)
{
	int fd = listener(port);
	pid_t pid;

	if (fd < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (chdir(case_top) < 0)
			_exit(1);
		for (;;) {
			int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

			if (client >= 0) {
				answer(client);
				shutdown(client, SHUT_RDWR);
				close(client);
			}
		}
	}
	close(fd);
	return pid;
}

/* ---- URLs ---- */

struct url_case {
	const char *rule, *path, *dest, *want;
	const char *chown, *chmod, *checksum;
	int64_t mtime; /* of the first file found, -1: not looked at */
	const char *at;
	int unpack;
};

#define RIGHT_SUM "sha256:9e2ec912af5dff2a72300863864fc4da04e81999339d9fac5c7590ba8a3f4e11"
#define WRONG_SUM "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct url_case urls[] = {
	{ "to a name", "/file", "/x", "/x=body[600,0:0]", .mtime = 1420070400, .at = "x" },
	{ "into a directory", "/file", "/d/", "/d/ /d/file=body[600,0:0]", .mtime = -1 },
	{ "the query is no part of the name, no time is 0", "/file?v=1", "/d/", "/d/ /d/file=query[600,0:0]", .mtime = 0, .at = "d/file" },
	{ "a time that is none is 0", "/late", "/x", "/x=late[600,0:0]", .mtime = 0, .at = "x" },
	{ "the fragment neither", "/file#part", "/d/", "/d/ /d/file=body[600,0:0]", .mtime = -1 },
	{ "no name", "/", "/d/", "/d/ /d/__unnamed__=root[600,0:0]", .mtime = -1 },
	{ "slash at the end", "/dir/", "/d/", "/d/ /d/dir=dir[600,0:0]", .mtime = -1 },
	{ "decoded name", "/a%20b", "/d/", "/d/ /d/a b=blank[600,0:0]", .mtime = -1 },
	{ "brackets and braces are text", "/[1-2]{a,b}", "/x", "/x=globs[600,0:0]", .mtime = -1 },
	{ "redirection; the last answer's time", "/moved", "/d/", "/d/ /d/moved=body[600,0:0]", .mtime = 1420070400, .at = "d/moved" },
	{ "--chmod, also of a made directory", "/file", "/d/", "/d/[644,0:0] /d/file=body", .chmod = "644", .mtime = -1 },
	{ "--chmod, symbolic", "/file", "/d/", "/d/ /d/file=body[700,0:0]", .chmod = "u+x", .mtime = -1 },
	{ "--chown", "/file", "/d/", "/d/[755,3:4] /d/file=body[600,3:4]", .chown = "3:4", .mtime = -1 },
	{ "not found", "/nosuch", "/x", "!404", .mtime = -1 },
	{ "shorter than told", "/broken", "/x", "!/broken", .mtime = -1 },
	{ "to another scheme", "/to-file", "/x", "!/to-file", .mtime = -1 },
	{ "to ftp", "/to-ftp", "/x", "!/to-ftp", .mtime = -1 },
	{ "redirected for ever", "/forever", "/x", "!/forever", .mtime = -1 },
	{ "right checksum", "/file", "/x", "/x=body[600,0:0]", .checksum = RIGHT_SUM, .mtime = -1 },
	{ "wrong checksum", "/file", "/x", "!checksum", .checksum = WRONG_SUM, .mtime = -1 },
	{ "checksum of another kind", "/file", "/x", "!--checksum=md5", .checksum = "md5:0", .mtime = -1 },
	{ "an archive stays", "/t.tgz", "/d/", "/d/ /d/t.tgz[600,0:0]", .mtime = -1 },
	{ "--unpack=true unpacks it", "/t.tgz", "/d/", "/d/ /d/one=1[600,3:4]", .mtime = -1, .unpack = 1 },
	{ "--unpack=true and no archive", "/file", "/x", "/x=body[600,0:0]", .mtime = -1, .unpack = 1 },
};

static void
run_url(const struct url_case *u, int port, const char *client)
{
	char url[8192], rule[256];
	struct copy_case c = { .words = { url }, .dest = u->dest, .chown = u->chown, .chmod = u->chmod, .add = true, .unpack = u->unpack,
		.checksum = u->checksum };
	int source = fresh("S"), target = fresh("D"), tmp;
	struct str got = { 0 }, left = { 0 };
	struct rt_err e = { 0 };
	struct stat st = { 0 };
	bool good;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, u->path);
	if (case_copy(&c, source, target, &e) < 0)
		str_printf(&got, "!%s", e.text);
	else
		describe(&got, target, "");
	good = got.s != NULL && (u->want[0] == '!' ? got.s[0] == '!' && strstr(got.s, u->want + 1) != NULL : strcmp(got.s, u->want) == 0);
	if (good && got.s[0] == '!') { /* nothing may have become visible */
		describe(&left, target, "");
		good = left.len == 0;
	}
	if (good && u->at != NULL)
		good = fstatat(target, u->at, &st, 0) == 0 && st.st_mtim.tv_sec == u->mtime && st.st_mtim.tv_nsec == 0;
	str_free(&left);
	snprintf(url, sizeof(url), "%s/T", case_top);
	tmp = open(url, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	describe(&left, tmp, "");
	if (left.len != 0)
		good = false;
	snprintf(rule, sizeof(rule), "%s: %s", client, u->rule);
	check(good, rule);
	if (!good)
		printf("#  want %s at %lld\n#  got  %s at %lld, left %s\n", u->want, (long long)u->mtime, got.s == NULL ? "" : got.s,
		       (long long)st.st_mtim.tv_sec, left.s == NULL ? "" : left.s);
	str_free(&got);
	str_free(&left);
	close(tmp);
	close(source);
	close(target);
}

/* All URLs with `program` as the client, alone in PATH. */
static void
run_urls(const char *client, const char *program, int port)
{
	char line[8192], *path = strdup(getenv("PATH"));

	snprintf(line, sizeof(line), "mkdir bin-%s; cd bin-%s; ln -s \"$(command -v %s)\" %s && ln -s \"$(command -v gzip)\" gzip && "
	         "ln -s \"$(command -v sh)\" sh; ln -s \"$(command -v tar)\" tar; ln -s \"$(command -v cat)\" cat", program, program, program, client);
	shell(".", line);
	for (size_t i = 0; i < sizeof(urls) / sizeof(*urls); i++) {
		bool there;

		snprintf(line, sizeof(line), "%s/bin-%s/%s", case_top, program, client);
		there = access(line, X_OK) == 0;
		if (!there) {
			check(true, "# SKIP client not installed");
			continue;
		}
		snprintf(line, sizeof(line), "%s/bin-%s", case_top, program);
		setenv("PATH", line, 1);
		run_url(&urls[i], port, program);
		setenv("PATH", path, 1);
	}
	free(path);
}

struct name_row {
	const char *url, *name;
};

static const struct name_row names[] = {
	{ "http://h/a/b", "b" }, { "http://h/a/b/", "b" }, { "http://h", "__unnamed__" }, { "http://h/", "__unnamed__" },
	{ "http://h?x=/y", "__unnamed__" }, { "http://h/a?x=/y", "a" }, { "http://h/a#/y", "a" }, { "http://h/..", "__unnamed__" },
	{ "http://h/%2e%2e", "__unnamed__" }, { "http://h/a%2fb", "b" }, { "http://h/%00", "__unnamed__" }, { "http://h/%zz", "__unnamed__" },
	{ "http://h/-rf", "-rf" }, { "http://h//", "__unnamed__" },
};

/* ---- git ---- */

#define GIT_ "git -c user.name=a -c user.email=a@b -c init.defaultBranch=main "
#define REPO "export GIT_CONFIG_GLOBAL=/dev/null; mkdir -p repos/r repos/sub; cd repos/sub; " GIT_ "init -q .; echo s >s; git add .; " \
	GIT_ "commit -qm s; cd ../r; " GIT_ "init -q .; echo 1 >f; mkdir d; echo x >d/x; chmod 755 d/x; ln -s ../../../../../../etc d/out; " \
	"git add .; " GIT_ "commit -qm one; git tag v1; " GIT_ "tag -am note v1a; git branch old; echo 2 >f; git add .; " GIT_ "commit -qm two; " \
	"git branch side; echo 3 >f; ln -s .git g; git add .; " GIT_ "commit -qm three; git rev-parse v1 >../../id1; git rev-parse side >../../id2"

struct git_case {
	const char *rule, *word; /* %s: git://127.0.0.1:PORT/r; @1, @2: commits one and two; @0: one, shortened */
	const char *want;
	const char *checksum, *chown;
	bool keep;
};

#define TREE "/x/d/ /x/d/out->../../../../../../etc /x/d/x=x[755,0:0] "
static const struct git_case gits[] = {
	{ "the default branch", "%s", "/x/ " TREE "/x/f=3 /x/g->.git" },
	{ "a tag", "%s#v1", "/x/ " TREE "/x/f=1" },
	{ "an annotated tag", "%s#v1a", "/x/ " TREE "/x/f=1" },
	{ "a branch", "%s#side", "/x/ " TREE "/x/f=2" },
	{ "a full ref", "%s#refs/heads/side", "/x/ " TREE "/x/f=2" },
	{ "a commit", "%s#@1", "/x/ " TREE "/x/f=1" },
	{ "a shortened commit", "%s#@0", "/x/ " TREE "/x/f=1" },
	{ "a subdirectory", "%s#v1:d", "/x/ /x/out->../../../../../../etc /x/x=x[755,0:0]" },
	{ "a subdirectory of the default", "%s#:d", "/x/ /x/out->../../../../../../etc /x/x=x[755,0:0]" },
	{ "the query form", "%s?ref=v1&subdir=d", "/x/ /x/out->../../../../../../etc /x/x=x[755,0:0]" },
	{ "branch=", "%s?branch=side", "/x/ " TREE "/x/f=2" },
	{ "tag=", "%s?tag=v1", "/x/ " TREE "/x/f=1" },
	{ "commit=", "%s?commit=@1", "/x/ " TREE "/x/f=1" },
	{ "branch= and its commit", "%s?branch=side&commit=@2", "/x/ " TREE "/x/f=2" },
	{ "branch= and another commit", "%s?branch=side&commit=@1", "!refs/heads/side is commit" },
	{ "--checksum", "%s#v1", "/x/ " TREE "/x/f=1", .checksum = "@1" },
	{ "--checksum, shortened", "%s#v1", "/x/ " TREE "/x/f=1", .checksum = "@0" },
	{ "--checksum, wrong", "%s#v1", "!v1 is commit", .checksum = "@2" },
	{ "--checksum, no commit id", "%s#v1", "!no commit id", .checksum = "sha256:xy" },
	{ "--chown", "%s#v1:d", "/x/[755,3:4] /x/out->../../../../../../etc[777,3:4] /x/x=x[755,3:4]", .chown = "3:4" },
	{ "no such ref", "%s#nosuch", "!nosuch" },
	{ "tag= of a branch", "%s?tag=side", "!refs/tags/side" },
	{ "no such subdirectory", "%s#v1:nosuch", "!no directory \"nosuch\"" },
	{ "a file as subdirectory", "%s#v1:f", "!no directory \"f\"" },
	{ "a subdirectory cannot leave", "%s#v1:d/out", "!no directory" },
	{ "nor by dots", "%s#v1:../../d", "/x/ /x/out->../../../../../../etc /x/x=x[755,0:0]" },
	{ "nor be .git", "%s#:.git", "!no directory" },
	{ "nor lead there", "%s#:g", "!no directory" },
	{ "an option as ref", "%s#--upload-pack=touch${IFS}x", "!no name of a ref" },
	{ "a refspec as ref", "%s?ref=a:b", "!no name of a ref" },
	{ "unknown key", "%s?what=1", "!unknown query key" },
	{ "repeated key", "%s?ref=v1&ref=v1", "!given twice" },
	{ "key without value", "%s?ref", "!needs a value" },
	{ "switch without value", "%s?submodules&ref=v1", "/x/ " TREE "/x/f=1" },
	{ "switch that is none", "%s?submodules=maybe", "!not a boolean" },
	{ "ref twice, the same", "%s?ref=v1#v1", "/x/ " TREE "/x/f=1" },
	{ "ref twice, different", "%s?ref=v1#side", "!given twice" },
	{ "branch with tag", "%s?branch=side&tag=v1", "!exclude each other" },
	{ "option as host", "ssh://-oProxyCommand=touch%%20x/r.git", "!host name" },
	{ "option as host, behind a user", "ssh://git@-oProxyCommand=x/r.git", "!host name" },
	{ "option as host, short form", "git@-oProxyCommand=x:r.git", "!host name" },
	{ "a file URL is no source", "file:///etc", "!not found" },
};

/* `text` with @0, @1, @2 and %s replaced. */
static void
expand(struct str *out, const char *text, int port)
{
	for (; *text != '\0'; text++) {
		char path[8192], id[64] = "";
		struct rt_err e = { 0 };
		struct str file = { 0 };

		if (*text == '@' && text[1] >= '0' && text[1] <= '2') {
			snprintf(path, sizeof(path), "%s/id%c", case_top, text[1] == '2' ? '2' : '1');
			if (rt_read_file(AT_FDCWD, path, 100, &file, &e) == 0 && file.len > 40)
				memcpy(id, file.s, text[1] == '0' ? 8 : 40);
			str_puts(out, id);
			str_free(&file);
			text++;
		} else if (*text == '%' && text[1] == 's') {
			str_printf(out, "git://127.0.0.1:%d/r", port);
			text++;
		} else {
			str_putc(out, *text);
			text += *text == '%' && text[1] == '%';
		}
	}
}

static void
run_git(const struct git_case *g, int port)
{
	struct str word = { 0 }, sum = { 0 }, got = { 0 }, left = { 0 };
	struct copy_case c = { .dest = "/x", .chown = g->chown, .add = true };
	int source = fresh("S"), target = fresh("D"), tmp;
	struct rt_err e = { 0 };
	char path[8192], rule[256];
	bool good;

	expand(&word, g->word, port);
	c.words[0] = word.s;
	if (g->checksum != NULL) {
		expand(&sum, g->checksum, port);
		c.checksum = sum.s;
	}
	if (case_copy(&c, source, target, &e) < 0) {
		str_printf(&got, "!%s", e.text);
		good = g->want[0] == '!' && strstr(got.s, g->want + 1) != NULL;
	} else {
		describe(&got, target, "");
		good = got.s != NULL && strcmp(got.s, g->want) == 0;
	}
	snprintf(path, sizeof(path), "%s/T", case_top);
	tmp = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	describe(&left, tmp, "");
	snprintf(rule, sizeof(rule), "git: %s", g->rule);
	check(good && left.len == 0, rule);
	if (!good || left.len != 0)
		printf("#  want %s\n#  got  %s\n#  left %s\n", g->want, got.s == NULL ? "" : got.s, left.s == NULL ? "" : left.s);
	str_free(&word);
	str_free(&sum);
	str_free(&got);
	str_free(&left);
	close(tmp);
	close(source);
	close(target);
}

static pid_t
git_daemon(int *port)
{
	char base[8192], number[16], listen_port[32];
	int fd = listener(port);
	pid_t pid;

	close(fd);
	snprintf(base, sizeof(base), "--base-path=%s/repos", case_top);
	snprintf(number, sizeof(number), "%d", *port);
	snprintf(listen_port, sizeof(listen_port), "--port=%s", number);
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, 2);
		execlp("git", "git", "daemon", "--reuseaddr", "--listen=127.0.0.1", listen_port, base, "--export-all", NULL);
		_exit(1);
	}
	for (int i = 0; i < 100; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool up = connect(s, (struct sockaddr *)&at, sizeof(at)) == 0;

		close(s);
		if (up)
			break;
		usleep(50000);
	}
	return pid;
}

/* The repository directory stays when asked for; submodules come along, those of files are refused. */
static void
check_git_more(int port)
{
	char url[128], line[8192];
	struct copy_case c = { .words = { url }, .dest = "/x", .add = true };
	struct rt_err e = { 0 };
	int source = fresh("S"), target = fresh("D");

	snprintf(url, sizeof(url), "git://127.0.0.1:%d/r?keep-git-dir=true", port);
	check(case_copy(&c, source, target, &e) == 0 && faccessat(target, "x/.git/HEAD", F_OK, 0) == 0, "git: keep-git-dir");
	snprintf(line, sizeof(line), "export GIT_CONFIG_GLOBAL=/dev/null; cd repos/r; git checkout -q -b subs; " GIT_
	         "submodule -q add git://127.0.0.1:%d/sub m; " GIT_ "commit -qm sub; git checkout -q main 2>/dev/null; rm -rf m", port);
	shell(".", line);
	close(target);
	target = fresh("D");
	snprintf(url, sizeof(url), "git://127.0.0.1:%d/r#subs", port);
	check(case_copy(&c, source, target, &e) == 0 && faccessat(target, "x/m/s", F_OK, 0) == 0 &&
	      faccessat(target, "x/m/.git", F_OK, 0) < 0, "git: submodules");
	close(target);
	target = fresh("D");
	snprintf(url, sizeof(url), "git://127.0.0.1:%d/r?ref=subs&submodules=false", port);
	check(case_copy(&c, source, target, &e) == 0 && faccessat(target, "x/m/s", F_OK, 0) < 0 && faccessat(target, "x/m", F_OK, 0) == 0,
	      "git: no submodules");
	snprintf(line, sizeof(line), "export GIT_CONFIG_GLOBAL=/dev/null; cd repos/r; git checkout -q -b evil main; rm -rf m .git/modules; " GIT_
	         "-c protocol.file.allow=always submodule -q add file://%s/repos/sub m; " GIT_ "commit -qm evil; git checkout -q main 2>/dev/null", case_top);
	shell(".", line);
	close(target);
	target = fresh("D");
	snprintf(url, sizeof(url), "git://127.0.0.1:%d/r#evil", port);
	check(case_copy(&c, source, target, &e) < 0 && faccessat(target, "x", F_OK, 0) < 0, "git: a submodule from a file is refused");
	close(source);
	close(target);
}

static bool
have(const char *program)
{
	char line[128];

	snprintf(line, sizeof(line), "command -v %s >/dev/null 2>&1", program);
	return system(line) == 0;
}

static void
check_git(void)
{
	const size_t n = sizeof(gits) / sizeof(*gits);
	int port = 0;
	pid_t pid;

	if (!have("git")) {
		for (size_t i = 0; i < n + 4; i++)
			check(true, "# SKIP no git");
		return;
	}
	shell(".", REPO);
	pid = git_daemon(&port);
	for (size_t i = 0; i < n; i++)
		run_git(&gits[i], port);
	check_git_more(port);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* What is not an archive arrives byte by byte. */
static void
run_same(const struct copy_case *c)
{
	int source = fresh("S"), target = fresh("D");
	struct rt_err e = { 0 };

	shell("S", c->source);
	case_copy(c, source, target, &e);
	shell("D", "cmp p/t.gz ../S/t.gz && touch same");
	check(faccessat(target, "same", F_OK, 0) == 0, c->rule);
	close(source);
	close(target);
}

int
main(void)
{
	const size_t narchives = sizeof(archives) / sizeof(*archives), nurls = sizeof(urls) / sizeof(*urls);
	const size_t nnames = sizeof(names) / sizeof(*names), ngits = sizeof(gits) / sizeof(*gits);
	int port = 0;
	pid_t pid;

	if (!cases_begin(narchives + nnames + 3 * nurls + ngits + 4))
		return 0;
	for (size_t i = 0; i < narchives; i++) {
		struct copy_case c = archives[i];

		c.add = strcmp(c.rule, "COPY copies it") != 0;
		if (c.want == NULL)
			run_same(&c);
		else
			run_case(&c);
	}
	for (size_t i = 0; i < nnames; i++) {
		char *name = fetch_name(names[i].url);

		check(strcmp(name, names[i].name) == 0, names[i].url);
		free(name);
	}
	shell(".", "mkdir in; echo 1 >in/one; chmod 600 in/one; chown 3:4 in/one; tar -C in -czf t.tgz one");
	unsetenv("http_proxy");
	unsetenv("HTTP_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	pid = serve(&port);
	run_urls("curl", "curl", port);
	run_urls("wget", "wget", port);
	run_urls("wget", "busybox", port);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	check_git();
	return cases_end();
}
