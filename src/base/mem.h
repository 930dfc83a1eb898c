/* Memory: a thin layer over libtalloc in which running out of memory is the one abort, so that no
   caller tests for NULL.  The context comes first; results hang on it.  talloc(3). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <talloc.h>

/* The root of a process's memory: a pool, so that small files cost no malloc.  It is given back by the end of the process. */
void *mem_root(void);

/* One zeroed `type`, or `n` of them, owned by `ctx`. */
#define mem_new(ctx, type)      ((type *)mem_zero((ctx), sizeof(type), 1, #type))
#define mem_array(ctx, type, n) ((type *)mem_zero((ctx), sizeof(type), (n), #type "[]"))

/* One zeroed `type`; what hangs on it comes from a pool of `room` bytes while that lasts. */
#define mem_pooled(ctx, type, room) ((type *)mem_pool((ctx), sizeof(type), (room), #type))

/* Room for `n` elements in `array` (NULL or owned by `ctx`), growing by half; returns the array,
   perhaps moved.  `*cap` is the capacity in elements; new room is zeroed. */
#define mem_room(ctx, array, n, cap) \
	((array) = mem_grow((ctx), (array), sizeof(*(array)), (n), (cap)))

void *mem_zero(const void *ctx, size_t size, size_t n, const char *name);
void *mem_pool(const void *ctx, size_t size, size_t room, const char *name);
/* `size` bytes that the caller fills. */
void *mem_raw(const void *ctx, size_t size, const char *name);
void *mem_grow(const void *ctx, void *array, size_t size, size_t n, size_t *cap);

/* NUL-terminated copies owned by `ctx`; mem_dup copies `len` bytes, which may hold anything. */
char *mem_str(const void *ctx, const char *s);
char *mem_dup(const void *ctx, const char *s, size_t len);
char *mem_printf(const void *ctx, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
