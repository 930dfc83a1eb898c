/* --progress=rawjson: one JSON object a line on standard error, dockcc-script(7) "PROGRESS AS JSON".  `t` is seconds since
   the build began. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

/* A string in JSON; bytes that are no UTF-8 become U+FFFD. */
static void
put_string(struct str *b, const char *name, const char *s)
{
	struct str text = { 0 };
	struct json *j;
	uint32_t c;

	str_add(&text, "", 0);
	for (size_t k; *s != '\0'; s += k > 0 ? k : 1) {
		k = rt_utf8((const unsigned char *)s, &c);
		str_add(&text, k > 0 ? s : "\xef\xbf\xbd", k > 0 ? k : 3);
	}
	j = json_new_string(text.s != NULL ? text.s : "");
	str_printf(b, ",\"%s\":", name);
	json_write(j, b);
	json_free(j);
	str_free(&text);
}

static void
begin(struct str *b, const struct progress *p, const char *name)
{
	str_printf(b, "{\"event\":\"%s\",\"t\":%.3f", name, progress_now(p));
}

static void
end(struct str *b)
{
	str_puts(b, "}\n");
	progress_write(b->s, b->len);
	str_free(b);
}

static void
put_step(struct str *b, const struct plan_step *s)
{
	put_string(b, "step", s->id);
	put_string(b, "line", s->lines);
	str_printf(b, ",\"verb\":\"%s\"", verb_name(s->verb));
}

void
event_begin(struct progress *p)
{
	struct str b = { 0 };

	begin(&b, p, "begin");
	put_string(&b, "script", p->b->o->script);
	put_string(&b, "dockerfile", p->b->o->dockerfile);
	put_string(&b, "target", p->b->target->plan->id);
	str_printf(&b, ",\"steps\":%zu", p->total);
	end(&b);
}

void
event_step(struct progress *p, const struct track *t, const char *name, const struct message *m)
{
	cleanup_free char *title = step_title(t->step);
	struct str b = { 0 };

	begin(&b, p, name);
	put_step(&b, t->step);
	if (t->state == TRACK_RUNNING || t->state == TRACK_CACHED)
		put_string(&b, "title", title);
	if (t->state == TRACK_DONE || t->state == TRACK_FAILED)
		str_printf(&b, ",\"seconds\":%.3f", t->end - t->begin);
	if (t->state == TRACK_DONE && t->bytes > 0)
		str_printf(&b, ",\"bytes\":%llu", (unsigned long long)t->bytes);
	if (m != NULL) {
		str_printf(&b, ",\"status\":%d", m->status);
		put_string(&b, "text", m->text);
	}
	end(&b);
}

void
event_output(struct progress *p, const struct track *t, const char *text)
{
	struct str b = { 0 };

	begin(&b, p, "output");
	put_step(&b, t->step);
	put_string(&b, "text", text);
	end(&b);
}

void
event_bytes(struct progress *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct track *t = p->tracks[i];
		const struct meter *m = t->meter;
		struct str b = { 0 };

		if (m == NULL || t->state != TRACK_RUNNING || m->done == t->told)
			continue;
		t->told = m->done;
		begin(&b, p, "bytes");
		put_step(&b, t->step);
		str_printf(&b, ",\"what\":\"%s\",\"done\":%llu,\"total\":%llu", meter_word((enum meter_kind)m->kind),
		           (unsigned long long)t->told, (unsigned long long)m->total);
		end(&b);
	}
}

void
event_note(struct progress *p, const char *text)
{
	struct str b = { 0 };

	begin(&b, p, "note");
	put_string(&b, "text", text);
	end(&b);
}

void
event_image(struct progress *p, const char *digest, const char *where)
{
	struct str b = { 0 };

	begin(&b, p, "image");
	put_string(&b, "digest", digest);
	put_string(&b, "where", where);
	end(&b);
}

/* Layers are those whose size is known: of the image that was written. */
static void
put_layers(struct str *b, const struct progress *p)
{
	const char *comma = "";
	bool last;

	str_puts(b, ",\"layers\":[");
	for (size_t i = 0; i < p->n; i++) {
		uint64_t size = summary_layer(p->b, p->tracks[i]->step, &last);
		struct str one = { 0 };

		if (size == 0 || !last)
			continue;
		put_string(&one, "step", p->tracks[i]->step->id);
		str_printf(b, "%s{%s,\"size\":%llu}", comma, one.s + 1, (unsigned long long)size);
		str_free(&one);
		comma = ",";
	}
	str_puts(b, "]");
}

void
event_end(struct progress *p, int status)
{
	const struct build *build = p->b;
	struct str b = { 0 };

	begin(&b, p, "end");
	str_printf(&b, ",\"status\":%d,\"run\":%zu,\"cached\":%zu", status, progress_count(p, TRACK_DONE),
	           progress_count(p, TRACK_CACHED));
	if (build->failed_step != NULL)
		put_step(&b, build->failed_step);
	if (status == 0)
		put_layers(&b, p);
	end(&b);
}
