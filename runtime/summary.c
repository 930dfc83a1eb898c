/* What is said when a build has ended well: the steps that ran and the layers of the image, with times and sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "oci.h"
#include "progress.h"

static uint64_t
size_of(const struct build *b, const char *layer)
{
	struct layer_meta m;
	struct rt_err ignored;
	uint64_t size = 0;

	if (layer_meta_read((struct store *)(uintptr_t)&b->store, layer, &m, &ignored) > 0)
		size = m.size;
	layer_meta_free(&m);
	return size;
}

uint64_t
summary_layer(const struct build *b, const struct plan_step *s, bool *last)
{
	const struct stage_build *sb = s->stage != NULL ? &b->stages[s->stage->index] : NULL;
	uint64_t size = 0;

	*last = false;
	if (sb == NULL || sb->plan != s->stage)
		return 0;
	if (s->verb == VERB_FROM) {
		*last = true;
		for (size_t i = 0; sb->settled && i < sb->nbase && i < sb->layers.n; i++)
			size += size_of(b, sb->layers.v[i]);
		return size;
	}
	for (size_t u = 0; u < sb->nunits; u++)
		if (s == &sb->plan->steps[sb->units[u].end - 1]) {
			*last = true;
			return size_of(b, sb->units[u].key);
		}
	return 0;
}

/* summary    build.3        12.4s   151.2 MB  go mod download */
static void
put_track(struct str *out, const struct track *t, uint64_t size, unsigned room)
{
	cleanup_free char *title = term_title(t->step, room);
	char time[32], bytes[32] = "";

	progress_time(t->end - t->begin, time);
	if (size > 0)
		progress_size(size, bytes);
	str_printf(out, "%-10s %-10s %8s %10s  %s\n", "summary", t->step->id, t->state == TRACK_CACHED ? "cached" : time, bytes, title);
}

static void
put_total(struct str *out, const struct progress *p, size_t layers, uint64_t bytes)
{
	size_t run = progress_count(p, TRACK_DONE), cached = progress_count(p, TRACK_CACHED);
	char time[32], size[32];

	progress_time(progress_now(p), time);
	progress_size(bytes, size);
	str_printf(out, "%-10s ", "summary");
	if (run > 0)
		str_printf(out, "%zu step%s run in %s, %zu cached", run, run == 1 ? "" : "s", time, cached);
	else
		str_printf(out, "nothing to run, %zu step%s cached", cached, cached == 1 ? "" : "s");
	if (layers > 0)
		str_printf(out, "; %zu layer%s, %s", layers, layers == 1 ? "" : "s", size);
	str_putc(out, '\n');
}

/* The layers of the image by their names, those of the base too. */
static size_t
image_layers(const struct build *b, uint64_t *bytes)
{
	const struct list *l = &b->target->layers;

	*bytes = 0;
	for (size_t i = 0; b->target->settled && i < l->n; i++) {
		uint64_t n = size_of(b, l->v[i]);

		if (n == 0)
			return 0; /* no image was written */
		*bytes += n;
	}
	return b->target->settled ? l->n : 0;
}

void
summary_write(struct progress *p)
{
	size_t layers, run = progress_count(p, TRACK_DONE);
	struct str out = { 0 };
	unsigned columns = 104, lines;
	uint64_t bytes;

	if (isatty(STDERR_FILENO))
		term_size(&columns, &lines);
	for (size_t i = 0; run > 0 && i < p->n; i++) {
		const struct track *t = p->tracks[i];
		bool last;
		uint64_t size = summary_layer(p->b, t->step, &last);

		if (t->state == TRACK_DONE || (t->state == TRACK_CACHED && last && size > 0))
			put_track(&out, t, size, columns >= 104 ? 60 : columns > 50 ? columns - 44 : 6);
	}
	layers = image_layers(p->b, &bytes);
	put_total(&out, p, layers, bytes);
	progress_write(out.s, out.len);
	str_free(&out);
}
