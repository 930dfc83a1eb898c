/* docker's config.json: auths, credHelpers, credsStore.  docker-credential-* speak JSON over their standard streams. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "registry.h"
#include "stream.h"

static void
base64(struct str *out, const char *s, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)(unsigned char)s[i] << 16 | (i + 1 < n ? (unsigned)(unsigned char)s[i + 1] << 8 : 0) |
		             (i + 2 < n ? (unsigned char)s[i + 2] : 0);

		str_putc(out, digits[v >> 18]);
		str_putc(out, digits[v >> 12 & 63]);
		str_putc(out, i + 1 < n ? digits[v >> 6 & 63] : '=');
		str_putc(out, i + 2 < n ? digits[v & 63] : '=');
	}
}

static char *
basic(const char *user, const char *password)
{
	struct str b = { 0 };
	char *pair = rt_printf("%s:%s", user, password);

	str_puts(&b, "Basic ");
	base64(&b, pair, strlen(pair));
	explicit_bzero(pair, strlen(pair));
	free(pair);
	return b.s;
}

static struct json *
read_config(void)
{
	const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	char *path = dir != NULL && *dir != '\0' ? rt_printf("%s/config.json", dir) : rt_printf("%s/.docker/config.json", home != NULL ? home : "");
	struct rt_err ignored = { 0 };
	struct str text = { 0 };
	struct json *j = NULL;

	if (rt_read_file(AT_FDCWD, path, 1 << 20, &text, &ignored) == 0)
		j = json_parse(text.s != NULL ? text.s : "", text.len, path, &ignored);
	str_free(&text);
	free(path);
	return j;
}

/* The member `key` of an object, whatever bytes the key has. */
static const struct json *
member(const struct json *j, const char *key)
{
	for (size_t i = 0; j != NULL && j->type == JSON_OBJECT && i < j->n; i++)
		if (strcmp(j->v[i]->key, key) == 0)
			return j->v[i];
	return NULL;
}

static const char *
member_string(const struct json *j, const char *key)
{
	const struct json *m = member(j, key);

	return m != NULL && m->type == JSON_STRING && *m->s != '\0' ? m->s : NULL;
}

static char *
ask_helper(const char *name, const char *host)
{
	char *program = rt_printf("docker-credential-%s", name), *answer = NULL;
	const char *const argv[] = { program, "get", NULL };
	struct program p = { .in = -1, .out = -1 };
	struct rt_err ignored = { 0 };
	struct str text = { 0 };
	char block[1024];
	struct json *j;
	ssize_t n;

	if (strchr(name, '/') == NULL && program_start(&p, argv, &ignored) == 0) {
		(void)!write(p.in, host, strlen(host));
		rt_close_fd(&p.in);
		while ((n = read(p.out, block, sizeof(block))) > 0 && text.len < 65536)
			str_add(&text, block, (size_t)n);
		if (program_end(&p, &ignored) == 0 && (j = json_parse(text.s != NULL ? text.s : "", text.len, program, &ignored)) != NULL) {
			const char *user = json_string_at(j, "/Username"), *secret = json_string_at(j, "/Secret");

			if (user != NULL && secret != NULL)
				answer = basic(user, secret);
			json_free(j);
		}
	}
	str_free(&text);
	free(program);
	return answer;
}

char *
credentials_basic(const char *host)
{
	struct json *config = read_config();
	const char *hub = "https://index.docker.io/v1/", *helper, *auth;
	const char *name = strcmp(host, "docker.io") == 0 ? hub : host;
	const struct json *entry;
	char *answer = NULL;

	if ((helper = member_string(member(config, "credHelpers"), name)) != NULL ||
	    (helper = member_string(config, "credsStore")) != NULL)
		answer = ask_helper(helper, name);
	entry = member(member(config, "auths"), name);
	if (answer == NULL && (auth = member_string(entry, "auth")) != NULL)
		answer = rt_printf("Basic %s", auth);
	if (answer == NULL && member_string(entry, "username") != NULL && member_string(entry, "password") != NULL)
		answer = basic(member_string(entry, "username"), member_string(entry, "password"));
	json_free(config);
	return answer;
}
