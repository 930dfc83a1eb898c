/* libFuzzer: any bytes as a Dockerfile through every part of the compiler, check and fmt.  The first byte picks the
   optimisation level.  Besides crashes it finds layouts of fmt that mean something else or are not stable, and fixes
   that never come to an end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/diff.h"
#include "base/mem.h"
#include "check/check.h"
#include "emit/emit.h"
#include "fmt/fmt.h"
#include "front/ast.h"
#include "graph/graph.h"
#include "passes/passes.h"
#include "sema/sema.h"

const struct payload payloads[] = { { .machine = NULL } }, payload_source = { .text = "", .sha256 = "" };
extern const char sh_prelude[];
const char sh_prelude[] = "";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
wrong(const char *what, const char *before, const char *after)
{
	fprintf(stderr, "%s\n--- before\n%s\n--- after\n%s\n", what, before, after);
	abort();
}

/* The AST without the numbers of lines. */
static char *
tree(const void *ctx, const struct unit *u)
{
	struct buf *out = buf_new(ctx);
	char *s, *to, *from;

	unit_dump(out, u);
	s = to = mem_str(ctx, buf_str(out));
	for (from = s; *from != '\0';) {
		if (strncmp(from, "\"line_", 6) == 0)
			from += strcspn(from, ",}");
		else
			*to++ = *from++;
	}
	*to = '\0';
	return s;
}

static void
layout(const void *ctx, const struct unit *u)
{
	struct buf *once = buf_new(ctx), *twice = buf_new(ctx), *diff = buf_new(ctx);
	struct diag *d = diag_new(ctx);
	struct unit *again;

	fmt_unit(once, u);
	again = unit_parse(ctx, source_new(ctx, "Dockerfile", buf_str(once), once->len), d);
	if (!again->ok || strcmp(tree(ctx, u), tree(ctx, again)) != 0)
		wrong("fmt changes the meaning", u->source->text, buf_str(once));
	fmt_unit(twice, again);
	if (strcmp(buf_str(once), buf_str(twice)) != 0)
		wrong("fmt is not stable", buf_str(once), buf_str(twice));
	diff_unified(diff, "Dockerfile", u->source->text, u->source->len, buf_str(once), once->len);
}

/* Checks, and makes the fixes until there are none. */
static void
checks(const void *ctx, const char *text, size_t len, bool reference)
{
	static const char ignore[] = "*.o\n!a\n**/b\n";
	struct sema_options so = { 0 };
	struct check_options o = { .sema = &so, .ignore = ignore, .ignore_len = sizeof ignore - 1, .ignore_name = ".dockerignore", .reference = reference };
	struct buf *out = buf_new(ctx);

	for (unsigned round = 0, made = 1; made > 0; round++) {
		struct diag *d = diag_new(ctx);
		bool werror = false;
		const char *near;
		struct check_file f = { .name = "Dockerfile", .source = source_new(ctx, "Dockerfile", text, len), .d = d };

		check_level(d, "all", &werror, &near);
		f.result = check_unit(unit_parse(ctx, f.source, d), &o, d);
		diag_sort(d);
		check_json(out, &f, 1);
		check_json_full(out, &f, 1);
		check_sarif(out, &f, 1);
		check_gcc(out, &f, 1);
		for (size_t i = 0; i < d->n; i++)
			diag_render(out, &d->items[i], i % 2);
		text = check_fix(ctx, f.source, d, &len, &made);
		if (round > 100)
			wrong("the fixes do not end", f.source->text, text);
	}
}

static void
compile(const void *ctx, const struct unit *u, unsigned level, struct diag *d)
{
	struct sema_options so = { .all_stages = level == 2 };
	struct emit_options eo = { .dockerfile = "Dockerfile", .script = "build.sh", .source_digest = "", .passes = "", .runtime = RUNTIME_PATH, .prefix = "x" };
	unsigned *counts = mem_array(ctx, unsigned, npasses);
	struct buf *out = buf_new(ctx);
	struct pass_log log = { .text = out };
	struct graph *g = sema_build(ctx, u, &so, d);

	if (g == NULL || d->errors > 0)
		return;
	passes_run(g, level, NULL, NULL, counts, &log);
	graph_dump(out, g);
	emit_sh(out, g, &eo, d);
	emit_make(out, g, &eo, d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_named_const(NULL, 0, "fuzz");
	const char *text = size > 0 ? (const char *)data + 1 : "";
	size_t len = size > 0 ? size - 1 : 0;
	unsigned level = size > 0 ? data[0] % 3 : 0;
	struct diag *d = diag_new(ctx);
	struct unit *u = unit_parse(ctx, source_new(ctx, "Dockerfile", text, len), d);
	struct buf *out = buf_new(ctx);

	unit_dump(out, u);
	if (u->ok && unit_check_bytes(u, d)) {
		layout(ctx, u);
		compile(ctx, u, level, d);
	}
	diag_sort(d);
	for (size_t i = 0; i < d->n; i++)
		diag_render(out, &d->items[i], i % 2);
	checks(ctx, text, len, level == 1);
	talloc_free(ctx);
	return 0;
}
