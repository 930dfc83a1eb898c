#include "meter.h"

static struct meter *here;
static meter_watch_fn *watcher;
static void *watcher_arg;

void
meter_use(struct meter *m)
{
	here = m;
}

void
meter_watch(meter_watch_fn *watch, void *arg)
{
	watcher = watch;
	watcher_arg = arg;
}

void
meter_begin(enum meter_kind kind, const char *what, uint64_t total)
{
	if (here != NULL) {
		here->done = here->files = 0;
		here->total = total;
		here->kind = kind;
	}
	if (watcher != NULL)
		watcher(watcher_arg, kind, what);
}

void
meter_end(void)
{
	if (here != NULL)
		here->kind = METER_NOTHING;
	if (watcher != NULL)
		watcher(watcher_arg, METER_NOTHING, NULL);
}

static void
passed(enum meter_kind kind)
{
	if (watcher != NULL)
		watcher(watcher_arg, kind, NULL);
}

void
meter_add(enum meter_kind kind, uint64_t bytes, uint64_t files)
{
	if (here == NULL || here->kind != (int)kind)
		return;
	here->done += bytes;
	here->files += files;
	passed(kind);
}

const char *
meter_word(enum meter_kind kind)
{
	switch (kind) {
	case METER_PULL:
		return "pull";
	case METER_UNPACK:
		return "unpack";
	case METER_COPY:
		return "copy";
	case METER_EXPORT:
		return "export";
	case METER_NOTHING:
		break;
	}
	return "";
}

static ssize_t
meter_read(struct reader *reader, void *p, size_t n, struct rt_err *e)
{
	struct meter_reader *r = (struct meter_reader *)reader;
	ssize_t k = r->src->read(r->src, p, n, e);

	if (k > 0)
		meter_add(METER_UNPACK, (uint64_t)k, 0);
	return k;
}

void
meter_reader_init(struct meter_reader *r, struct reader *src)
{
	*r = (struct meter_reader){ .reader.read = meter_read, .src = src };
}
