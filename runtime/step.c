/* `dockcc-rt step`: the steps of one target of a Makefile.  The stage so far comes from the stamp of the target before. */
#include "step.h"
#include "fresh.h"
#include "lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verbs.h"

static int
read_arg(struct part *c, const char *path, struct rt_err *e)
{
	char *name, *value, *variable;

	if (stamp_read_arg(path, &name, &value, e) < 0)
		return -1;
	variable = rt_printf("b_%s", name);
	vars_set(&c->vars, variable, value);
	free(variable);
	free(name);
	free(value);
	return 0;
}

int
part_option(struct part *c, const char *word, struct rt_err *e)
{
	if (strncmp(word, "--stamp=", 8) == 0)
		c->stamp = word + 8;
	else if (strncmp(word, "--outcome=", 10) == 0)
		c->outcome = word + 10;
	else if (strncmp(word, "--after=", 8) == 0)
		c->after = word + 8;
	else if (strncmp(word, "--stage=", 8) == 0)
		list_add(&c->stages, word + 8);
	else if (strncmp(word, "--arg=", 6) == 0)
		return read_arg(c, word + 6, e) < 0 ? -1 : 1;
	else if (strcmp(word, "--if-cached") == 0)
		c->if_cached = true;
	else if (strcmp(word, "--counted") == 0)
		c->counted = true;
	else if (strncmp(word, "--build-arg=", 12) == 0 && strcmp(word + 12 + strcspn(word + 12, "="), "=(default)") == 0)
		return 1;
	else
		return 0;
	return 1;
}

char *
part_store_name(const struct part *c)
{
	struct stat st = { 0 };

	fstat(c->b.store.fd, &st);
	return rt_printf("%s %llu", c->b.store.path, (unsigned long long)st.st_ino);
}

/* Options of a whole build: a target of a Makefile is one part of it. */
static int
whole_builds_only(const struct build_options *o, struct rt_err *e)
{
	const struct {
		const char *name, *value;
	} options[] = { { "--timeline", o->timeline }, { "--from-step", o->from_step }, { "--until-step", o->until_step },
		{ "--shell", o->shell }, { "--record", o->record }, { "--verify", o->verify } };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].value != NULL)
			return rt_fail_status(e, RT_USAGE, "%s is an option of scripts; a Makefile has targets", options[i].name);
	return 0;
}

int
part_open(struct part *c, struct rt_err *e)
{
	c->b.o = &c->o;
	c->b.context_fd = -1;
	if (whole_builds_only(&c->o, e) < 0)
		return -1;
	if (build_options_end(&c->o, e) < 0 || build_platform(&c->b, e) < 0 || store_open(&c->b.store, c->o.store, e) < 0)
		return -1;
	if (c->after == NULL)
		return 0;
	if (stamp_read(c->after, &c->before, e) < 0)
		return -1;
	for (size_t i = 0; i < c->before.vars.n; i++)
		vars_set(&c->vars, c->before.vars.v[i].name, c->before.vars.v[i].value);
	return 0;
}

void
part_stage(struct stage_build *sb, struct plan_stage *p, const struct stamp *s, bool keyed)
{
	const struct list *l = keyed ? &s->keyed : &s->layers;

	*sb = (struct stage_build){ .plan = p, .settled = true, .done = true };
	if (p->id == NULL)
		p->id = p->name = s->stage;
	for (size_t i = 0; i < l->n; i++)
		list_add(&sb->layers, l->v[i]);
	sb->nbase = l->n;
	snprintf(sb->fs, sizeof(sb->fs), "%s", s->fs);
	state_copy(&sb->begin, &s->state);
	state_copy(&sb->end, &s->state);
}

int
part_layers(const struct part *c, const struct stage_build *sb, struct rt_err *e)
{
	for (size_t i = 0; i < sb->nbase; i++)
		if (!store_has_layer((struct store *)(uintptr_t)&c->b.store, sb->layers.v[i]))
			return rt_fail(e, 0, "the store does not hold layer %.12s of stage %s any more: make clean and begin again",
			               sb->layers.v[i], sb->plan->id);
	return 0;
}

/* ---- the steps ------------------------------------------------------------------------------------ */

/* What the words of later steps may read of the base image: --base=VARIABLE=NAME. */
static int
load_base(struct part *c, const struct plan_step *s, const struct list *base, struct rt_err *e)
{
	struct image im;
	struct json *config, *env;

	if (base->n == 0)
		return 0;
	if (lock_image(&c->b, s->from, e) < 0 || image_config(&c->b.store, s->from, build_location(&c->b, s->from), c->o.platform, &im, e) < 0)
		return -1;
	config = json_parse(im.config_json, im.config_len, s->from, e);
	env = json_at(config, "/config/Env");
	for (size_t i = 0; i < base->n; i++) {
		char *variable = rt_strndup(base->v[i], strcspn(base->v[i], "="));
		const char *name = base->v[i] + strlen(variable) + 1;
		size_t n = strlen(name);

		vars_set(&c->vars, variable, NULL);
		for (size_t k = 0; env != NULL && k < env->n; k++)
			if (env->v[k]->s != NULL && strncmp(env->v[k]->s, name, n) == 0 && env->v[k]->s[n] == '=')
				vars_set(&c->vars, variable, env->v[k]->s + n + 1);
		free(variable);
	}
	image_free(&im);
	if (config == NULL)
		return -1;
	json_free(config);
	return 0;
}

static size_t
count_words(char **argv)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

static int
one_group(struct part *c, struct plan_stage *stage, char **argv, size_t n, struct rt_err *e)
{
	struct plan_step *s;
	struct list base = { 0 };
	int rc;

	stage->steps = rt_grow(stage->steps, (stage->nsteps + 1) * sizeof(*s));
	s = &stage->steps[stage->nsteps];
	rc = group_step(c, (const char *const *)argv, n, s, &base, e);
	if (rc == 0 && (stage->nsteps == 0) != (s->verb == VERB_FROM))
		rc = rt_fail_status(e, RT_USAGE, "step %s: a stage begins with its one from; others need --after", s->id);
	if (rc == 0)
		rc = load_base(c, s, &base, e);
	stage->nsteps++;
	list_free(&base);
	return rc;
}

/* Reads all steps of the call into `stage`, behind what stands for FROM when the stage has begun before. */
static int
read_steps(struct part *c, struct plan_stage *stage, char **argv, struct rt_err *e)
{
	static const char *const from[] = { "-", "-", "from", "--scratch", "scratch" };

	if (c->after != NULL) {
		stage->steps = rt_alloc(sizeof(*stage->steps));
		if (plan_step(&stage->steps[stage->nsteps++], from, 5, e) < 0)
			return -1;
	}
	if (!c->counted)
		return one_group(c, stage, argv, count_words(argv), e);
	while (*argv != NULL) {
		size_t n = strtoul(*argv, NULL, 10);

		if (n == 0 || n > count_words(argv + 1))
			return rt_fail_status(e, RT_USAGE, "--counted: %s is not the number of words of a step", *argv);
		if (one_group(c, stage, argv + 1, n, e) < 0)
			return -1;
		argv += n + 1;
	}
	return 0;
}

/* The stage's id is its steps' without the number. */
static int
name_stage(struct plan_stage *stage, bool begun, struct rt_err *e)
{
	const char *id, *dot;

	if (stage->nsteps <= begun)
		return rt_fail_status(e, RT_USAGE, "step takes the words of a step");
	id = stage->steps[stage->nsteps - 1].id;
	dot = strrchr(id, '.');
	stage->id = stage->name = rt_strndup(id, dot != NULL ? (size_t)(dot - id) : strlen(id));
	for (size_t i = 0; i < stage->nsteps; i++)
		stage->steps[i].stage = stage;
	return 0;
}

static int
check_source(const struct part *c, const struct plan_step *s, enum origin origin, const char *from, struct rt_err *e)
{
	const struct plan_stage *p = origin == FROM_STAGE ? plan_stage(&c->b.plan, from) : NULL;

	if (origin == FROM_STAGE && (p == NULL || p->index + 1 >= c->b.plan.nstages))
		return rt_fail_status(e, RT_USAGE, "step %s needs stage %s: give its stamp with --stage", s->id, from);
	return 0;
}

static int
check_sources(const struct part *c, const struct plan_stage *stage, struct rt_err *e)
{
	for (size_t i = 0; i < stage->nsteps; i++) {
		const struct plan_step *s = &stage->steps[i];

		if (check_source(c, s, s->origin, s->from, e) < 0)
			return -1;
		for (size_t m = 0; m < s->nmounts; m++)
			if (check_source(c, s, s->mounts[m].origin, s->mounts[m].from, e) < 0)
				return -1;
	}
	return 0;
}

/* Stages from stamps, then the one that is worked on. */
static int
read_plan(struct part *c, char **argv, struct rt_err *e)
{
	struct build *b = &c->b;
	struct stamp *stamps = rt_alloc((c->stages.n + 1) * sizeof(*stamps));

	b->plan.stages = rt_alloc((c->stages.n + 1) * sizeof(*b->plan.stages));
	b->stages = rt_alloc((c->stages.n + 1) * sizeof(*b->stages));
	for (size_t i = 0; i < c->stages.n; i++) {
		if (stamp_read(c->stages.v[i], &stamps[i], e) < 0)
			return -1;
		b->plan.stages[i].index = i;
		part_stage(&b->stages[i], &b->plan.stages[i], &stamps[i], c->after == NULL);
	}
	b->plan.stages[c->stages.n].index = c->stages.n;
	b->plan.nstages = c->stages.n + 1;
	/* a stage built on another reads its variables too */
	for (size_t i = 0; c->after == NULL && i < c->stages.n; i++)
		for (size_t k = 0; k < stamps[i].vars.n; k++)
			vars_set(&c->vars, stamps[i].vars.v[k].name, stamps[i].vars.v[k].value);
	b->target = &b->stages[c->stages.n];
	if (read_steps(c, &b->plan.stages[c->stages.n], argv, e) < 0 ||
	    name_stage(&b->plan.stages[c->stages.n], c->after != NULL, e) < 0)
		return -1;
	if (c->after != NULL)
		part_stage(b->target, &b->plan.stages[c->stages.n], &c->before, false);
	else
		*b->target = (struct stage_build){ .plan = &b->plan.stages[c->stages.n] };
	return check_sources(c, b->target->plan, e);
}

/* FROM a stage: keys know the base's layers by one name, the store by another. */
static void
settle_base(struct part *c, struct stage_build *sb, const struct stamp *base)
{
	list_free(&sb->layers);
	for (size_t i = 0; i < base->layers.n; i++)
		list_add(&sb->layers, base->layers.v[i]);
	sb->base = NULL;
	sb->settled = true;
	(void)c;
}

static int
begin_stage(struct part *c, struct stage_build *sb, struct list *keyed, struct rt_err *e)
{
	const struct plan_step *s = &sb->plan->steps[0];
	struct stamp base;

	if (c->after != NULL) {
		for (size_t i = 0; i < c->before.keyed.n; i++)
			list_add(keyed, c->before.keyed.v[i]);
		return part_layers(c, sb, e);
	}
	if (stage_base(&c->b, sb, e) < 0)
		return rt_prefix(e, "%s:%s", c->o.dockerfile, s->lines);
	for (size_t i = 0; i < sb->layers.n; i++)
		list_add(keyed, sb->layers.v[i]);
	if (sb->base == NULL)
		return 0;
	if (stamp_read(c->stages.v[sb->base->plan->index], &base, e) < 0)
		return -1;
	settle_base(c, sb, &base);
	return part_layers(c, sb, e);
}

/* Runs what is missing. */
static int
run_steps(struct part *c, struct stage_build *sb, struct rt_err *e)
{
	bool missing = sb->base_missing;

	for (size_t i = 0; i < sb->nunits; i++)
		missing = missing || !sb->units[i].cached;
	sb->needed = true;
	sb->done = !missing;
	if (missing && c->if_cached) {
		e->text[0] = '\0';
		e->status = RT_MISSING;
		return -1;
	}
	progress_open(&c->b);
	c->b.began = INT64_MAX; /* whoever else makes the layer does it for another reason */
	return sched_run(&c->b, e);
}

static int
write_stamp(struct part *c, struct stage_build *sb, struct list *keyed, struct rt_err *e)
{
	struct stamp s = { .stage = (char *)(uintptr_t)sb->plan->id, .store = part_store_name(c), .fs = sb->fs, .keyed = *keyed,
		.layers = sb->layers, .state = sb->end, .hosts = c->o.add_hosts };
	struct str text = { 0 };
	int rc;

	/* arguments and globals are given anew to each step that reads them */
	for (size_t i = 0; i < c->vars.n; i++)
		if (c->vars.v[i].value != NULL && c->vars.v[i].name[0] == 'd' && c->vars.v[i].name[1] != '_')
			vars_set(&s.vars, c->vars.v[i].name, c->vars.v[i].value);
	stamp_put(&text, &s);
	rc = stamp_write(c->stamp, &text, c->after == NULL, e);
	str_free(&text);
	return rc;
}

/* Whether a step touches files at all. */
static bool
needs_mode(const struct plan_stage *stage)
{
	for (size_t i = 0; i < stage->nsteps; i++)
		if (stage->steps[i].verb != VERB_ARG && stage->steps[i].verb != VERB_SET && stage->steps[i].lines[0] != '-')
			return true;
	return false;
}

static int
do_step(struct part *c, char **argv, struct rt_err *e)
{
	struct stage_build *sb;
	struct list keyed = { 0 };

	if (c->stamp == NULL)
		return rt_fail_status(e, RT_USAGE, "step needs --stamp");
	if (part_open(c, e) < 0 || read_plan(c, argv, e) < 0)
		return -1;
	sb = c->b.target;
	if (lock_stage(&c->b, sb->plan, e) < 0 || fresh_look(&c->b, sb->plan, e) < 0)
		return -1;
	if (needs_mode(sb->plan) && ns_enter(c->o.mode, &c->b.mode, e) < 0)
		return -1;
	if (begin_stage(c, sb, &keyed, e) < 0 || stage_steps(&c->b, sb, e) < 0)
		return -1;
	for (size_t i = 0; i < sb->nunits; i++)
		list_add(&keyed, sb->units[i].key);
	if (run_steps(c, sb, e) < 0 || stage_settle(&c->b, sb, e) < 0)
		return -1;
	return write_stamp(c, sb, &keyed, e);
}

/* The last line of a failure has the form that a failed step's has: see cmd_build. */
static int
report(struct part *c, struct rt_err *e)
{
	build_failed(&c->b, e);
	return -1;
}

/* For dockcc-rt launch: this step came to its end.  One that was stopped from outside did not. */
static void
leave_word(const struct part *c, int status)
{
	cleanup_free char *text = rt_printf("%d\n", status);
	struct rt_err e;

	if (c->outcome != NULL && status != RT_INTERRUPTED && rt_write_file(AT_FDCWD, c->outcome, text, strlen(text), 0666, &e) < 0)
		rt_warn("%s", e.text);
}

int
cmd_step(char **argv, struct rt_err *e)
{
	struct part c = { 0 };
	int rc = 1;

	build_options_begin(&c.o);
	c.o.script = c.o.again = "make";
	c.o.progress = PROGRESS_PLAIN; /* several steps share the terminal */
	for (; *argv != NULL && strncmp(*argv, "--", 2) == 0; argv++) {
		/* what belongs to the step itself begins here */
		if (strncmp(*argv, "--let=", 6) == 0 || strncmp(*argv, "--first=", 8) == 0 || strncmp(*argv, "--set=", 6) == 0 ||
		    strncmp(*argv, "--base=", 7) == 0 || strcmp(*argv, "--expand") == 0)
			break;
		rc = part_option(&c, *argv, e);
		if (rc < 0 || (rc == 0 && build_option(&c.o, *argv, e) < 0))
			return -1;
	}
	rc = do_step(&c, argv, e) == 0 ? 0 : report(&c, e);
	leave_word(&c, rc == 0 ? 0 : e->status);
	return rc;
}
