/* Bytes that are being moved, for whoever shows them: a pull, an unpacked layer, the files of a COPY, an export. */
#ifndef RT_METER_H
#define RT_METER_H

#include "tar.h"

enum meter_kind { METER_NOTHING, METER_PULL, METER_UNPACK, METER_COPY, METER_EXPORT };

/* May lie in memory that processes share: some count, another looks.  A word is written whole on the machines that we know; what
   two downloads add in the same instant may count once, which only people see. */
struct meter {
	volatile int kind;                        /* enum meter_kind of what is counted */
	volatile uint64_t done, total, files;     /* bytes; total 0: nobody knows */
};

/* What a watcher of this process is told: that something begins (`what`: its name) and then, while it lasts, that time has
   passed (`what` NULL). */
typedef void meter_watch_fn(void *arg, enum meter_kind kind, const char *what);

/* Where this process counts from now on; NULL: nowhere. `m` must stay. */
void meter_use(struct meter *m);
/* NULL: nobody is told. */
void meter_watch(meter_watch_fn *watch, void *arg);

/* Begins to count `kind`; `what` is shown for a pull, `total` 0 means unknown. */
void meter_begin(enum meter_kind kind, const char *what, uint64_t total);
void meter_end(void);
/* Adds to the count when `kind` is what is being counted, else nothing happens. */
void meter_add(enum meter_kind kind, uint64_t bytes, uint64_t files);
const char *meter_word(enum meter_kind kind);

/* Passes through and counts what is unpacked. */
struct meter_reader {
	struct reader reader;
	struct reader *src;
};
void meter_reader_init(struct meter_reader *r, struct reader *src);

#endif
