/* Diagnostics as people read them: FILE:LINE:COLUMN, the text, the source line, carets under the span. */
#include <string.h>

#include "buf.h"
#include "diag.h"
#include "mem.h"
#include "utf8.h"

/* Of a long line only a part is shown, in bytes: what is left of the span, and all in all. */
enum { BEFORE_SPAN = 60, EXCERPT = 200 };

/* What a terminal shows as nothing, or what turns the text around it: soft hyphen, C1, zero width, bidi controls, line
   separators, byte order mark (security.md S7).  A zero width joiner belongs to emoji. */
static bool
invisible(uint32_t c)
{
	return (c >= 0x80 && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f && c != 0x200d) || (c >= 0x2028 && c <= 0x202e) ||
	       c == 0x2060 || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* One character as it is safe to show; returns the columns it takes (a tab: 1). */
static size_t
put_safe(struct buf *out, const char *s, size_t n, uint32_t c)
{
	size_t before = out->len;

	if (c == 0xfffd && n == 1)
		buf_printf(out, "\\x%02X", (unsigned char)s[0]);
	else if (c != '\t' && (c < 0x20 || c == 0x7f))
		buf_printf(out, "\\x%02X", (unsigned)c);
	else if (invisible(c))
		buf_printf(out, "\\u{%x}", (unsigned)c);
	else {
		buf_add(out, s, n);
		return utf8_width(c);
	}
	return out->len - before;
}

static void
put_text(struct buf *out, const char *s)
{
	size_t len = strlen(s);
	uint32_t c;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_decode(s + i, len - i, &c);
		put_safe(out, s + i, n, c);
	}
}

static bool
inside_character(const char *line, size_t len, size_t at)
{
	return at < len && ((unsigned char)line[at] & 0xc0) == 0x80;
}

/* The part [*begin, *end) of a line of `len` bytes that is shown when the span begins at `from`. */
static void
window(const char *line, size_t len, size_t from, size_t *begin, size_t *end)
{
	*begin = 0;
	*end = len;
	if (len <= EXCERPT)
		return;
	if (from > len)
		from = len;
	*begin = from > EXCERPT - BEFORE_SPAN ? from - BEFORE_SPAN : 0;
	*end = *begin + EXCERPT < len ? *begin + EXCERPT : len;
	for (unsigned k = 0; k < 3 && inside_character(line, len, *begin); k++)
		++*begin;
	for (unsigned k = 0; k < 3 && inside_character(line, len, *end); k++)
		--*end;
}

/* The source line and, below it, carets under the part of the span that lies on it.  Tabs are kept in both so that they
   stay aligned. */
static void
put_excerpt(struct buf *out, const struct diag_mark *m, const char *fix, bool color)
{
	struct position p = source_position(m->source, m->at.begin);
	size_t len, from, to, begin, end;
	const char *line = source_line(m->source, p.line, &len);
	struct buf *under = buf_new(out);
	uint32_t c;
	bool first = true;

	from = m->at.begin > m->source->lines[p.line - 1] ? m->at.begin - m->source->lines[p.line - 1] : 0;
	to = m->at.end > m->at.begin && m->at.end > m->source->lines[p.line - 1] ? m->at.end - m->source->lines[p.line - 1] : from + 1;
	window(line, len, from, &begin, &end);
	buf_printf(out, "%5u | %s", (unsigned)p.line, begin > 0 ? "..." : "");
	buf_puts(under, begin > 0 ? "   " : "");
	for (size_t i = begin, n; i < end; i += n) {
		size_t width;

		n = utf8_decode(line + i, end - i, &c);
		width = put_safe(out, line + i, n, c);
		for (; width > 0 && i < to; width--) {
			buf_putc(under, i < from ? (c == '\t' ? '\t' : ' ') : first ? '^' : '~');
			first = first && i < from;
		}
	}
	buf_puts(out, end < len ? "..." : "");
	buf_printf(out, "\n      | %s%s%s", color ? "\033[32m" : "", buf_str(under), first ? "^" : "");
	if (fix != NULL) {
		buf_puts(out, " fix: ");
		put_text(out, fix);
	}
	buf_puts(out, color ? "\033[0m\n" : "\n");
	talloc_free(under);
}

void
diag_render(struct buf *out, const struct diag_item *item, bool color)
{
	static const char *const names[] = { "", "note", "warning", "error" };
	static const char *const shades[] = { "", "\033[36m", "\033[35m", "\033[31m" };
	const struct source *s = item->where.source;
	bool place = s != NULL && item->line != 0;

	if (s != NULL) {
		put_text(out, s->name);
		if (place) {
			struct position p = source_position(s, item->where.at.begin);

			buf_printf(out, ":%u:%u", (unsigned)p.line, (unsigned)p.column);
		}
		buf_puts(out, ": ");
	}
	buf_printf(out, "%s%s:%s ", color ? shades[item->severity] : "", names[item->severity], color ? "\033[0m" : "");
	put_text(out, item->where.text);
	buf_printf(out, " [%s]\n", diag_name(item->id));
	if (place) {
		put_excerpt(out, &item->where, item->fix, color);
	} else if (item->fix != NULL) {
		buf_puts(out, "fix: ");
		put_text(out, item->fix);
		buf_putc(out, '\n');
	}
	if (item->note.text != NULL) {
		buf_puts(out, "note: ");
		put_text(out, item->note.text);
		buf_putc(out, '\n');
		if (item->note.source != NULL && item->note.at.end > item->note.at.begin)
			put_excerpt(out, &item->note, NULL, color);
	}
}
