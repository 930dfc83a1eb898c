/* libFuzzer: any bytes as a Dockerfile through every part of the compiler.  The first byte picks the optimisation
   level. */
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_named_const(NULL, 0, "fuzz");
	struct source *source = source_new(ctx, "Dockerfile", size > 0 ? (const char *)data + 1 : "", size > 0 ? size - 1 : 0);
	struct diag *d = diag_new(ctx);
	struct buf *out = buf_new(ctx), *text = buf_new(ctx);
	struct unit *u = unit_parse(ctx, source, d);
	struct check_config config;
	struct sema_options so = { .all = size % 2 };
	struct emit_options eo = { .dockerfile = "Dockerfile", .script = "build.sh", .source_digest = "", .passes = "", .runtime = RUNTIME_PATH };
	unsigned *counts = mem_array(ctx, unsigned, npasses);
	struct pass_log log = { .text = text };
	struct graph *g;

	unit_dump(out, u);
	if (!u->lexical_error && check_configure(ctx, u, NULL, &config, d))
		check_unit(u, &config, CHECK_STAGES, UINT32_MAX, d);
	if (u->ok && unit_check_bytes(u, d)) {
		fmt_unit(text, u, text);
		g = sema_build(ctx, u, &so, d);
		if (g != NULL && d->errors == 0) {
			passes_run(g, data[0] % 3, NULL, NULL, counts, &log);
			graph_dump(out, g);
			emit_sh(out, g, &eo, d);
		}
	}
	for (size_t i = 0; i < d->n; i++)
		diag_render(text, &d->items[i], i % 2);
	talloc_free(ctx);
	return 0;
}
