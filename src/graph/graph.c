/* Values: building, comparing, walking. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "walk.h"

bool
value_is_static(const struct value *v)
{
	for (size_t i = 0; v != NULL && i < v->nparts; i++) {
		if (v->parts[i].var != NULL || v->parts[i].unset)
			return false;
	}
	return true;
}

const char *
value_text(const struct value *v)
{
	return v != NULL && v->nparts > 0 && v->parts[0].text != NULL ? v->parts[0].text : "";
}

const struct value *
value_literal(const void *ctx, const char *text)
{
	struct value_builder *b = builder_new(ctx);

	builder_text(b, text, strlen(text), (struct span){ 0, 0 });
	return builder_done(b);
}

struct value_builder *
builder_new(const void *ctx)
{
	struct value_builder *b = mem_new(ctx, struct value_builder);

	b->ctx = ctx;
	b->text = buf_new(b);
	return b;
}

static struct value_part *
builder_room(struct value_builder *b)
{
	mem_room(b, b->parts, b->n + 1, &b->cap);
	return &b->parts[b->n++];
}

static void
builder_flush(struct value_builder *b)
{
	struct value_part part = { .len = b->text->len, .at = b->at };

	if (b->text->len == 0)
		return;
	part.text = mem_dup(b->ctx, buf_str(b->text), b->text->len);
	*builder_room(b) = part;
	b->text->len = 0;
}

void
builder_text(struct value_builder *b, const char *s, size_t len, struct span at)
{
	if (b->text->len == 0)
		b->at = at;
	b->at.end = at.end;
	buf_add(b->text, s, len);
}

void
builder_part(struct value_builder *b, const struct value_part *part)
{
	if (part->var == NULL && !part->unset) {
		builder_text(b, part->text, part->len, part->at);
		return;
	}
	builder_flush(b);
	*builder_room(b) = *part;
}

void
builder_value(struct value_builder *b, const struct value *v)
{
	for (size_t i = 0; v != NULL && i < v->nparts; i++)
		builder_part(b, &v->parts[i]);
}

const struct value *
builder_done(struct value_builder *b)
{
	struct value *v = mem_new(b->ctx, struct value);

	builder_flush(b);
	v->parts = talloc_steal(v, b->parts);
	v->nparts = b->n;
	talloc_free(b);
	return v;
}

void
value_vars(const struct value *v, value_var_fn *fn, void *arg)
{
	for (size_t i = 0; v != NULL && i < v->nparts; i++) {
		const struct value_part *p = &v->parts[i];

		if (p->var == NULL && !p->unset)
			continue;
		fn(arg, p);
		value_vars(p->arg, fn, arg);
		value_vars(p->repl, fn, arg);
	}
}

static void
may_fail(void *arg, const struct value_part *part)
{
	bool *fails = arg;

	*fails = *fails || part->op >= WORD_REQUIRE;
}

bool
value_may_fail(const struct value *v)
{
	bool fails = false;

	value_vars(v, may_fail, &fails);
	return fails;
}

static bool
var_same(const struct var *x, const struct var *y, int a, int b)
{
	if (x == NULL || y == NULL || x == y)
		return x == y;
	return x->stage == a && y->stage == b && strcmp(x->name, y->name) == 0;
}

bool
value_same(const struct value *x, const struct value *y, int a, int b)
{
	if (x == NULL || y == NULL || x->nparts != y->nparts)
		return x == y;
	for (size_t i = 0; i < x->nparts; i++) {
		const struct value_part *p = &x->parts[i], *q = &y->parts[i];

		if (p->unset != q->unset || !var_same(p->var, q->var, a, b))
			return false;
		if (p->var == NULL && !p->unset) {
			if (p->len != q->len || memcmp(p->text, q->text, p->len) != 0)
				return false;
			continue;
		}
		if (p->op != q->op || strcmp(p->name, q->name) != 0 || !value_same(p->arg, q->arg, a, b) ||
		    !value_same(p->repl, q->repl, a, b))
			return false;
	}
	return true;
}

static void
origin_values(struct origin *o, value_slot_fn *fn, void *arg)
{
	if (o->image != NULL)
		fn(arg, &o->image);
	if (o->platform != NULL)
		fn(arg, &o->platform);
}

static void
slot(const struct value **v, value_slot_fn *fn, void *arg)
{
	if (*v != NULL)
		fn(arg, v);
}

static void
mount_values(struct mount *m, value_slot_fn *fn, void *arg)
{
	const struct value **all[] = { &m->target, &m->source, &m->id, &m->env, &m->mode, &m->uid, &m->gid, &m->size };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		slot(all[i], fn, arg);
	origin_values(&m->from, fn, arg);
}

/* The graph is const to those who print it; its parts are the graph's own and may be replaced here. */
void
step_values(struct step *s, value_slot_fn *fn, void *arg)
{
	const struct value **paths = (const struct value **)s->paths;

	origin_values(&s->base, fn, arg);
	origin_values(&s->from, fn, arg);
	for (size_t i = 0; i < s->nassigns; i++)
		slot(&s->assigns[i]->value, fn, arg);
	for (size_t i = 0; i < s->nsettings; i++) {
		slot(&s->settings[i].value, fn, arg);
		if (s->settings[i].assign != NULL)
			slot(&s->settings[i].assign->value, fn, arg);
	}
	for (size_t i = 0; i < s->npaths; i++)
		slot(&paths[i], fn, arg);
	for (size_t i = 0; i < s->nfiles; i++)
		slot(&((struct here_file *)s->files)[i].content, fn, arg);
	slot(&s->chown, fn, arg);
	slot(&s->chmod, fn, arg);
	slot(&s->checksum, fn, arg);
	for (size_t i = 0; i < s->nmounts; i++)
		mount_values(&((struct mount *)s->mounts)[i], fn, arg);
}

struct step *
stage_before(const struct gstage *g, size_t k)
{
	while (k-- > 0) {
		if (!g->steps[k]->dead)
			return g->steps[k];
	}
	return NULL;
}
