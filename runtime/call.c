#include "call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "path.h"

/* Both spellings of the proxy variables that were given, whether declared or not: spec/language.md 4.7. */
static void
add_proxies(const struct build_options *o, struct list *env)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY" };

	for (size_t i = 0; i < o->build_args.n; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			size_t n = strlen(names[k]);
			const char *arg = o->build_args.v[i];
			char *pair;

			if (strncasecmp(arg, names[k], n) != 0 || arg[n] != '=')
				continue;
			for (int lower = 0; lower < 2; lower++) {
				pair = rt_strdup(arg);
				for (size_t c = 0; c < n; c++)
					pair[c] = (char)(lower ? names[k][c] == '_' ? '_' : names[k][c] + 32 : names[k][c]);
				list_add(env, pair);
				free(pair);
			}
		}
}

static const char *
build_arg(const struct build_options *o, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = o->build_args.n; i-- > 0;)
		if (strncmp(o->build_args.v[i], name, n) == 0 && o->build_args.v[i][n] == '=')
			return o->build_args.v[i] + n + 1;
	return NULL;
}

/* --trace: the shell shows what it runs, where it is one that knows -x.  No part of the key: the files are the same. */
static void
trace_shell(struct list *argv)
{
	static const char *const shells[] = { "sh", "ash", "bash", "dash", "ksh", "mksh", "yash", "zsh" };
	const char *slash = argv->n > 1 ? strrchr(argv->v[0], '/') : NULL, *name = slash != NULL ? slash + 1 : argv->n > 1 ? argv->v[0] : "";
	bool known = false;

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		known = known || strcmp(name, shells[i]) == 0;
	if (!known)
		return;
	list_add(argv, "");
	free(argv->v[argv->n - 1]);
	memmove(&argv->v[2], &argv->v[1], (argv->n - 2) * sizeof(*argv->v));
	argv->v[1] = rt_strdup("-x");
}

void
call_trace(const struct call *c)
{
	static const char *const kinds[] = { [RUN_MOUNT_BIND] = "bind", [RUN_MOUNT_CACHE] = "cache", [RUN_MOUNT_TMPFS] = "tmpfs",
		[RUN_MOUNT_SECRET] = "secret", [RUN_MOUNT_SSH] = "ssh" };
	struct rt_err ignored;
	struct str b = { 0 };

	for (size_t i = 0; i < c->spec.nmounts; i++)
		str_printf(&b, "+ mount %s %s\n", kinds[c->spec.mounts[i].kind], c->spec.mounts[i].target);
	str_printf(&b, "+ in %s as %s:", c->cwd, c->spec.user != NULL && *c->spec.user != '\0' ? c->spec.user : "root");
	for (size_t i = 0; i < c->argv.n; i++)
		str_printf(&b, " %s", c->argv.v[i]);
	str_putc(&b, '\n');
	rt_write_all(c->spec.out_fd, b.s, b.len, "trace", &ignored);
	str_free(&b);
}

int
call_make(struct build *b, const struct state *st, const struct plan_step *s, const char *root, const char *scratch, int out,
          struct call *c, struct rt_err *e)
{
	bool script = s->script != NULL && s->nargs > 0;

	*c = (struct call){ 0 };
	state_argv(st, s, &c->argv);
	if (b->o->trace && !s->exec && s->script == NULL)
		trace_shell(&c->argv);
	state_env(st, &c->env);
	add_proxies(b->o, &c->env);
	if (prepare_mounts(b, st, s, scratch, &c->mounts, &c->env, e) < 0)
		return -1;
	c->cwd = path_clean(state_workdir(st));
	c->spec = (struct run_spec){
		.root = root, .argv = (const char *const *)c->argv.v, .env = (const char *const *)c->env.v, .cwd = c->cwd,
		.user = state_user(st), .hostname = build_arg(b->o, "BUILDKIT_SANDBOX_HOSTNAME"),
		.add_hosts = (const char *const *)b->o->add_hosts.v, .mounts = c->mounts.v, .nmounts = c->mounts.n,
		.script_name = s->script, .script = script ? s->args[0] : NULL, .script_len = script ? strlen(s->args[0]) : 0,
		.net_none = s->network != NULL && strcmp(s->network, "none") == 0,
		.insecure = s->security != NULL && strcmp(s->security, "insecure") == 0,
		.out_fd = out,
	};
	return 0;
}

void
call_free(struct call *c)
{
	prepare_release(&c->mounts);
	list_free(&c->argv);
	list_free(&c->env);
	free(c->cwd);
	*c = (struct call){ 0 };
}
