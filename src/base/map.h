/* From names to values or numbers. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>

struct map_slot {
	const char *key; /* NULL: free */
	const char *value;
	size_t number;
};
struct map {
	struct map_slot *v;
	size_t n, cap;
};

/* The slot of `key`, NULL when there is none. */
struct map_slot *map_get(const struct map *m, const char *key);
/* The same, made when there is none; the key is copied, the table is owned by `ctx`.  Valid until the next one is made. */
struct map_slot *map_put(const void *ctx, struct map *m, const char *key);

#endif
