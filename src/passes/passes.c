/* The table of passes and the loop over it. */
#include <stdarg.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "pass.h"

const struct pass passes[] = {
	{ "fold", "work out what is known of words, ARG and ENV", 1, pass_fold },
	{ "prune-stages", "drop stages that the target does not reach", 1, pass_prune_stages },
	{ "prune-args", "drop ARGs that nothing reads", 1, pass_prune_args },
	{ "batch-config", "one step for neighbouring metadata instructions", 1, pass_batch_config },
	{ "share-prefix", "stages that begin with the same steps share them", 1, pass_share_prefix },
	{ "merge-run", "neighbouring RUNs become one layer", 1, pass_merge_run },
	{ "merge-copy", "neighbouring COPYs become one layer", 2, pass_merge_copy },
};
const size_t npasses = sizeof passes / sizeof passes[0];

static bool
listed(const char *const *names, const char *name)
{
	for (; names != NULL && *names != NULL; names++) {
		if (strcmp(*names, name) == 0)
			return true;
	}
	return false;
}

void
passes_run(struct graph *g, unsigned level, const char *const *on, const char *const *off, unsigned *counts,
           struct pass_log *log)
{
	for (size_t k = 0; k < npasses; k++) {
		const struct pass *p = &passes[k];
		bool wanted = (p->level <= level || listed(on, p->name)) && !listed(off, p->name);

		counts[k] = wanted ? p->run(g, log) : 0;
	}
}

void
pass_say(struct pass_log *log, const char *pass, uint32_t first, uint32_t last, const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (log == NULL || log->text == NULL)
		return;
	va_start(ap, fmt);
	text = talloc_vasprintf(NULL, fmt, ap);
	va_end(ap);
	if (first == 0)
		buf_printf(log->text, "%s: %s\n", pass, text);
	else if (first == last)
		buf_printf(log->text, "%s: line %u: %s\n", pass, (unsigned)first, text);
	else
		buf_printf(log->text, "%s: lines %u-%u: %s\n", pass, (unsigned)first, (unsigned)last, text);
	talloc_free(text);
}

bool
pass_boundary(const struct graph *graph, const struct gstage *g, size_t k)
{
	if (g->shares != NULL && g->nshared >= k)
		return true;
	for (size_t i = 0; i < graph->nstages; i++) {
		if (graph->stages[i]->shares == g && graph->stages[i]->nshared >= k)
			return true;
	}
	return false;
}
