/* USER and --chown against the passwd and group files of an image: execution.md 2 "User", language.md 6. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime/exec.h"

static int count, bad, root = -1;

static void
check(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++count, name);
	bad += !good;
}

/* Puts `text` into NAME of the root, NULL removes it. */
static void
put(const char *name, const char *text)
{
	int fd;

	unlinkat(root, name, 0);
	if (text == NULL)
		return;
	fd = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* "uid:gid home g,g,g" or the error. */
static void
expect(const char *spec, const char *want)
{
	struct user u;
	struct rt_err e = { 0 };
	struct str got = { 0 };
	char *name = rt_printf("USER %s is %s", spec != NULL ? spec : "(none)", want);

	if (user_resolve(root, spec, &u, &e) < 0) {
		str_puts(&got, strstr(e.text, want) != NULL ? want : e.text);
	} else {
		str_printf(&got, "%u:%u %s ", u.uid, u.gid, u.home);
		for (size_t i = 0; i < u.ngroups; i++)
			str_printf(&got, "%s%u", i > 0 ? "," : "", u.groups[i]);
	}
	check(strcmp(got.s, want) == 0, name);
	if (strcmp(got.s, want) != 0)
		printf("# got: %s\n", got.s);
	free(u.home);
	free(name);
	str_free(&got);
}

static void
expect_chown(const char *spec, bool empty, const char *want)
{
	uint32_t uid = 9, gid = 9;
	struct rt_err e = { 0 };
	int rc = user_chown(root, spec, empty, &uid, &gid, &e);
	char *got = rc < 0 ? rt_strdup("error") : rt_printf("%u:%u", uid, gid);
	char *name = rt_printf("--chown=%s%s is %s", spec, empty ? " on nothing" : "", want);

	check(strcmp(got, want) == 0, name);
	if (strcmp(got, want) != 0)
		printf("# got: %s %s\n", got, e.text);
	free(got);
	free(name);
}

static void
test_users(void)
{
	put("etc/passwd", "root:x:0:7:r:/root:/bin/sh\n# u1:x:1:1::/:\n\nbroken:x:one:2::/:\nshort:x:3\nu1:x:55:66:n:/home/u1:/bin/sh\n"
	                  "u2:x:77:88::\n12:x:500:501::/numeric:\nlast:x:4294967294:1::/last:/bin/sh");
	put("etc/group", "root:x:0:\nwheel:x:10:root,u1\nother:x:11:u11,xu1\nu1g:x:66:u1\nmore:x:67:u2,u1,u3\nbad:x:-4:u1\n");
	expect(NULL, "0:0 /root 0");
	expect("", "0:0 /root 0");
	expect("root", "0:7 /root 7");
	expect("u1", "55:66 /home/u1 66,10,67");
	expect("55", "55:66 /home/u1 66,10,67");
	expect("u1:", "55:66 /home/u1 66,10,67");
	expect("u1:wheel", "55:10 /home/u1 10");
	expect("u1:10", "55:10 /home/u1 10");
	expect("u1:999", "55:999 /home/u1 999");
	expect("u2", "77:88  88,67");
	expect("12", "500:501 /numeric 501");
	expect("999", "999:0 / 0");
	expect("999:wheel", "999:10 / 10");
	expect("4294967294", "4294967294:1 /last 1");
	expect("4294967295", "unable to find user");
	expect("-1", "unable to find user");
	expect("99999999999999999999", "unable to find user");
	expect("nobody", "unable to find user nobody");
	expect("short", "unable to find user short");
	expect("u1:nogroup", "unable to find group nogroup");
	expect(":wheel", "0:10 /root 10");
}

static void
test_chown(void)
{
	expect_chown("55", false, "55:55");
	expect_chown("u1", false, "55:66");
	expect_chown("u1:", false, "55:0");
	expect_chown(":wheel", false, "0:10");
	expect_chown("u1:wheel", false, "55:10");
	expect_chown("1:2", false, "1:2");
	expect_chown("nobody", false, "0:0");
	expect_chown("nobody:nogroup", false, "0:0");
	expect_chown("u1:nogroup", false, "55:0");
	expect_chown("u1", true, "error");
	expect_chown("1:wheel", true, "error");
	expect_chown("1:2", true, "1:2");
}

/* Files of the image that are no files, S4.3: in-root, regular, at most 16 MiB; nothing hangs. */
static void
test_hostile(void)
{
	struct str big = { 0 };
	int fd;

	put("etc/passwd", NULL);
	expect("u1", "unable to find user u1");
	expect("5", "5:0 / 0");
	expect(NULL, "0:0 / 0");
	if (symlinkat("../../../../../real", root, "etc/passwd") == 0)
		put("real", "in:x:3:4::/in:\n");
	expect("in", "3:4 /in 4");
	put("real", NULL);
	put("etc/passwd", NULL);
	if (symlinkat("/etc/passwd", root, "etc/passwd") == 0)
		expect("5", "passwd");
	put("etc/passwd", NULL);
	mkfifoat(root, "etc/passwd", 0644);
	alarm(10);
	expect("5", "not a regular file");
	put("etc/passwd", NULL);
	mkdirat(root, "etc/passwd", 0755);
	expect("5", "not a regular file");
	unlinkat(root, "etc/passwd", AT_REMOVEDIR);
	put("etc/passwd", "a:x:1:2::/:\n");
	fd = openat(root, "etc/passwd", O_WRONLY | O_CLOEXEC);
	if (ftruncate(fd, (16 << 20) + 1) == 0)
		expect("a", "larger than 16 MiB");
	close(fd);
	str_puts(&big, "g:x:5:");
	for (int i = 0; i < 200; i++)
		str_printf(&big, "%sm%d", i > 0 ? "," : "", i);
	for (int i = 0; i < 100; i++)
		str_printf(&big, "\ng%d:x:%d:m7", i, 1000 + i);
	put("etc/passwd", "m7:x:7:7::/:\n");
	put("etc/group", big.s);
	expect("m7", "more than 64 groups");
	str_free(&big);
}

int
main(void)
{
	char dir[] = "/tmp/dockcc-passwd.XXXXXX";
	struct rt_err e;

	if (mkdtemp(dir) == NULL || (root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 || mkdirat(root, "etc", 0755) < 0) {
		printf("Bail out! %s: %s\n", dir, strerror(errno));
		return 1;
	}
	test_users();
	test_chown();
	test_hostile();
	close(root);
	check(rt_remove_tree(AT_FDCWD, dir, &e) == 0, "cleaned up");
	printf("1..%d\n", count);
	return bad != 0;
}
