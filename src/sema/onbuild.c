/* ONBUILD: the text that is stored, and the triggers that a stage runs: those of a stage of the same file or of the
   base image, where that is at hand. */
#include <string.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "lower.h"

/* The trigger as the config holds it: continuation lines joined, here-documents behind it. */
const char *
onbuild_text(const void *ctx, const struct inst *i)
{
	struct buf *text = buf_new(NULL);
	char *s;

	buf_add(text, i->rest.s, i->rest.len);
	for (size_t k = 0; k < i->nheredocs; k++) {
		buf_putc(text, '\n');
		buf_add(text, i->heredocs[k].content, i->heredocs[k].len);
		buf_puts(text, i->heredocs[k].name);
	}
	s = mem_dup(ctx, buf_str(text), text->len);
	talloc_free(text);
	return s;
}

/* Triggers are parsed with the default escape and judged only now. */
static const struct inst *
trigger(struct sema *s, const char *text)
{
	struct diag *d = diag_new(NULL);
	struct inst *inner = unit_parse_trigger(s->g, text, d);

	talloc_free(d);
	return inner;
}

/* The image's own triggers come first: they are the only ones of its FROM. */
static bool
image_items(struct sema *s, struct stage_info *stage)
{
	for (size_t k = 0; k < stage->ntriggers; k++) {
		const char *text = stage->triggers[k];
		const struct inst *inner = trigger(s, text);

		if (inner == NULL) {
			stage->bad_image_trigger = text;
			return false;
		}
		stage->items[stage->nitems++] = (struct item){ .inst = inner, .onbuild = stage->ast->from, .image_trigger = text };
	}
	return true;
}

static void
image_triggers(struct sema *s, struct stage_info *stage)
{
	const struct value *platform = stage->base.platform;

	if (s->o->triggers == NULL || stage->base.kind != ORIGIN_IMAGE || stage->base_now == NULL || stage->replaced)
		return;
	stage->triggers = s->o->triggers(s->o->triggers_arg, s->g, stage->base_now,
	                                 platform != NULL && value_is_static(platform) ? value_text(platform)
	                                 : s->o->platform != NULL && strchr(s->o->platform, ',') == NULL ? s->o->platform : NULL, &stage->ntriggers);
}

void
onbuild_items(struct sema *s, struct stage_info *stage)
{
	const struct stage_info *parent = stage->base.kind == ORIGIN_STAGE ? &s->stages[stage->base.stage->index] : NULL;
	const struct stage *from = parent != NULL && !parent->replaced ? parent->ast : NULL;

	image_triggers(s, stage);
	stage->items = mem_array(s, struct item, stage->ntriggers + (from != NULL ? from->ninsts : 0) + stage->ast->ninsts);
	if (!image_items(s, stage))
		return;
	for (size_t k = 0; from != NULL && k < from->ninsts; k++) {
		const struct inst *i = from->insts[k], *inner;

		if (i->kind != INST_ONBUILD)
			continue;
		if ((inner = trigger(s, onbuild_text(s->g, i))) == NULL) {
			stage->bad_trigger = i;
			return;
		}
		stage->items[stage->nitems++] = (struct item){ .inst = inner, .onbuild = i };
	}
	for (size_t k = 0; k < stage->ast->ninsts && !stage->replaced; k++)
		stage->items[stage->nitems++] = (struct item){ .inst = stage->ast->insts[k] };
}
