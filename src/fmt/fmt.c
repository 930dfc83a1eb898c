#include "fmt.h"

#include <ctype.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"

enum line_kind { LINE_BETWEEN, LINE_FIRST, LINE_MORE, LINE_BODY };

struct line {
	enum line_kind kind;
	const struct inst *inst;
	const struct stage *stage; /* the FROM of this stage begins here */
};

struct fmt {
	const struct unit *u;
	struct line *lines;        /* by 1-based number */
	struct buf *out;
	bool blank;                /* a blank line waits to be written */
	bool begun;                /* an instruction was written */
	bool apart;                /* blank lines stand in front of everything */
};

static void
mark(struct fmt *f, const struct inst *i, const struct stage *stage)
{
	for (uint32_t n = i->line_start; n <= i->line_end && n <= f->u->source->nlines; n++)
		f->lines[n] = (struct line){ .kind = n == i->line_start ? LINE_FIRST : LINE_MORE, .inst = i, .stage = stage };
	if (i->nheredocs > 0) {
		uint32_t first = source_position(f->u->source, i->heredocs[0].body.begin).line;

		for (uint32_t n = first; n <= i->line_end; n++)
			f->lines[n].kind = LINE_BODY;
	}
	for (size_t h = 0; i->trigger != NULL && h < i->trigger->nheredocs; h++) {
		uint32_t first = source_position(f->u->source, i->trigger->heredocs[0].body.begin).line;

		for (uint32_t n = first; n <= i->line_end; n++)
			f->lines[n].kind = LINE_BODY;
	}
}

static size_t
trim_end(const char *s, size_t len)
{
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t' || s[len - 1] == '\r' || s[len - 1] == '\v' || s[len - 1] == '\f'))
		len--;
	return len;
}

/* Blanks behind the escape character of a continued line, and behind a last line, mean nothing. */
static void
put_text(struct buf *b, const char *s, size_t len)
{
	buf_add(b, s, trim_end(s, len));
}

/* The same for a line of an instruction: the text of a trigger keeps the blanks at its end. */
static void
put_rest(const struct fmt *f, const struct line *line, struct buf *b, const char *s, size_t len)
{
	size_t n = trim_end(s, len);

	if (line->inst->kind == INST_ONBUILD && n > 0 && s[n - 1] != f->u->escape)
		buf_add(b, s, len);
	else
		put_text(b, s, len);
}

static void
put_line(struct fmt *f, const char *new)
{
	buf_puts(f->out, new);
	buf_putc(f->out, '\n');
}

/* The first line of an instruction: KEYWORD, one blank, the rest; for FROM also AS in upper case when it stands here. */
static char *
first_line(struct fmt *f, const struct line *line, const char *s, size_t len)
{
	const struct inst *i = line->inst;
	const char *begin = f->u->source->text + i->keyword_at.begin, *end = f->u->source->text + i->keyword_at.end, *rest = end;
	struct buf *b = buf_new(f->out);
	const char *stop = s + len;

	if (end > stop) {
		/* a continuation stands in front of the keyword, or in it */
		put_text(b, s, len);
		return (char *)(uintptr_t)buf_str(b);
	}
	for (const char *p = begin; p < end; p++)
		buf_putc(b, toupper((unsigned char)*p));
	while (rest < stop && (*rest == ' ' || *rest == '\t' || *rest == '\v' || *rest == '\f'))
		rest++;
	if (rest < stop && !(*rest == f->u->escape && trim_end(rest, (size_t)(stop - rest)) == 1))
		buf_putc(b, ' ');
	else if (rest < stop)
		rest = end; /* the continuation follows as it was */
	if (line->stage != NULL && line->stage->name != NULL && line->stage->as_at.begin >= (uint32_t)(rest - f->u->source->text) &&
	    line->stage->as_at.end <= (uint32_t)(stop - f->u->source->text)) {
		const char *as = f->u->source->text + line->stage->as_at.begin;

		buf_add(b, rest, (size_t)(as - rest));
		buf_puts(b, "AS");
		rest = as + 2;
	}
	put_rest(f, line, b, rest, (size_t)(stop - rest));
	return (char *)(uintptr_t)buf_str(b);
}

static bool
only_blank(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isspace((unsigned char)s[i]))
			return false;
	return true;
}

static void
between(struct fmt *f, const char *s, size_t len)
{
	struct buf *b;
	size_t lead = 0;

	/* a directive has to stand in column 1: moved there, a comment in front of everything could become one */
	while (f->begun && lead < len && (s[lead] == ' ' || s[lead] == '\t'))
		lead++;
	if (only_blank(s, len)) {
		/* at most one, none at the start; written when something follows */
		f->blank = f->out->len > 0;
		f->apart = f->apart || !f->blank;
		return;
	}
	/* behind a blank line a comment is no directive, on the first line it may be one */
	if (f->out->len == 0 && f->apart && memchr(s, '=', len) != NULL)
		put_line(f, "");
	b = buf_new(f->out);
	put_text(b, s + lead, len - lead);
	put_line(f, buf_str(b));
}

static void
one_line(struct fmt *f, uint32_t n)
{
	const struct line *line = &f->lines[n];
	size_t len;
	const char *s = source_line(f->u->source, n, &len);
	struct buf *b;

	if (line->kind != LINE_BETWEEN || !only_blank(s, len)) {
		if (f->blank)
			put_line(f, "");
		f->blank = false;
	}
	switch (line->kind) {
	case LINE_BETWEEN:
		between(f, s, len);
		break;
	case LINE_FIRST:
		f->begun = true;
		put_line(f, first_line(f, line, s, len));
		break;
	case LINE_MORE:
		if (only_blank(s, len))
			break;
		b = buf_new(f->out);
		put_rest(f, line, b, s, len);
		put_line(f, buf_str(b));
		break;
	case LINE_BODY:
		/* to the byte, its CR included */
		s = f->u->source->text + f->u->source->lines[n - 1];
		len = (n < f->u->source->nlines ? f->u->source->lines[n] : f->u->source->len) - f->u->source->lines[n - 1];
		buf_add(f->out, s, len);
		break;
	}
}

void
fmt_unit(struct buf *out, const struct unit *u)
{
	struct fmt f = { .u = u, .out = out, .lines = mem_array(out, struct line, u->source->nlines + 2) };

	for (size_t i = 0; i < u->nmeta_args; i++)
		mark(&f, u->meta_args[i], NULL);
	for (size_t s = 0; s < u->nstages; s++) {
		mark(&f, u->stages[s]->from, u->stages[s]);
		for (size_t i = 0; i < u->stages[s]->ninsts; i++)
			mark(&f, u->stages[s]->insts[i], NULL);
	}
	for (uint32_t n = 1; n <= u->source->nlines; n++)
		one_line(&f, n);
}
