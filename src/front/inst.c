/* Constructors of AST nodes.  Parts are born on the unit and adopted by the node that holds them. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../base/utf8.h"
#include "parse.h"

const char *
inst_name(enum inst_kind kind)
{
	static const char *const names[] = {
#define X(id, name) [INST_##id] = name,
		INST_LIST(X)
#undef X
	};

	return kind < INST_COUNT ? names[kind] : "";
}

struct words *
words_new(struct parse *p)
{
	struct words *w = mem_new(p->u, struct words);

	w->rest.s = "";
	return w;
}

struct words *
words_add(struct words *w, struct text t)
{
	mem_room(w, w->v, w->n + 1, &w->cap);
	w->v[w->n++] = (struct word){ .text = t };
	return w;
}

/* Removes quotes and escapes from a flag word: spec/language.md 1.5.  The escape is always the
   backslash here. */
static char *
flag_unquote(const void *ctx, const struct text *t, size_t *value_from)
{
	char *out = mem_dup(ctx, t->s, t->len), quote = 0;
	size_t n = 0;

	*value_from = t->len;
	for (size_t i = 0; i < t->len; i++) {
		char c = t->s[i];

		if (quote != 0 ? c == quote : c == '\'' || c == '"') {
			quote = quote != 0 ? 0 : c;
			continue;
		}
		if (c == '\\') {
			if (++i == t->len)
				break;
			c = t->s[i];
		}
		if (c == '=' && *value_from == t->len)
			*value_from = i + 1;
		out[n++] = c;
	}
	out[n] = '\0';
	return out;
}

struct flags *
flags_add(struct parse *p, struct flags *f, struct text t)
{
	struct flag flag = { .at = t.at };
	const char *equals;
	size_t from;

	if (f == NULL)
		f = mem_new(p->u, struct flags);
	flag.raw = flag_unquote(f, &t, &from);
	equals = strchr(flag.raw, '=');
	flag.name = equals != NULL ? mem_dup(f, flag.raw + 2, (size_t)(equals - flag.raw) - 2) : flag.raw + 2;
	flag.value = equals != NULL ? equals + 1 : NULL;
	flag.value_at = (struct span){ from < t.len ? text_source(&t, from) : t.at.end, t.at.end };
	mem_room(f, f->v, f->n + 1, &f->cap);
	f->v[f->n++] = flag;
	return f;
}

struct inst *
inst_new(struct parse *p, enum inst_kind kind, struct text keyword, struct flags *flags)
{
	struct inst *i = mem_new(p->u, struct inst);
	struct logical *l = &p->line;

	*i = (struct inst){
		.kind = kind,
		.at = l->text.at,
		.keyword_at = keyword.at,
		.keyword = keyword.s,
		.line_start = l->line_start,
		.line_end = l->line_end,
		.rest = { .s = "" },
		.heredocs = l->heredocs,
		.nheredocs = l->nheredocs,
		.blank_in_continuation = l->blank,
		.comments = l->comments,
		.ncomments = l->ncomments,
	};
	if (flags != NULL) {
		talloc_steal(i, flags);
		i->flags = flags->v;
		i->nflags = flags->n;
	}
	return i;
}

struct inst *
inst_words(struct parse *p, struct inst *i, enum inst_form form, struct words *w)
{
	talloc_steal(i, w);
	i->args = w->v;
	i->nargs = w->n;
	i->form = form;
	if (form == FORM_EXEC) {
		i->rest = w->rest;
	} else if (w->n > 0) {
		const struct text *first = &w->v[0].text, *last = &w->v[w->n - 1].text;

		i->rest = (struct text){ .s = "", .at = { first->at.begin, last->at.end } };
	}
	return i;
}

struct inst *
inst_text(struct parse *p, struct inst *i, struct text t)
{
	struct words *w = words_add(words_new(p), t);

	i = inst_words(p, i, FORM_SHELL, w);
	i->rest = t;
	return i;
}

static const struct key_value *
pairs_add(struct inst *i, size_t *cap, struct key_value kv)
{
	struct key_value *v = (struct key_value *)i->kvs;

	mem_room(i, v, i->nkvs + 1, cap);
	v[i->nkvs++] = kv;
	return i->kvs = v;
}

/* KEY VALUE, the old form: the raw rest is split at its first run of blanks. */
static struct inst *
pairs_legacy(struct parse *p, struct inst *i, const struct text *rest)
{
	size_t key = strcspn(rest->s, " \t\v\f\r"), cap = 0;
	size_t value = key + strspn(rest->s + key, " \t\v\f\r");

	if (key == rest->len) {
		parse_error(p, PHASE_LEXICAL, i->line_start, DIAG_PAIR_WITHOUT_VALUE, rest->at, "%s %s has no value", inst_name(i->kind), rest->s);
		return i;
	}
	i->legacy = true;
	pairs_add(i, &cap, (struct key_value){
		.at = rest->at,
		.key = { text_slice(i, rest, 0, key) },
		.value = { text_slice(i, rest, value, rest->len) },
		.has_value = true,
	});
	return i;
}

struct inst *
inst_pairs(struct parse *p, struct inst *i, struct words *w)
{
	size_t cap = 0;

	talloc_steal(i, w);
	i->rest = w->rest;
	if (w->n > 0 && i->kind != INST_ARG && strchr(w->v[0].text.s, '=') == NULL)
		return pairs_legacy(p, i, &i->rest);
	for (size_t k = 0; k < w->n; k++) {
		const struct text *t = &w->v[k].text;
		const char *equals = strchr(t->s, '=');
		size_t at = equals != NULL ? (size_t)(equals - t->s) : t->len;

		if (equals == NULL && i->kind != INST_ARG) {
			struct diag_item *item = parse_error(p, PHASE_LEXICAL, i->line_start, DIAG_PAIR_WITHOUT_EQUALS, t->at,
				"\"%s\" has no '='", t->s);

			diag_fix(p->d, item, NULL, "put quotes around a value that holds blanks");
			return i;
		}
		pairs_add(i, &cap, (struct key_value){
			.at = t->at,
			.key = { text_slice(i, t, 0, at) },
			.value = { equals != NULL ? text_slice(i, t, at + 1, t->len) : (struct text){ .s = "" } },
			.has_value = equals != NULL,
		});
	}
	return i;
}

struct inst *
inst_health(struct parse *p, struct inst *i, struct text type, struct inst *command)
{
	i->rest = type;
	i->health_none = strcasecmp(type.s, "none") == 0;
	if (command != NULL) {
		talloc_steal(i, command);
		i->args = command->args;
		i->nargs = command->nargs;
		i->form = command->form;
	}
	return i;
}

struct inst *
inst_trigger(struct parse *p, struct inst *i, struct inst *inner)
{
	const struct text *line = &p->line.text;
	size_t begin = strspn(line->s, " \t\v\f\r") + strlen("ONBUILD");

	if (inner == NULL)
		return i;
	talloc_steal(i, inner);
	i->trigger = inner;
	begin += strspn(line->s + begin, " \t\n\f\r");
	i->rest = text_slice(i, line, begin, line->len);
	return i;
}

struct inst *
inst_unknown(struct parse *p, struct text keyword)
{
	struct inst *i = inst_new(p, INST_COUNT, keyword, NULL);

	i->rest = keyword;
	return i;
}

static void
stage_begin(struct parse *p, struct inst *i)
{
	struct stage *s = mem_new(p->u, struct stage);
	struct unit *u = p->u;
	const struct stage **all = (const struct stage **)u->stages;

	talloc_steal(s, i);
	s->from = i;
	s->index = (uint32_t)u->nstages;
	if (i->nargs > 0)
		s->base = i->args[0];
	if (i->nargs == 3) {
		char *name = mem_str(s, i->args[2].text.s);

		s->name_raw = i->args[2].text.s;
		s->name_at = i->args[2].text.at;
		s->as_at = i->args[1].text.at;
		for (char *c = name; *c != '\0'; c++)
			*c = (char)tolower((unsigned char)*c);
		s->name = name;
	}
	for (size_t k = 0; k < i->nflags; k++) {
		if (i->flags[k].value != NULL && i->flags[k].value[0] != '\0') {
			s->platform = i->flags[k].value;
			s->platform_at = i->flags[k].value_at;
		}
	}
	mem_room(u, all, u->nstages + 1, &p->stage_cap);
	all[u->nstages++] = s;
	u->stages = all;
	p->stage_inst_cap = 0;
}

void
unit_add(struct parse *p, struct inst *i)
{
	struct unit *u = p->u;
	const struct inst **v;

	if (i == NULL)
		return;
	p->begun = p->begun || i->kind == INST_FROM;
	if (p->lexical_line == i->line_start || !inst_check(p, i)) {
		u->refused = u->refused != NULL ? u->refused : i;
		return;
	}
	if (i->kind == INST_FROM) {
		stage_begin(p, i);
	} else if (u->nstages > 0) {
		struct stage *s = (struct stage *)u->stages[u->nstages - 1];

		v = (const struct inst **)s->insts;
		mem_room(s, v, s->ninsts + 1, &p->stage_inst_cap);
		v[s->ninsts++] = talloc_steal(v, i);
		s->insts = v;
	} else if (i->kind == INST_ARG) {
		v = (const struct inst **)u->meta_args;
		mem_room(u, v, u->nmeta_args + 1, &p->meta_cap);
		v[u->nmeta_args++] = talloc_steal(v, i);
		u->meta_args = v;
	} else {
		u->refused = u->refused != NULL ? u->refused : i;
		if (!p->begun)
			parse_error(p, PHASE_INSTRUCTION, i->line_start, DIAG_BEFORE_FROM, i->keyword_at, "%s stands before the first FROM",
			            inst_name(i->kind));
		p->begun = true;
	}
}

void
unit_finish(struct parse *p)
{
	const struct unit *u = p->u;
	struct span top = { 0, 0 };

	if (p->bad[PHASE_LEXICAL] || p->bad[PHASE_INSTRUCTION] || u->nstages > 0)
		return;
	if (u->nmeta_args > 0)
		parse_error(p, PHASE_INSTRUCTION, 0, DIAG_NO_STAGE, top, "there are only ARGs and no FROM");
	else
		parse_error(p, PHASE_LEXICAL, 0, DIAG_EMPTY_FILE, top, "the file holds no instruction");
}
