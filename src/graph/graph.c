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
	struct value_builder b;

	builder_init(&b, ctx);
	builder_text(&b, text, strlen(text), (struct span){ 0, 0 });
	return builder_done(&b);
}

void
builder_init(struct value_builder *b, const void *ctx)
{
	b->ctx = ctx;
	b->parts = b->few;
	b->text = b->small;
	b->cap = sizeof(b->few) / sizeof(b->few[0]);
	b->room = sizeof(b->small);
	b->n = b->len = b->open = 0;
}

static struct value_part *
builder_room(struct value_builder *b)
{
	struct value_part *more;

	if (b->n == b->cap) {
		more = mem_array(b->ctx, struct value_part, b->cap * 2);
		memcpy(more, b->parts, b->n * sizeof(*more));
		if (b->parts != b->few)
			talloc_free(b->parts);
		b->parts = more;
		b->cap *= 2;
	}
	return &b->parts[b->n++];
}

static void
builder_flush(struct value_builder *b)
{
	if (b->open == 0)
		return;
	*builder_room(b) = (struct value_part){ .len = b->open, .at = b->at };
	b->open = 0;
}

void
builder_text(struct value_builder *b, const char *s, size_t len, struct span at)
{
	if (b->open == 0)
		b->at = at;
	b->at.end = at.end;
	if (b->room - b->len < len) {
		size_t room = (b->len + len) * 2;
		char *more = mem_array(b->ctx, char, room);

		memcpy(more, b->text, b->len);
		if (b->text != b->small)
			talloc_free(b->text);
		b->text = more;
		b->room = room;
	}
	memcpy(b->text + b->len, s, len);
	b->len += len;
	b->open += len;
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

void
builder_drop(struct value_builder *b)
{
	if (b->parts != b->few)
		talloc_free(b->parts);
	if (b->text != b->small)
		talloc_free(b->text);
}

const struct value *
builder_done(struct value_builder *b)
{
	struct value *v;
	struct value_part *parts;
	char *text;
	size_t at = 0;

	builder_flush(b);
	v = mem_zero(b->ctx, sizeof(*v) + b->n * sizeof(*parts) + b->len + b->n, 1, "struct value");
	parts = (struct value_part *)(v + 1);
	text = (char *)(parts + b->n);
	for (size_t i = 0; i < b->n; i++) {
		parts[i] = b->parts[i];
		if (parts[i].var != NULL || parts[i].unset)
			continue;
		memcpy(text, b->text + at, parts[i].len); /* the NUL is there */
		parts[i].text = text;
		text += parts[i].len + 1;
		at += parts[i].len;
	}
	v->parts = parts;
	v->nparts = b->n;
	builder_drop(b);
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
