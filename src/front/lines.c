/* The line pass: physical lines -> logical lines.  spec/language.md 1.1 to 1.4 and 2. */
#include <stdarg.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../base/mem.h"
#include "../base/utf8.h"
#include "parse.h"

enum { LINE_LIMIT = 65535 };

struct physical {
	const char *s;  /* with its line end */
	size_t len;     /* without CR and LF at the end */
	size_t whole;   /* with them */
	uint32_t at;    /* offset in the source */
};

static bool
physical_next(struct parse *p, struct physical *l)
{
	const struct source *src = p->source;
	const char *end;

	if (p->finished || p->next >= src->len)
		return false;
	if (p->next == 0 && src->len >= 3 && memcmp(src->text, "\xef\xbb\xbf", 3) == 0)
		p->next = 3;
	if (p->next >= src->len)
		return false;
	l->s = src->text + p->next;
	l->at = p->next;
	end = memchr(l->s, '\n', src->len - p->next);
	l->whole = end != NULL ? (size_t)(end - l->s) + 1 : src->len - p->next;
	l->len = l->whole;
	while (l->len > 0 && (l->s[l->len - 1] == '\n' || l->s[l->len - 1] == '\r'))
		l->len--;
	p->lineno++;
	p->next += (uint32_t)l->whole;
	if (l->whole - (end != NULL) > LINE_LIMIT) {
		parse_error(p, PHASE_LEXICAL, p->lineno, DIAG_LINE_TOO_LONG, (struct span){ l->at, l->at + 1 },
		            "this line has %zu bytes; the limit is %d", l->whole - (end != NULL), LINE_LIMIT);
		p->finished = true;
		return false;
	}
	return true;
}

static void
strip_left(struct physical *l)
{
	uint32_t c;

	while (l->len > 0) {
		size_t n = utf8_decode(l->s, l->len, &c);

		if (!utf8_space(c))
			return;
		l->s += n, l->at += (uint32_t)n, l->len -= n, l->whole -= n;
	}
}

/* Drops a continuation mark and the blanks behind it; true when there was one. */
static bool
strip_continuation(const struct parse *p, struct physical *l)
{
	size_t n = l->len;

	while (n > 0 && (l->s[n - 1] == ' ' || l->s[n - 1] == '\t'))
		n--;
	if (n == 0 || l->s[n - 1] != p->u->escape || (n > 1 && l->s[n - 2] == p->u->escape))
		return false;
	l->len = n - 1;
	return true;
}

static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\r' || c == '\n';
}

/* "# name = value" at the top of the file; anything else closes the block.  Section 1.2. */
static void
directive(struct parse *p, const struct physical *l)
{
	static const char *const known[] = { "syntax", "escape", "check" };
	size_t i = 1, name, name_end, end = l->len;
	struct directive d = { .at = { l->at, l->at + (uint32_t)l->len } };

	if (p->directives_done)
		return;
	p->directives_done = true;
	if (l->len == 0 || l->s[0] != '#')
		return;
	while (i < end && blank(l->s[i]))
		i++;
	for (name = i; i < end && isalnum((unsigned char)l->s[i]); i++)
		;
	name_end = i;
	while (i < end && blank(l->s[i]))
		i++;
	if (name_end == name || isdigit((unsigned char)l->s[name]) || i == end || l->s[i] != '=')
		return;
	for (i++; i < end && blank(l->s[i]); i++)
		;
	while (end > i && blank(l->s[end - 1]))
		end--;
	for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
		if (strlen(known[k]) == name_end - name && strncasecmp(known[k], l->s + name, name_end - name) == 0)
			d.name = known[k];
	}
	if (end == i || d.name == NULL)
		return;
	p->directives_done = false;
	d.value = mem_dup(p->u, l->s + i, end - i);
	d.value_at = (struct span){ l->at + (uint32_t)i, l->at + (uint32_t)end };
	for (size_t k = 0; k < p->u->ndirectives; k++) {
		if (strcmp(p->u->directives[k].name, d.name) == 0)
			parse_error(p, PHASE_LEXICAL, p->lineno, DIAG_DIRECTIVE_TWICE, d.at, "the directive %s stands here a second time", d.name);
	}
	if (strcmp(d.name, "escape") == 0) {
		if (strcmp(d.value, "\\") != 0 && strcmp(d.value, "`") != 0)
			parse_error(p, PHASE_LEXICAL, p->lineno, DIAG_BAD_ESCAPE, d.value_at, "the escape character is \\ or `, not %s", d.value);
		else
			p->u->escape = d.value[0];
	}
	struct directive *all = (struct directive *)p->u->directives;
	mem_room(p->u, all, p->u->ndirectives + 1, &p->directive_cap);
	all[p->u->ndirectives++] = d;
	p->u->directives = all;
}

/* A comment above an instruction: kept until the instruction comes; an empty one starts afresh. */
static void
comment(struct parse *p, const struct physical *l, size_t *cap)
{
	size_t begin = 1, end = l->len;

	utf8_trim(l->s, &begin, &end);
	if (begin == end) {
		p->line.ncomments = 0;
		return;
	}
	mem_room(p->u, p->line.comments, p->line.ncomments + 1, cap);
	p->line.comments[p->line.ncomments++] = (struct comment){
		.at = { l->at, l->at + (uint32_t)l->len },
		.text = mem_dup(p->u, l->s + begin, end - begin),
	};
}

struct joiner {
	char *s;
	size_t len, cap;
	struct piece *map;
	size_t npieces, map_cap;
	uint32_t end;
};

static void
join(struct parse *p, struct joiner *j, const struct physical *l)
{
	mem_room(p->u, j->map, j->npieces + 1, &j->map_cap);
	j->map[j->npieces++] = (struct piece){ .offset = (uint32_t)j->len, .source = l->at };
	mem_room(p->u, j->s, j->len + l->len + 2, &j->cap);
	memcpy(j->s + j->len, l->s, l->len);
	j->len += l->len;
	j->end = l->at + (uint32_t)l->len;
}

static void
join_rest(struct parse *p, struct joiner *j, struct physical *l)
{
	while (physical_next(p, l)) {
		struct physical trimmed = *l;
		bool more;

		strip_left(&trimmed);
		if (trimmed.len == 0) {
			if (!p->line.blank)
				p->line.gap.begin = l->at;
			p->line.gap.end = l->at + (uint32_t)l->whole;
			p->line.blank = true;
			continue;
		}
		if (trimmed.s[0] == '#')
			continue;
		more = strip_continuation(p, l);
		join(p, j, l);
		if (!more)
			return;
	}
}

static void
note_gap(struct parse *p)
{
	struct gap *all = (struct gap *)p->u->gaps;

	if (!p->line.blank)
		return;
	mem_room(p->u, all, p->u->ngaps + 1, &p->gap_cap);
	all[p->u->ngaps++] = (struct gap){ .at = p->line.gap, .line = p->lineno };
	p->u->gaps = all;
}

static bool
may_hold_heredoc(const struct text *t)
{
	static const char *const names[] = { "ONBUILD", "RUN", "COPY", "ADD" };
	const char *s = t->s + strspn(t->s, " \t\v\f\r");

	for (size_t i = 0; i < 4; i++) {
		size_t n = strlen(names[i]);

		if (strncasecmp(s, names[i], n) != 0 || (s[n] != '\0' && strchr(" \t\v\f\r", s[n]) == NULL))
			continue;
		if (i > 0)
			return true;
		s += n + strspn(s + n, " \t\v\f\r");
	}
	return false;
}

static bool
read_body(struct parse *p, struct heredoc *h)
{
	struct physical l;
	uint32_t begin = p->next;

	while (physical_next(p, &l)) {
		const char *s = l.s;
		size_t len = l.len;

		while (h->chomp && len > 0 && *s == '\t')
			s++, len--;
		if (len == strlen(h->name) && memcmp(s, h->name, len) == 0) {
			h->len = l.at - begin;
			h->content = mem_dup(p->u, p->source->text + begin, h->len);
			h->body = (struct span){ begin, l.at };
			p->line.line_end = p->lineno;
			p->line.text.at.end = l.at + (uint32_t)l.len;
			return true;
		}
	}
	if (!p->bad[PHASE_LEXICAL] || p->first[PHASE_LEXICAL] <= p->line.line_start)
		parse_error(p, PHASE_LEXICAL, p->line.line_start, DIAG_HEREDOC_NO_END, h->at,
		            "the here-document has no end: no line holds only %s", h->name);
	p->finished = true;
	return false;
}

static bool
read_heredocs(struct parse *p)
{
	struct logical *l = &p->line;

	if (!may_hold_heredoc(&l->text) || strstr(l->text.s, "<<") == NULL)
		return true;
	l->heredocs = heredoc_scan(p->u, &l->text, &l->nheredocs);
	for (size_t i = 0; i < l->nheredocs; i++) {
		if (!read_body(p, &l->heredocs[i]))
			return false;
	}
	return true;
}

bool
line_next(struct parse *p)
{
	struct physical l;
	struct joiner j = { 0 };
	size_t comment_cap = 0;
	bool more;

	p->line = (struct logical){ 0 };
	while (physical_next(p, &l)) {
		strip_left(&l);
		directive(p, &l);
		if (l.len > 0 && l.s[0] == '#') {
			comment(p, &l, &comment_cap);
			continue;
		}
		p->line.line_start = p->lineno;
		more = strip_continuation(p, &l);
		if (!more && l.len == 0)
			continue;
		join(p, &j, &l);
		if (more) {
			struct physical rest;

			join_rest(p, &j, &rest);
			note_gap(p);
		}
		j.s[j.len] = j.s[j.len + 1] = '\0';
		p->line.line_end = p->lineno;
		p->line.text = (struct text){ .s = j.s, .len = j.len, .at = { l.at, j.end }, .map = j.map, .npieces = j.npieces };
		return read_heredocs(p);
	}
	return false;
}

struct diag_item *
parse_error(struct parse *p, enum phase phase, uint32_t line, enum diag_id id, struct span at, const char *fmt, ...)
{
	char *text;
	struct diag_item *item;
	va_list ap;

	va_start(ap, fmt);
	text = talloc_vasprintf(p->u, fmt, ap);
	va_end(ap);
	if (!p->bad[phase]) {
		p->bad[phase] = true;
		p->first[phase] = line;
	}
	if (phase == PHASE_LEXICAL)
		p->lexical_line = line;
	item = diag_add(p->d, id, p->source, at, "%s", text);
	item->line = line;
	return item;
}
