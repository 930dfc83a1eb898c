/* The walk: phase after phase in the reference's order, so that what it finds before it stops at an error is known. */
#include <stdarg.h>
#include <string.h>

#include "../../runtime/copy.h"
#include "../base/mem.h"
#include "../sema/lower.h"
#include "walk.h"

bool
check_wants(const struct check *c, enum diag_id id)
{
	return c->d->level[id] != DIAG_OFF;
}

struct diag_item *
check_report(struct check *c, enum diag_id id, const struct inst *i, struct span at, const char *fmt, ...)
{
	const struct check_rule *rule = check_rule_of(id);
	enum diag_severity level = c->d->level[id], now = level;
	struct diag_item *item;
	va_list ap;
	char *text;

	if (strcmp(rule->group, "experimental") != 0 && config_ignored(c, rule, i))
		now = DIAG_OFF;
	if (strcmp(rule->group, "experimental") == 0 && config_asked(c, rule, i))
		now = DIAG_WARNING;
	va_start(ap, fmt);
	text = talloc_vasprintf(c->scratch, fmt, ap);
	va_end(ap);
	c->d->level[id] = now;
	item = diag_add(c->d, id, c->u->source, c->trigger != NULL ? c->trigger->at : at, "%s", text);
	c->d->level[id] = level;
	if (i != NULL && c->trigger == NULL)
		item->line = i->line_start;
	item->late = c->stopped;
	return item;
}

/* The levels that the file asks for. */
static void
apply_config(struct check *c)
{
	size_t n;
	const struct check_rule *rules = check_rules(&n);

	for (size_t k = 0; k < n; k++) {
		bool experimental = strcmp(rules[k].group, "experimental") == 0;

		if (experimental && rule_in(&c->config.experimental, &rules[k]) && c->d->level[rules[k].id] == DIAG_OFF)
			c->d->level[rules[k].id] = DIAG_WARNING;
		else if (!experimental && rule_in(&c->config.skip, &rules[k]))
			c->d->level[rules[k].id] = DIAG_OFF;
	}
}

/* ---- where the reference stops ---- */

/* These are ours alone: the reference accepts the file or finds out while it builds. */
static bool
reference_agrees(enum diag_id id)
{
	return id != DIAG_UNDECIDED && id != DIAG_NUL_BYTE && id != DIAG_UNKNOWN_TARGET;
}

static bool
lexical(const struct diag *d, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (d->items[k].severity == DIAG_ERROR && d->items[k].id <= DIAG_NESTED_TOO_DEEP)
			return true;
	}
	return false;
}

static void
find_stop(struct check *c, struct check_result *r)
{
	struct sema_options o = *c->o->sema;
	enum sema_phase reached = SEMA_DONE;
	size_t first = c->d->n;

	c->stop = CHECK_DONE;
	if (!c->u->ok) {
		c->stop = lexical(c->d, c->d->n) ? CHECK_READ : CHECK_PARSE;
		c->stop_line = c->u->error_line;
	} else {
		o.freeze = o.all_stages = true;
		o.reached = &reached;
		talloc_free(sema_build(NULL, c->u, &o, c->d));
		while (first < c->d->n && !reference_agrees(c->d->items[first].id))
			first++;
		if (first == c->d->n)
			return;
		c->stop = reached == SEMA_FROM ? CHECK_FROM : reached == SEMA_NAMES ? CHECK_STEPS : CHECK_STEPS;
		c->stop_line = reached == SEMA_NAMES ? 0 : c->d->items[first].line;
		r->error_line = c->d->items[first].line;
	}
	r->refused = true;
	if (!c->u->ok)
		r->error_line = c->u->error_line;
}

/* Called when a phase comes to an instruction: behind the error nothing counts. */
static void
arrive(struct check *c, enum check_phase phase, unsigned line)
{
	if (phase > c->stop || (phase == c->stop && line >= c->stop_line))
		c->stopped = true;
}

/* ---- the walk ---- */

static void
next_scratch(struct check *c)
{
	talloc_free(c->scratch);
	c->scratch = talloc_new(NULL);
}

static void
walk_parse(struct check *c)
{
	const struct unit *u = c->u;

	for (size_t k = 0; k < u->nmeta_args; k++) {
		arrive(c, CHECK_PARSE, u->meta_args[k]->line_start);
		rules_parse(c, u->meta_args[k], NULL);
	}
	for (size_t k = 0; k < u->nstages; k++) {
		const struct stage *s = u->stages[k];

		arrive(c, CHECK_PARSE, s->from->line_start);
		rules_parse(c, s->from, s);
		for (size_t n = 0; n < s->ninsts; n++) {
			arrive(c, CHECK_PARSE, s->insts[n]->line_start);
			rules_parse(c, s->insts[n], NULL);
			next_scratch(c);
		}
	}
}

static void
walk_from(struct check *c)
{
	struct map names = { 0 };
	bool good = env_globals(c, &c->globals, false);

	for (size_t k = 0; k < c->u->nstages; k++) {
		struct check_stage *s = &c->stages[k];
		const char *base;
		const struct map_slot *parent;

		s->ast = c->u->stages[k];
		arrive(c, CHECK_FROM, good ? s->ast->from->line_start : 0);
		rules_from(c, s);
		base = env_expand(c, &c->globals, &s->ast->base.text, false, DIAG_COUNT, NULL);
		parent = base != NULL ? map_get(&names, base) : NULL;
		if (parent != NULL)
			s->parent = &c->stages[parent->number];
		if (s->ast->name != NULL)
			map_put(c->d, &names, s->ast->name)->number = k;
		next_scratch(c);
	}
	talloc_free(names.v);
}

static void
stage_begin(struct check *c, struct check_stage *s)
{
	if (s->parent != NULL) {
		s->env.parent = &s->parent->env;
		s->shell = s->parent->shell;
		s->workdir = s->parent->workdir;
		return;
	}
	env_set(c, &s->env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/* The triggers of the stage below run first, as if they stood here. */
static void
walk_triggers(struct check *c, struct check_stage *s)
{
	const struct stage *parent = s->parent != NULL ? s->parent->ast : NULL;

	for (size_t k = 0; parent != NULL && k < parent->ninsts; k++) {
		const struct inst *i = parent->insts[k], *inner;

		if (i->kind != INST_ONBUILD)
			continue;
		inner = unit_parse_trigger(c->scratch, onbuild_text(c->scratch, i), diag_new(c->scratch));
		c->trigger = i;
		if (inner != NULL)
			rules_step(c, s, inner);
		c->trigger = NULL;
	}
}

static void
walk_steps(struct check *c)
{
	for (size_t k = 0; k < c->u->nstages; k++) {
		struct check_stage *s = &c->stages[k];

		stage_begin(c, s);
		arrive(c, CHECK_STEPS, s->ast->from->line_start);
		walk_triggers(c, s);
		for (size_t n = 0; n < s->ast->ninsts; n++) {
			arrive(c, CHECK_STEPS, s->ast->insts[n]->line_start);
			rules_step(c, s, s->ast->insts[n]);
			next_scratch(c);
		}
	}
}

static void
walk(struct check *c)
{
	arrive(c, CHECK_READ, 0);
	rules_read(c);
	c->stopped = c->stop == CHECK_READ;
	walk_parse(c);
	c->stopped = c->stop <= CHECK_PARSE;
	if (!c->u->ok)
		return;
	rules_names(c);
	walk_from(c);
	c->stopped = c->stop <= CHECK_FROM;
	walk_steps(c);
}

static struct ignore *
ignore_read(const struct check_options *o)
{
	struct rt_err e;

	memset(&e, 0, sizeof e);
	return o->ignore != NULL ? ignore_parse(o->ignore, o->ignore_len, &e) : NULL;
}

struct check_result
check_unit(const struct unit *u, const struct check_options *o, struct diag *d)
{
	struct check c = { .u = u, .o = o, .d = d, .scratch = talloc_new(NULL), .ignore = ignore_read(o) };
	struct check_result r = { 0 };

	c.stages = mem_array(d, struct check_stage, u->nstages + 1);
	if (config_read(&c)) {
		apply_config(&c);
		find_stop(&c, &r);
		walk(&c);
	} else {
		r.refused = true;
		r.error_line = d->items[d->n - 1].line;
	}
	r.error = c.config.error;
	ignore_free(c.ignore);
	talloc_free(c.scratch);
	return r;
}
