/* One process a stage: it enters the stage's root once and runs what is missing there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "build.h"
#include "call.h"
#include "console.h"
#include "path.h"
#include "prepare.h"
#include "tar.h"

struct worker {
	struct build *b;
	struct stage_build *sb;
	int ctl, out;
	const struct meter *meter;
	bool late;              /* output of the step before was still unread when it ended */
	size_t step;            /* being worked on */
	char *tmp, *tmp_path;   /* this unit's directory in the store */
	int lock;
	int64_t start;          /* of the unit, ns since the epoch */
	struct state st;
	struct list lower;      /* directories of the layers below, lowest first */
};

static bool
unread(const struct worker *w)
{
	int n;

	return ioctl(w->out, FIONREAD, &n) < 0 || n > 0;
}

static int
send_message(struct worker *w, enum message_kind kind, bool cached)
{
	struct message m = { .kind = kind, .stage = (uint32_t)w->sb->plan->index, .step = (uint32_t)w->step, .cached = cached };

	if (kind == MSG_START)
		meter_begin(METER_NOTHING, NULL, 0);
	m.bytes = w->meter->done;
	m.files = w->meter->files;
	if (kind == MSG_DONE)
		w->late = m.waits = unread(w);
	/* MSG_START and MSG_DONE carry no story: send the head alone */
	return send(w->ctl, &m, offsetof(struct message, text), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* Says what is wanted and waits until the scheduler lets the worker go on. */
static int
ask(struct worker *w, enum message_kind kind, uint32_t stage, struct rt_err *e)
{
	struct message m = { .kind = kind, .stage = stage, .step = (uint32_t)w->step, .waits = true };
	ssize_t n;

	if (send(w->ctl, &m, offsetof(struct message, text), MSG_NOSIGNAL) < 0)
		return rt_fail(e, errno, "talk to the scheduler");
	do
		n = recv(w->ctl, &m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	return n > 0 ? 0 : rt_fail(e, n < 0 ? errno : 0, "the scheduler is gone");
}

static void
say_failed(struct worker *w, int status, int sig, const char *text)
{
	struct message m = { .kind = MSG_FAIL, .stage = (uint32_t)w->sb->plan->index, .step = (uint32_t)w->step,
		.status = status, .signal = sig };

	snprintf(m.text, sizeof(m.text), "%s", text);
	(void)!send(w->ctl, &m, sizeof(m), MSG_NOSIGNAL);
}

/* What the unit has begun goes away. */
static void
clean_up(struct worker *w)
{
	struct rt_err ignored;
	char *root;

	if (w->tmp == NULL)
		return;
	root = rt_printf("%s/root", w->tmp_path);
	overlay_umount(root, &ignored);
	free(root);
	rt_remove_tree(w->b->store.fd, w->tmp, &ignored);
	w->tmp = NULL;
}

static void __attribute__((noreturn))
fail(struct worker *w, int status, int sig, const char *text)
{
	clean_up(w);
	say_failed(w, status, sig, text);
	_exit(1);
}

/* The current step begins.  What a command writes comes another way than the word that its step has begun: behind a step
   with output that is still unread it waits until the scheduler knows, or would be taken for that step. */
static void
start_step(struct worker *w)
{
	struct rt_err e = { .status = RT_IO };

	if (!w->late || w->sb->plan->steps[w->step].verb != VERB_RUN) {
		send_message(w, MSG_START, false);
		return;
	}
	meter_begin(METER_NOTHING, NULL, 0);
	if (ask(w, MSG_START, (uint32_t)w->sb->plan->index, &e) < 0)
		fail(w, e.status, 0, e.text);
}

static int
sub_directory(struct worker *w, const char *name, char **path, struct rt_err *e)
{
	*path = rt_printf("%s/%s", w->tmp_path, name);
	return mkdir(*path, 0755) == 0 || errno == EEXIST ? 0 : rt_fail(e, errno, "make %s", *path);
}

static char *
layer_dir(const struct worker *w, const char *layer)
{
	return rt_printf("%s/layers/%s/diff", w->b->store.path, layer);
}

/* A fresh upper directory on top of all layers so far, mounted at tmp/root. */
static int
unit_begin(struct worker *w, char **root, struct rt_err *e)
{
	char *diff = NULL, *work = NULL, now[64];
	struct timespec ts;
	int fd, rc;

	if (store_tmp(&w->b->store, &w->tmp, &w->lock, e) < 0)
		return -1;
	w->tmp_path = rt_printf("%s/%s", w->b->store.path, w->tmp);
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	w->start = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	snprintf(now, sizeof(now), "%lld\n", (long long)w->start);
	rc = sub_directory(w, "diff", &diff, e);
	if (rc == 0)
		rc = sub_directory(w, "work", &work, e);
	if (rc == 0)
		rc = sub_directory(w, "root", root, e);
	if (rc == 0) {
		fd = openat(w->b->store.fd, w->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? rt_fail(e, errno, "open %s", w->tmp_path) : 0;
		if (rc == 0) {
			int file = openat(fd, "start", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

			rc = file < 0 ? rt_fail(e, errno, "make %s/start", w->tmp_path) : rt_write_all(file, now, strlen(now), "start", e);
			rt_close_fd(&file);
		}
		rt_close_fd(&fd);
	}
	if (rc == 0)
		rc = overlay_mount(*root, &w->lower, diff, work, e);
	free(diff);
	free(work);
	return rc;
}

/* A step that runs again: what an earlier build left under this name goes. */
static int
drop_old(struct worker *w, const char *key, struct rt_err *e)
{
	char *from = rt_printf("layers/%s", key), *to = NULL;
	int lock = -1, rc = 0;

	if (store_has_layer(&w->b->store, key)) {
		rc = store_tmp(&w->b->store, &to, &lock, e);
		if (rc == 0 && renameat(w->b->store.fd, from, w->b->store.fd, to) < 0)
			rc = rt_fail(e, errno, "move %s away", from);
		rt_close_fd(&lock);
	}
	free(from);
	free(to);
	return rc;
}

static int
mark_times(struct worker *w, struct rt_err *e)
{
	char *diff = rt_printf("%s/diff", w->tmp);
	int fd = openat(w->b->store.fd, diff, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 ? rt_fail(e, errno, "open %s", diff) : layer_mark(fd, w->start, e);

	rt_close_fd(&fd);
	free(diff);
	return rc;
}

static int
unit_end(struct worker *w, const struct unit *u, char *root, struct rt_err *e)
{
	static const char *const scraps[] = { "work", "root", "scratch" };
	char *dir;

	if (overlay_umount(root, e) < 0 || mark_times(w, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof(scraps) / sizeof(scraps[0]); i++) {
		char *name = rt_printf("%s/%s", w->tmp, scraps[i]);
		int rc = rt_remove_tree(w->b->store.fd, name, e);

		free(name);
		if (rc < 0)
			return -1;
	}
	if ((u->again && drop_old(w, u->key, e) < 0) || store_publish_layer(&w->b->store, w->tmp, u->key, e) < 0)
		return -1;
	rt_close_fd(&w->lock);
	free(w->tmp);
	free(w->tmp_path);
	w->tmp = w->tmp_path = NULL;
	dir = layer_dir(w, u->key);
	list_add(&w->lower, dir);
	free(dir);
	return 0;
}

static int
do_workdir(struct worker *w, const struct plan_step *s, const char *root, struct rt_err *e)
{
	char *written = state_workdir_path(&w->st, s->args[0]), *path = path_clean(written);
	struct rt_err ignored;
	struct user u = { 0 };
	int rc, fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* a name that does not resolve counts as 0:0: spec/execution.md 1.6 */
	if (user_resolve(fd, state_user(&w->st), &u, &ignored) < 0)
		u.uid = u.gid = 0;
	rc = workdir_make(fd, path, u.uid, u.gid, w->b->o->epoch, e);
	free(u.home);
	free(written);
	free(path);
	rt_close_fd(&fd);
	return rc;
}

static int
do_copy(struct worker *w, const struct plan_step *s, const char *root, struct rt_err *e)
{
	struct source_view v = { .source.rootfd = -1 };
	struct copy_file *files;
	struct copy_spec spec;
	char *scratch;
	int rc, fd;

	if (sub_directory(w, "scratch", &scratch, e) < 0)
		return -1;
	copy_spec_of(s, &w->st, w->b->o, &spec, &files);
	spec.tmp = scratch;
	if (s->excludes.n > 0 && (spec.exclude = ignore_patterns(&s->excludes, e)) == NULL)
		return -1;
	rc = spec.npaths > 0 || s->verb == VERB_COPY
	         ? view_open(w->b, spec.npaths > 0 ? s->origin : FROM_NOTHING, s->from, scratch, &v, e) : 0;
	if (rc == 0) {
		meter_begin(METER_COPY, NULL, 0);
		fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		rc = fd < 0 ? rt_fail(e, errno, "open %s", root) : copy_run(&v.source, fd, &spec, e);
		rt_close_fd(&fd);
	}
	view_end(&v);
	if (spec.exclude != NULL)
		ignore_free((struct ignore *)(uintptr_t)spec.exclude);
	free(files);
	free(scratch);
	return rc;
}

/* Exit status of the command, or -1 with `e` when it could not be run. */
static int
do_run(struct worker *w, const struct plan_step *s, const char *root, int *sig, struct rt_err *e)
{
	struct call call;
	char *scratch = NULL;
	int status = 0, rc = 0;

	if (s->nmounts > 0 && sub_directory(w, "scratch", &scratch, e) < 0)
		return -1;
	rc = call_make(w->b, &w->st, s, root, scratch, w->out, &call, e);
	if (rc == 0 && w->b->o->trace)
		call_trace(&call);
	if (rc == 0)
		rc = run_command(&call.spec, &status, sig, e);
	call_free(&call);
	free(scratch);
	return rc < 0 ? -1 : status;
}

/* --shell-on-failure: the scheduler has told the failure and stopped everything else when it lets us go on. */
static void
offer_shell(struct worker *w, const char *root)
{
	const struct plan_step *s = &w->sb->plan->steps[w->step];
	cleanup_free char *name = rt_printf("%s/shell", w->tmp_path);
	struct message m;
	struct rt_err e = { .status = RT_IO };
	int status;
	ssize_t n;

	do
		n = recv(w->ctl, &m, sizeof(m), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0 || mkdir(name, 0755) < 0)
		return;
	if (console_shell(w->b, &w->st, s, root, name, &status, &e) < 0)
		dprintf(STDERR_FILENO, "%s: %s\n", w->b->o->script, e.text);
}

/* The step in `root` has ended: goes on, or ends the stage. */
static void
check_status(struct worker *w, const char *root, int rc, int sig, const struct rt_err *e)
{
	char text[64];

	if (rc == 0)
		return;
	if (rc > 0)
		snprintf(text, sizeof(text), sig != 0 ? "killed by signal %d" : "exit status %d", sig != 0 ? sig : rc);
	if (!w->b->o->shell_on_failure)
		fail(w, rc < 0 ? e->status != 0 ? e->status : RT_IO : rc, sig, rc < 0 ? e->text : text);
	say_failed(w, rc < 0 ? e->status != 0 ? e->status : RT_IO : rc, sig, rc < 0 ? e->text : text);
	offer_shell(w, root);
	clean_up(w);
	_exit(1);
}

/* A chain of RUNs in one sandbox, unless one of them needs a sandbox of its own: then nothing is done yet. */
static void
do_chain(struct worker *w, const struct unit *u, const char *root)
{
	size_t n = u->end - u->first;
	struct call *calls = rt_alloc(n * sizeof(*calls));
	struct run_spec *specs = rt_alloc(n * sizeof(*specs));
	struct rt_err e = { .status = RT_IO };
	struct run_session session = { .ctl = -1, .rootfd = -1 };
	size_t made = 0;
	bool fits = true;

	/* RUN changes nothing of the state that the next one sees */
	for (; fits && made < n; made++) {
		const struct plan_step *s = &w->sb->plan->steps[u->first + made];

		fits = s->verb == VERB_RUN && s->nmounts == 0 && call_make(w->b, &w->st, s, root, NULL, w->out, &calls[made], &e) == 0;
		if (!fits)
			break;
		specs[made] = calls[made].spec;
	}
	fits = fits && run_session_fits(specs, n);
	if (fits && run_session_start(specs, n, &session, &e) < 0) {
		run_session_end(&session);
		fail(w, e.status, 0, e.text);
	}
	for (; fits && w->step < u->end; w->step++) {
		int status = 0, sig = 0, rc;

		start_step(w);
		if (w->b->o->trace)
			call_trace(&calls[w->step - u->first]);
		rc = run_session_step(&session, w->step - u->first, &status, &sig, &e);
		if (rc < 0 || status != 0)
			run_session_end(&session);
		check_status(w, root, rc < 0 ? -1 : status, sig, &e);
		send_message(w, MSG_DONE, false);
		if (state_apply(&w->st, &w->sb->plan->steps[w->step], &e) < 0)
			fail(w, e.status, 0, e.text);
	}
	run_session_end(&session);
	for (size_t i = 0; i < made; i++)
		call_free(&calls[i]);
	free(calls);
	free(specs);
}

static void
do_step(struct worker *w, const struct plan_step *s, const char *root)
{
	struct rt_err e = { .status = RT_IO };
	int rc = 0, sig = 0;

	start_step(w);
	switch (s->verb) {
	case VERB_RUN:
		rc = do_run(w, s, root, &sig, &e);
		break;
	case VERB_COPY:
	case VERB_ADD:
		rc = do_copy(w, s, root, &e);
		break;
	case VERB_WORKDIR:
		rc = do_workdir(w, s, root, &e);
		break;
	case VERB_FROM:
	case VERB_ARG:
	case VERB_SET:
		break;
	}
	check_status(w, root, rc, sig, &e);
	send_message(w, MSG_DONE, false);
}

/* Stages that the unit's steps take files from have to be finished first. */
static int
wait_for_sources(struct worker *w, const struct unit *u, struct rt_err *e)
{
	for (size_t i = u->first; i < u->end; i++) {
		const struct plan_step *s = &w->sb->plan->steps[i];

		if (s->origin == FROM_STAGE && ask(w, MSG_NEED, (uint32_t)build_stage(w->b, s->from)->plan->index, e) < 0)
			return -1;
		for (size_t k = 0; k < s->nmounts; k++)
			if (s->mounts[k].origin == FROM_STAGE &&
			    ask(w, MSG_NEED, (uint32_t)build_stage(w->b, s->mounts[k].from)->plan->index, e) < 0)
				return -1;
	}
	return 0;
}

/* One worker at a time makes a layer: whoever waited finds it made, by another stage that begins with the same steps or by
   another build.  The lock is held until the descriptor is closed. */
static int
lock_key(struct worker *w, const char *key, struct rt_err *e)
{
	char *name = rt_printf("keys/%s", key);
	int fd = openat(w->b->store.fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	if (fd < 0)
		rt_fail(e, errno, "open %s/%s", w->b->store.path, name);
	free(name);
	return fd;
}

static void
do_unit(struct worker *w, struct unit *u)
{
	struct rt_err e = { .status = RT_IO };
	char *root = NULL;
	int lock = -1;

	w->step = u->first;
	if (!u->cached) {
		if (wait_for_sources(w, u, &e) < 0 || ask(w, MSG_ACQUIRE, 0, &e) < 0 || (lock = lock_key(w, u->key, &e)) < 0)
			fail(w, e.status, 0, e.text);
		u->cached = store_has_layer(&w->b->store, u->key) && (!u->again || layer_start(&w->b->store, u->key) >= w->b->began);
	}
	if (u->cached) {
		char *dir = layer_dir(w, u->key);

		list_add(&w->lower, dir);
		free(dir);
	} else if (unit_begin(w, &root, &e) < 0) {
		fail(w, e.status, 0, e.text);
	}
	if (!u->cached && u->end - u->first > 1)
		do_chain(w, u, root);
	for (; w->step < u->end; w->step++) {
		const struct plan_step *s = &w->sb->plan->steps[w->step];

		if (u->cached) {
			send_message(w, MSG_START, true);
			send_message(w, MSG_DONE, true);
		} else {
			do_step(w, s, root);
		}
		if (state_apply(&w->st, s, &e) < 0)
			fail(w, e.status, 0, e.text);
	}
	w->step = u->end - 1;
	if (!u->cached && unit_end(w, u, root, &e) < 0)
		fail(w, e.status, 0, e.text);
	rt_close_fd(&lock);
	free(root);
}

static void
do_base(struct worker *w)
{
	struct rt_err e = { .status = RT_IO };

	if (w->sb->base != NULL && ask(w, MSG_NEED, (uint32_t)w->sb->base->plan->index, &e) < 0)
		fail(w, e.status, 0, e.text);
	if (w->sb->base_image) {
		bool cached = !w->sb->base_missing;

		if (!cached && ask(w, MSG_ACQUIRE, 0, &e) < 0)
			fail(w, e.status, 0, e.text);
		send_message(w, MSG_START, cached);
		if (stage_settle(w->b, w->sb, &e) < 0)
			fail(w, e.status, 0, e.text);
		send_message(w, MSG_DONE, cached);
	} else if (stage_settle(w->b, w->sb, &e) < 0) {
		fail(w, e.status, 0, e.text);
	}
	for (size_t i = 0; i < w->sb->nbase; i++) {
		char *dir = layer_dir(w, w->sb->layers.v[i]);

		list_add(&w->lower, dir);
		free(dir);
	}
}

void
worker_main(struct build *b, struct stage_build *sb, const struct worker_io *io)
{
	struct worker w = { .b = b, .sb = sb, .ctl = io->ctl, .out = io->out, .meter = io->meter, .lock = -1 };
	struct rt_err e = { .status = RT_IO };
	size_t u = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(022);
	meter_watch(NULL, NULL);
	meter_use(io->meter);
	rt_warn_watch(NULL, NULL);
	if (io->notes >= 0)
		dup2(io->notes, STDERR_FILENO);
	if (ns_private(&e) < 0)
		fail(&w, e.status, 0, e.text);
	state_copy(&w.st, &sb->begin);
	do_base(&w);
	for (w.step = 1; w.step < sb->plan->nsteps;) {
		if (u < sb->nunits && sb->units[u].first == w.step) {
			do_unit(&w, &sb->units[u]);
			w.step = sb->units[u++].end;
			continue;
		}
		if (state_apply(&w.st, &sb->plan->steps[w.step], &e) < 0)
			fail(&w, e.status, 0, e.text);
		w.step++;
	}
	_exit(0);
}
