/* `dockcc-rt build`: reads a plan, runs what is missing, writes the image. */
#include "build.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bundle.h"
#include "cache.h"
#include "console.h"
#include "fresh.h"
#include "lock.h"
#include "output.h"
#include "registry.h"
#include "verbs.h"
#include "verify.h"

static int
number(const char *s, unsigned *out, struct rt_err *e)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (!isdigit((unsigned char)*s) || *end != '\0' || n == 0 || n > 4096)
		return rt_fail_status(e, RT_USAGE, "--jobs takes a number from 1 to 4096, not %s", s);
	*out = (unsigned)n;
	return 0;
}

static int
progress_kind(const char *s, enum progress_kind *out, struct rt_err *e)
{
	static const struct {
		const char *name;
		enum progress_kind kind;
	} kinds[] = { { "auto", PROGRESS_AUTO }, { "plain", PROGRESS_PLAIN }, { "tty", PROGRESS_TTY }, { "raw", PROGRESS_RAW },
		{ "quiet", PROGRESS_QUIET }, { "json", PROGRESS_JSON }, { "rawjson", PROGRESS_JSON } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(s, kinds[i].name) == 0) {
			*out = kinds[i].kind;
			return 0;
		}
	return rt_fail_status(e, RT_USAGE, "--progress is auto, tty, plain, raw, quiet or rawjson, not %s", s);
}

/* Seconds since the epoch, from SOURCE_DATE_EPOCH as a build argument or in the environment. */
static int
source_date(struct build_options *o, struct rt_err *e)
{
	const char *s = getenv("SOURCE_DATE_EPOCH");
	char *end;

	for (size_t i = 0; i < o->build_args.n; i++)
		if (strncmp(o->build_args.v[i], "SOURCE_DATE_EPOCH=", 18) == 0)
			s = o->build_args.v[i] + 18;
	o->epoch = -1;
	if (s == NULL || *s == '\0')
		return 0;
	errno = 0;
	o->epoch = strtoll(s, &end, 10);
	if (!isdigit((unsigned char)*s) || *end != '\0' || errno != 0)
		return rt_fail_status(e, RT_USAGE, "SOURCE_DATE_EPOCH=%s is no number of seconds", s);
	return 0;
}

struct string_option {
	const char *name;
	const char **to;
	struct list *list;
};

static int
string_option(const struct string_option *table, size_t n, const char *word, struct rt_err *e)
{
	const char *eq = strchr(word, '=');
	size_t len = eq != NULL ? (size_t)(eq - word) : strlen(word);

	for (size_t i = 0; eq != NULL && i < n; i++) {
		if (strlen(table[i].name) != len || strncmp(table[i].name, word, len) != 0)
			continue;
		if (table[i].list != NULL)
			list_add(table[i].list, eq + 1);
		else
			*table[i].to = eq + 1;
		return 0;
	}
	return rt_fail_status(e, RT_USAGE, "build does not know %s", word);
}

/* A descriptor that the script has opened for a shell; programs of the host do not get it. */
static int
console_option(const char *s, int *out, struct rt_err *e)
{
	if (!isdigit((unsigned char)s[0]) || s[1] != '\0' || fcntl(s[0] - '0', F_SETFD, FD_CLOEXEC) < 0)
		return rt_fail_status(e, RT_USAGE, "--console takes an open descriptor, not %s", s);
	*out = s[0] - '0';
	return 0;
}

int
build_option(struct build_options *o, const char *word, struct rt_err *e)
{
	const struct string_option table[] = {
		{ "--script", &o->script, NULL }, { "--context", &o->context, NULL }, { "--dockerfile", &o->dockerfile, NULL },
		{ "--ignorefile", &o->ignore_file, NULL }, { "--target", &o->target, NULL }, { "--store", &o->store, NULL },
		{ "--mode", &o->mode, NULL }, { "--platform", &o->platform, NULL }, { "--iidfile", &o->iidfile, NULL },
		{ "--metadata-file", &o->metadata_file, NULL }, { "--output", NULL, &o->outputs }, { "--tag", NULL, &o->tags },
		{ "--build-context", NULL, &o->contexts }, { "--secret", NULL, &o->secrets }, { "--ssh", NULL, &o->ssh },
		{ "--build-arg", NULL, &o->build_args }, { "--label", NULL, &o->labels }, { "--annotation", NULL, &o->annotations },
		{ "--add-host", NULL, &o->add_hosts }, { "--timeline", &o->timeline, NULL },
		{ "--from-step", &o->from_step, NULL }, { "--until-step", &o->until_step, NULL }, { "--shell", &o->shell, NULL },
		{ "--record", &o->record, NULL }, { "--verify", &o->verify, NULL }, { "--hide", NULL, &o->hidden },
		{ "--cache-from", NULL, &o->cache_from }, { "--cache-to", NULL, &o->cache_to },
		{ "--lock", &o->lock_mode, NULL }, { "--lock-file", &o->lock_file, NULL },
	};

	if (strcmp(word, "--no-cache") == 0)
		o->no_cache = true;
	else if (strcmp(word, "--squash") == 0)
		o->squash = true;
	else if (strcmp(word, "--dry-run") == 0)
		o->dry_run = true;
	else if (strcmp(word, "--list") == 0)
		o->list = true;
	else if (strcmp(word, "--shell-on-failure") == 0)
		o->shell_on_failure = true;
	else if (strcmp(word, "--keep-going") == 0)
		o->keep_going = true;
	else if (strcmp(word, "--trace") == 0)
		o->trace = true;
	else if (strncmp(word, "--console=", 10) == 0)
		return console_option(word + 10, &o->console, e);
	else if (net_option(word))
		return 0;
	else if (strncmp(word, "--locked=", 9) == 0)
		return lock_option(o, word + 9, e);
	else if (strcmp(word, "--push") == 0)
		list_add(&o->outputs, "type=registry");
	else if (strncmp(word, "--jobs=", 7) == 0)
		return number(word + 7, &o->jobs, e);
	else if (strncmp(word, "--progress=", 11) == 0)
		return progress_kind(word + 11, &o->progress, e);
	else
		return string_option(table, sizeof(table) / sizeof(table[0]), word, e);
	return 0;
}

void
build_options_begin(struct build_options *o)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	*o = (struct build_options){ .script = "build.sh", .dockerfile = "Dockerfile", .console = -1, .jobs = cpus > 0 ? (unsigned)cpus : 1 };
	o->mode = getenv("DOCKCC_MODE");
	build_contexts(o);
}

/* auto: what $BUILDKIT_PROGRESS says, else live on a terminal that can move its cursor, else plain. */
static int
settle_progress(struct build_options *o, struct rt_err *e)
{
	const char *wish = getenv("BUILDKIT_PROGRESS"), *term = getenv("TERM");
	bool terminal = isatty(STDERR_FILENO) && term != NULL && *term != '\0' && strcmp(term, "dumb") != 0;

	if (o->progress == PROGRESS_AUTO && wish != NULL && *wish != '\0' && (terminal || strcmp(wish, "tty") != 0) &&
	    progress_kind(wish, &o->progress, e) < 0)
		return rt_prefix(e, "$BUILDKIT_PROGRESS");
	if (o->progress == PROGRESS_AUTO)
		o->progress = terminal && !o->trace ? PROGRESS_TTY : PROGRESS_PLAIN;
	if (o->progress == PROGRESS_TTY && !isatty(STDERR_FILENO))
		return rt_fail_status(e, RT_USAGE, "--progress=tty: standard error is not a terminal");
	return 0;
}

int
build_options_end(struct build_options *o, struct rt_err *e)
{
	if (o->store != NULL && *o->store == '\0')
		o->store = NULL;
	if (o->context != NULL && *o->context == '\0')
		o->context = NULL;
	return lock_environment(o, e) < 0 || source_date(o, e) < 0 || output_check(o, e) < 0 || cache_check(o, e) < 0 ||
	       settle_progress(o, e) < 0 ? -1 : 0;
}

static int
parse_options(struct build_options *o, char **argv, struct rt_err *e)
{
	build_options_begin(o);
	for (; *argv != NULL; argv++)
		if (build_option(o, *argv, e) < 0)
			return -1;
	return build_options_end(o, e);
}

/* The platform as GOOS/GOARCH names it, from the option or the machine. */
int
build_platform(struct build *b, struct rt_err *e)
{
	struct utsname u;
	char *copy, *part, *rest;

	b->os = "linux";
	if (b->o->platform == NULL) {
		uname(&u);
		b->arch = strcmp(u.machine, "x86_64") == 0 ? "amd64" : strcmp(u.machine, "aarch64") == 0 ? "arm64" : rt_strdup(u.machine);
		return 0;
	}
	copy = rest = rt_strdup(b->o->platform); /* kept: the parts point into it */
	part = strsep(&rest, "/");
	b->os = part;
	b->arch = strsep(&rest, "/");
	b->variant = rest;
	if (b->arch == NULL || strcmp(b->os, "linux") != 0)
		return rt_fail_status(e, RT_USAGE, "--platform=%s: this program builds linux/ARCH[/VARIANT]", copy);
	return 0;
}

static void
rfc3339(int64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

const char *
build_created(const struct build_options *o, char out[32])
{
	rfc3339(o->epoch >= 0 ? o->epoch : 0, out);
	return out;
}

/* --list and --dry-run: one line a step, with what would happen to it. */
static void
list_step(const struct plan_step *s, const char *what)
{
	char *title = step_title(s), *shown;

	title[strcspn(title, "\n")] = '\0';
	shown = rt_printable(title);
	printf("%-10s %-7s %5s  %-60s %s\n", s->id, verb_name(s->verb), s->lines, shown, what);
	free(shown);
	free(title);
}

static const char *
fate(const struct stage_build *sb, size_t step)
{
	if (step == 0 && sb->base_image)
		return sb->base_missing ? "UNPACK" : "CACHED";
	for (size_t u = 0; u < sb->nunits; u++)
		if (step >= sb->units[u].first && step < sb->units[u].end)
			return sb->units[u].cached ? "CACHED" : sb->needed ? "RUN" : "SKIP";
	return "";
}

static int
list_steps(const struct build *b)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		for (size_t k = 0; k < b->plan.stages[i].nsteps; k++)
			list_step(&b->plan.stages[i].steps[k], b->o->dry_run ? fate(&b->stages[i], k) : "");
	fflush(stdout);
	return 0;
}

static int
look(struct build *b, struct rt_err *e)
{
	for (size_t i = 0; i < b->plan.nstages; i++)
		if (fresh_look(b, &b->plan.stages[i], e) < 0)
			return -1;
	return 0;
}

static int
run_build(struct build *b, struct rt_err *e)
{
	struct timespec now;

	progress_open(b);
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	b->began = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (contexts_make(b, e) < 0 || look(b, e) < 0 || build_keys(b, e) < 0 || cache_import(b, e) < 0)
		return -1;
	if (b->o->dry_run)
		return list_steps(b);
	progress_plan(b);
	if (store_clean(&b->store, e) < 0)
		return -1;
	if (sched_run(b, e) < 0 || output_write(b, e) < 0)
		return -1;
	store_clean(&b->store, &(struct rt_err){ 0 }); /* of builds that were still dying when this one began */
	return cache_export(b, e);
}

static const char *
kind_of(int status)
{
	return status == RT_USAGE ? "usage" : status == RT_DIGEST ? "digest" : status == RT_NOMODE ? "mode" : status > 128 ? "interrupted" : "io";
}

/* Opens what the build works in; contexts that a bundle brought along last as long as it. */
static int
open_build(struct build *b, struct build_options *o, struct rt_err *e)
{
	cleanup_free char *unpacked = NULL;
	cleanup_fd int lock = -1;
	int rc;

	if (bundle_images(o, e) < 0 || store_open(&b->store, o->store, e) < 0)
		return -1;
	rc = bundle_contexts(o, &b->store, &unpacked, &lock, e);
	if (rc == 0 && o->lock_mode != NULL)
		rc = lock_write(b, e);
	else if (rc == 0)
		rc = lock_plan(b, e) < 0 || ns_enter(o->mode, &b->mode, e) < 0 ? -1 : run_build(b, e);
	if (unpacked != NULL)
		rt_remove_tree(b->store.fd, unpacked, &(struct rt_err){ 0 });
	return rc;
}

void
build_failed(struct build *b, struct rt_err *e)
{
	const struct plan_step *s = b->failed_step != NULL ? b->failed_step : b->failing;
	cleanup_free char *shown = rt_printable(e->text);
	bool silent = b->o->progress == PROGRESS_JSON && b->progress != NULL;

	if (silent && e->text[0] != '\0')
		progress_note(b, shown);
	else if (e->text[0] != '\0')
		dprintf(STDERR_FILENO, "dockcc-rt: %s\n", shown);
	if (!silent && (e->text[0] != '\0' || b->failed_step != NULL))
		dprintf(STDERR_FILENO, "%s: failed step=%s line=%s status=%d kind=%s\n", b->o->script, s != NULL ? s->id : "-",
		        s != NULL ? s->lines : "-", e->status, s != NULL ? verb_name(s->verb) : kind_of(e->status));
	e->text[0] = '\0';
}

/* What is done with a finished build besides writing its image. */
static int
after_build(struct build *b, struct rt_err *e)
{
	if (b->o->record != NULL && verify_record(b, b->o->record, e) < 0)
		return -1;
	if (b->o->verify != NULL && verify_compare(b, b->o->verify, e) < 0)
		return -1;
	return b->o->shell != NULL ? console_visit(b, b->target, e) : 0;
}

int
cmd_build(char **argv, struct rt_err *e)
{
	struct build_options o;
	struct build b = { .o = &o, .own = &o, .context_fd = -1, .store.fd = -1 };
	struct rt_err last = { .status = RT_IO };
	int rc;

	/* whoever kills the script means the build */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	rt_catch_signals();
	rc = parse_options(&o, argv, e) < 0 || build_platform(&b, e) < 0 || plan_read(STDIN_FILENO, &b.plan, e) < 0 ||
	     goal_cut(&b, &o, e) < 0 || (o.list ? list_steps(&b) : open_build(&b, &o, e)) < 0 ? -1 : 0;
	if (rc < 0 && rt_stopped() != 0 && b.failed_step == NULL)
		rt_fail_status(e, 128 + rt_stopped(), "interrupted");
	rt_forget_signal();
	if (progress_close(&b, rc < 0 ? e->status : 0, &last) < 0 && rc == 0) {
		*e = last;
		rc = -1;
	} else if (last.text[0] != '\0') {
		rt_warn("%s", last.text);
	}
	if (rc == 0 && b.target != NULL && !o.dry_run)
		rc = after_build(&b, e);
	if (rc < 0)
		build_failed(&b, e);
	contexts_drop(&b);
	return rc;
}
