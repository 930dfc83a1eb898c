/* Wildcards as a small automaton: the set of places a name can have reached in the pattern is carried
   along the name, so no pattern is exponential (security.md S8). */
#include "glob.h"
#include "copy.h"

#include <string.h>

enum op {
	OP_CHAR,  /* this character */
	OP_ANY,   /* `?`: one character but a slash */
	OP_SET,   /* `[...]` */
	OP_NAME,  /* `*`: any run without a slash */
	OP_DIRS,  /* in front of OP_DEEP: any number of directories, or none */
	OP_DEEP,  /* inside those directories */
	OP_ALL,   /* any run, slashes included */
	OP_NEVER, /* an escape that can match nothing */
	OP_END,
};

struct token {
	enum op op;
	bool negated;
	uint32_t c;           /* OP_CHAR */
	size_t first, nranges; /* OP_SET: its ranges */
};

struct range {
	uint32_t lo, hi;
};

struct glob {
	struct token *tokens;
	size_t ntokens;
	struct range *ranges;
	size_t nranges;
	size_t *set[2]; /* token indices, the current and the next set */
	unsigned *mark; /* by token: the round in which it was last added */
};

/* One character of UTF-8.  A byte that starts none stands for itself, apart from all characters. */
static uint32_t
next_char(const char **p)
{
	const unsigned char *s = (const unsigned char *)*p;
	unsigned n = s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 0;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	uint32_t c = n == 0 ? s[0] : s[0] & (0x3fu >> n);

	*p += 1;
	if (s[0] < 0x80)
		return c;
	for (unsigned i = 1; i <= n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0x110000u + s[0];
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n == 0 || s[0] > 0xf4 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0x110000u + s[0];
	*p += n;
	return c;
}

static struct token *
add_token(struct glob *g, enum op op, uint32_t c)
{
	struct token *t;

	/* the pattern's length bounds both arrays, see glob_compile */
	t = &g->tokens[g->ntokens++];
	*t = (struct token){ .op = op, .c = c };
	return t;
}

/* One end of a range; Go path.Match, "getEsc": an unprotected `-` or `]` is malformed. */
static bool
range_end(const char **p, uint32_t *c)
{
	if (**p == '\0' || **p == '-' || **p == ']')
		return false;
	if (**p == '\\' && *++*p == '\0')
		return false;
	*c = next_char(p);
	return **p != '\0';
}

/* `[` '^'? range+ `]`, *p behind the bracket. */
static bool
add_set(struct glob *g, const char **p)
{
	struct token *t = add_token(g, OP_SET, 0);

	t->first = g->nranges;
	if (**p == '^') {
		t->negated = true;
		++*p;
	}
	while (**p != ']' || t->nranges == 0) {
		struct range r;

		if (!range_end(p, &r.lo))
			return false;
		r.hi = r.lo;
		if (**p == '-') {
			++*p;
			if (!range_end(p, &r.hi))
				return false;
		}
		g->ranges[g->nranges++] = r;
		t->nranges++;
	}
	++*p;
	return true;
}

/* `\c`.  In ignore files docker hands the escape to a regular expression, where some letters are control
   characters and the others mean something else altogether: `\a` does not match "a". */
static bool
add_escape(struct glob *g, const char **p, enum glob_kind kind)
{
	static const char letters[] = "aftnrv", controls[] = "\a\f\t\n\r\v";
	const char *at;

	if (**p == '\0')
		return false;
	if (kind == GLOB_IGNORE && ((**p >= 'a' && **p <= 'z') || (**p >= 'A' && **p <= 'Z') ||
	                            (**p >= '0' && **p <= '9'))) {
		at = strchr(letters, **p);
		add_token(g, at != NULL ? OP_CHAR : OP_NEVER, at != NULL ? (uint32_t)controls[at - letters] : 0);
		++*p;
		return true;
	}
	add_token(g, OP_CHAR, next_char(p));
	return true;
}

/* `*` and `**`, *p behind the first star. */
static void
add_star(struct glob *g, const char **p, enum glob_kind kind)
{
	bool first = g->ntokens == 0, dirs;

	if (kind == GLOB_PATH || **p != '*') {
		add_token(g, OP_NAME, 0);
		return;
	}
	++*p;
	dirs = **p == '/';
	*p += dirs;
	if (**p == '\0' || (first && !dirs && strpbrk(*p, "*?[]\\") == NULL)) {
		/* the end; or docker's quirk: `**x` at the start is any name that ends in x */
		add_token(g, OP_ALL, 0);
		return;
	}
	add_token(g, OP_DIRS, 0);
	add_token(g, OP_DEEP, 0);
}

static bool
compile(struct glob *g, const char *p, enum glob_kind kind)
{
	while (*p != '\0') {
		const char *start = p;

		switch (*p++) {
		case '*':
			add_star(g, &p, kind);
			break;
		case '?':
			add_token(g, OP_ANY, 0);
			break;
		case '[':
			if (!add_set(g, &p))
				return false;
			break;
		case '\\':
			if (!add_escape(g, &p, kind))
				return false;
			break;
		default:
			p = start;
			add_token(g, OP_CHAR, next_char(&p));
		}
	}
	add_token(g, OP_END, 0);
	return true;
}

struct glob *
glob_compile(const char *pattern, enum glob_kind kind)
{
	struct glob *g = rt_alloc(sizeof(*g));
	size_t n = strlen(pattern) + 1; /* `**` makes two tokens, everything else one of one byte at least */

	g->tokens = rt_alloc(n * sizeof(*g->tokens));
	g->ranges = rt_alloc(n * sizeof(*g->ranges));
	if (!compile(g, pattern, kind)) {
		glob_free(g);
		return NULL;
	}
	g->mark = rt_alloc(g->ntokens * sizeof(*g->mark));
	for (unsigned i = 0; i < 2; i++)
		g->set[i] = rt_alloc(g->ntokens * sizeof(**g->set));
	return g;
}

void
glob_free(struct glob *g)
{
	if (g == NULL)
		return;
	rt_free_ptr(&g->tokens);
	rt_free_ptr(&g->ranges);
	rt_free_ptr(&g->mark);
	rt_free_ptr(&g->set[0]);
	rt_free_ptr(&g->set[1]);
	rt_free_ptr(&g);
}

/* Adds token `i` and those reached from it without a character. */
static void
reach(const struct glob *g, size_t *set, size_t *n, size_t i, unsigned round)
{
	for (;;) {
		enum op op = g->tokens[i].op;

		if (g->mark[i] == round)
			return;
		g->mark[i] = round;
		set[(*n)++] = i;
		if (op == OP_DIRS) {
			reach(g, set, n, i + 1, round); /* OP_DEEP: no further */
			i += 2;
		} else if (op == OP_NAME || op == OP_ALL) {
			i++;
		} else {
			return;
		}
	}
}

static bool
in_set(const struct glob *g, const struct token *t, uint32_t c)
{
	for (size_t i = t->first; i < t->first + t->nranges; i++)
		if (g->ranges[i].lo <= c && c <= g->ranges[i].hi)
			return !t->negated;
	return t->negated;
}

/* Where character `c` leads from token `i`. */
static void
step(const struct glob *g, size_t *set, size_t *n, size_t i, uint32_t c, unsigned round)
{
	const struct token *t = &g->tokens[i];

	switch (t->op) {
	case OP_CHAR:
		if (t->c == c)
			reach(g, set, n, i + 1, round);
		break;
	case OP_ANY:
		if (c != '/')
			reach(g, set, n, i + 1, round);
		break;
	case OP_SET:
		if (in_set(g, t, c))
			reach(g, set, n, i + 1, round);
		break;
	case OP_NAME:
		if (c != '/')
			reach(g, set, n, i, round);
		break;
	case OP_DEEP:
		reach(g, set, n, i, round);
		if (c == '/')
			reach(g, set, n, i + 1, round);
		break;
	case OP_ALL:
		reach(g, set, n, i, round);
		break;
	case OP_DIRS:
	case OP_NEVER:
	case OP_END:
		break;
	}
}

static size_t
advance(const struct glob *g, const size_t *from, size_t nfrom, size_t *to, uint32_t c, unsigned round)
{
	size_t n = 0;

	for (size_t i = 0; i < nfrom; i++)
		step(g, to, &n, from[i], c, round);
	return n;
}

/* The end is the last token. */
static bool
accepts(const struct glob *g, unsigned round)
{
	return g->mark[g->ntokens - 1] == round;
}

unsigned
glob_run(const struct glob *g, const char *name)
{
	unsigned result = GLOB_NONE, round = 1;
	size_t n = 0, now = 0;

	memset(g->mark, 0, g->ntokens * sizeof(*g->mark));
	reach(g, g->set[0], &n, 0, round);
	for (const char *p = name; *p != '\0' && n > 0; now ^= 1) {
		uint32_t c = next_char(&p);

		if (c == '/' && accepts(g, round))
			result |= GLOB_ABOVE;
		n = advance(g, g->set[now], n, g->set[now ^ 1], c, ++round);
	}
	if (n > 0 && accepts(g, round))
		result |= GLOB_HERE;
	if (n > 0 && advance(g, g->set[now], n, g->set[now ^ 1], '/', ++round) > 0)
		result |= GLOB_BELOW;
	return result;
}

int
glob_match(const char *pattern, const char *name)
{
	struct glob *g = glob_compile(pattern, GLOB_PATH);
	unsigned result;

	if (g == NULL)
		return -1;
	result = glob_run(g, name);
	glob_free(g);
	return (result & GLOB_HERE) != 0;
}

bool
glob_has_wildcard(const char *word)
{
	for (const char *p = word; *p != '\0'; p++) {
		if (*p == '\\') {
			if (*++p == '\0')
				return false;
		} else if (strchr("*?[", *p) != NULL) {
			return true;
		}
	}
	return false;
}
