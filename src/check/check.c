/* The walk: phase after phase in the reference's order, so that what it finds before it stops at an error is known. */
#include <stdarg.h>
#include <string.h>
#include <strings.h>

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
		else if ((!experimental && rule_in(&c->config.skip, &rules[k])) ||
		         (rule_in(&c->hadolint, &rules[k]) && !(c->o->reference && strcmp(rules[k].group, "build") == 0)))
			c->d->level[rules[k].id] = DIAG_OFF;
	}
}

/* ---- where the reference stops ---- */

/* These are ours alone: the reference accepts the file or finds out while it builds. */
static bool
reference_agrees(enum diag_id id)
{
	return id != DIAG_UNDECIDED && id != DIAG_NUL_BYTE && id != DIAG_EMPTY_COMMAND;
}

/* The item that the reference names, of those from `first` on; d->n: none.  Images are resolved side by side, and the
   one that was begun last comes first. */
static size_t
decisive(const struct check *c, size_t first, enum sema_phase reached)
{
	const struct diag *d = c->d;
	unsigned last = c->u->stages[c->u->nstages - 1]->from->line_start;
	size_t found = d->n;

	for (; first < d->n; first++) {
		enum diag_id id = d->items[first].id;

		/* without a stage of the name it takes an image of that name to exist */
		if (!reference_agrees(id) || (reached == SEMA_STEPS && id == DIAG_UNKNOWN_STAGE))
			continue;
		if (found == d->n || (reached == SEMA_NAMES && id == DIAG_BAD_REFERENCE && d->items[first].line == last))
			found = first;
	}
	return found;
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

/* FROM scratch, ARGs and one remote ADD. */
static bool
epoch_stage(const struct stage *s)
{
	unsigned adds = 0;

	for (size_t k = 0; k < s->ninsts; k++) {
		if (s->insts[k]->kind != INST_ARG && (s->insts[k]->kind != INST_ADD || strstr(s->insts[k]->args[0].text.s, "://") == NULL))
			return false;
		adds += s->insts[k]->kind == INST_ADD;
	}
	return adds == 1 && strcmp(s->base.text.s, "scratch") == 0;
}

/* A global SOURCE_DATE_EPOCH is a number or names a stage of one remote ADD, whose time is taken: spec/execution.md,
   "SOURCE_DATE_EPOCH", [new]. */
static void
epoch_check(struct check *c)
{
	struct env e = { 0 };
	bool declared;
	const char *value = env_globals(c, &e, false) ? env_value(&e, "SOURCE_DATE_EPOCH", &declared) : NULL;

	if (value == NULL || *value == '\0' || value[strspn(value, "-+0123456789")] == '\0' || strcmp(value, "context") == 0)
		return;
	c->result.refused = true;
	c->stop = CHECK_STEPS;
	for (size_t k = 0; k < c->u->nstages; k++) {
		const struct stage *s = c->u->stages[k];

		if (s->name == NULL || strcasecmp(s->name, value) != 0)
			continue;
		if (epoch_stage(s)) {
			c->result.refused = false;
			c->stop = CHECK_DONE;
		} else {
			c->result.error_line = s->from->line_start;
		}
		return;
	}
}

static void
find_stop(struct check *c)
{
	struct sema_options o = *c->o->sema;
	enum sema_phase reached = SEMA_DONE;
	size_t first = c->d->n;

	c->stop = CHECK_DONE;
	if (!c->u->ok) {
		c->stop = lexical(c->d, c->d->n) ? CHECK_READ : CHECK_PARSE;
		c->stop_line = c->result.error_line = c->u->error_line;
		c->result.refused = true;
		return;
	}
	o.freeze = o.all_stages = true;
	o.reached = &reached;
	talloc_free(sema_build(c->scratch, c->u, &o, c->d));
	if ((first = decisive(c, first, reached)) == c->d->n) {
		epoch_check(c);
		return;
	}
	c->result.refused = true;
	/* for a variable in --from the reference has no line */
	c->result.error_line = c->d->items[first].id == DIAG_VARIABLE_IN_FROM ? 0 : c->d->items[first].line;
	c->stop = reached == SEMA_FROM ? CHECK_FROM : CHECK_STEPS;
	c->stop_line = reached == SEMA_NAMES ? 0 : c->d->items[first].line;
}

void
check_fails(struct check *c, const struct inst *i)
{
	if (c->stopped || c->stop != CHECK_DONE)
		return;
	c->stop = CHECK_STEPS;
	c->stop_line = c->result.error_line = i->line_start;
	c->result.refused = true;
}

/* Called when a phase comes to an instruction: behind the error nothing counts. */
static void
arrive(struct check *c, enum check_phase phase, unsigned line)
{
	if (phase > c->stop || (phase == c->stop && line > c->stop_line))
		c->stopped = true;
}

/* ---- the walk ---- */

static void
next_scratch(struct check *c)
{
	talloc_free(c->scratch);
	c->scratch = talloc_new(NULL);
}

/* The instruction that is refused is looked at before it is. */
static void
parse_refused(struct check *c)
{
	const struct inst *i = c->u->refused;
	struct stage s = { .from = i };

	if (i == NULL || i->line_start != c->stop_line)
		return;
	if (i->kind == INST_FROM && i->nargs >= 3) {
		s.name_raw = i->args[2].text.s;
		s.name_at = i->args[2].text.at;
		s.as_at = i->args[1].text.at;
		s.name = check_lower(c, s.name_raw);
	}
	rules_parse(c, i, i->kind == INST_FROM ? &s : NULL);
}

static void
walk_parse(struct check *c)
{
	const struct unit *u = c->u;

	parse_refused(c);

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

	if (!env_globals(c, &c->globals, false))
		c->stopped = true;
	for (size_t k = 0; k < c->u->nstages; k++) {
		struct check_stage *s = &c->stages[k];
		const char *base;
		const struct map_slot *parent;

		s->ast = c->u->stages[k];
		arrive(c, CHECK_FROM, s->ast->from->line_start);
		rules_from(c, s);
		base = env_expand(c, &c->globals, &s->ast->base.text, false, DIAG_COUNT, NULL);
		parent = base != NULL ? map_get(&names, base) : NULL;
		if (parent != NULL) {
			s->parent = &c->stages[parent->number];
			s->parent->lasting = true;
		}
		s->lasting = k + 1 == c->u->nstages;
		if (s->ast->name != NULL)
			map_put(c->d, &names, s->ast->name)->number = k;
		next_scratch(c);
	}
	talloc_free(names.v);
}

static void
stage_begin(struct check *c, struct check_stage *s)
{
	c->wget = c->curl = false;
	if (s->parent != NULL) {
		s->env.parent = &s->parent->env;
		s->shell = s->parent->shell;
		s->posix = s->parent->posix;
		s->shell_name = s->parent->shell_name;
		s->pipefail = s->parent->pipefail;
		s->user = s->parent->user;
		s->workdir = s->parent->workdir;
		return;
	}
	s->shell_name = "sh";
	s->env.image = strcmp(s->ast->base.text.s, "scratch") != 0;
	s->posix = c->u->escape != '`' && strstr(s->ast->base.text.s, "windows") == NULL && strstr(s->ast->base.text.s, "nanoserver") == NULL;
	env_set(c, &s->env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
}

/* The triggers of the stage below run first, as if they stood here. */
static void
walk_triggers(struct check *c, struct check_stage *s)
{
	const struct stage *parent = s->parent != NULL ? s->parent->ast : NULL;

	for (size_t k = 0; parent != NULL && k < parent->ninsts; k++) {
		const struct inst *i = parent->insts[k], *inner;
		size_t first = c->d->n;

		if (i->kind != INST_ONBUILD)
			continue;
		inner = unit_parse_trigger(c->scratch, onbuild_text(c->scratch, i), diag_new(c->scratch));
		c->trigger = i;
		if (inner != NULL)
			rules_step(c, s, inner);
		c->trigger = NULL;
		for (; first < c->d->n; first++) {
			c->d->items[first].replacement = NULL; /* would go where the whole ONBUILD stands */
			if (c->o->reference)
				c->d->items[first].line = 1;   /* a trigger is a text of its own there */
		}
	}
}

static void
walk_steps(struct check *c)
{
	for (size_t k = 0; k < c->u->nstages; k++) {
		struct check_stage *s = &c->stages[k];

		stage_begin(c, s);
		arrive(c, CHECK_STEPS, s->ast->from->line_start);
		rules_base(c, s);
		walk_triggers(c, s);
		for (size_t n = 0; n < s->ast->ninsts; n++) {
			arrive(c, CHECK_STEPS, s->ast->insts[n]->line_start);
			rules_step(c, s, s->ast->insts[n]);
			next_scratch(c);
		}
		rules_stage_end(c, s);
	}
}

static void
walk(struct check *c)
{
	c->stopped = c->stop == CHECK_READ;
	rules_read(c);
	walk_parse(c);
	c->stopped = c->stop <= CHECK_PARSE;
	if (!c->u->ok)
		return;
	rules_names(c);
	walk_from(c);
	c->stopped = c->stop <= CHECK_FROM;
	walk_steps(c);
	scripts_check(c);
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

	c.stages = mem_array(d, struct check_stage, u->nstages + 1);
	if (config_read(&c)) {
		apply_config(&c);
		find_stop(&c);
		walk(&c);
	} else {
		c.result.refused = true;
		c.result.misconfigured = true; /* the reference has no line for it */
	}
	c.result.error = c.config.error;
	ignore_free(c.ignore);
	talloc_free(c.scratch);
	return c.result;
}
