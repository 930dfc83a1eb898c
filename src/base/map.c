/* A hash table with open addressing: files of 100,000 instructions stay linear. */
#include <string.h>

#include "map.h"
#include "mem.h"

static size_t
hash(const char *s)
{
	size_t h = 5381;

	while (*s != '\0')
		h = h * 33 ^ (unsigned char)*s++;
	return h ^ h >> 15;
}

/* The slot of `key`, or the free one where it belongs. */
static struct map_slot *
place(const struct map *m, const char *key)
{
	size_t k = hash(key) & (m->cap - 1);

	while (m->v[k].key != NULL && strcmp(m->v[k].key, key) != 0)
		k = (k + 1) & (m->cap - 1);
	return &m->v[k];
}

struct map_slot *
map_get(const struct map *m, const char *key)
{
	struct map_slot *slot = m->n > 0 ? place(m, key) : NULL;

	return slot != NULL && slot->key != NULL ? slot : NULL;
}

struct map_slot *
map_put(const void *ctx, struct map *m, const char *key)
{
	struct map_slot *slot;

	if (m->n * 2 >= m->cap) {
		struct map old = *m;

		m->cap = old.cap > 0 ? old.cap * 2 : 16;
		m->v = mem_array(ctx, struct map_slot, m->cap);
		for (size_t k = 0; k < old.cap; k++) {
			if (old.v[k].key != NULL)
				*place(m, old.v[k].key) = old.v[k];
		}
		talloc_free(old.v);
	}
	slot = place(m, key);
	if (slot->key == NULL) {
		slot->key = mem_str(ctx, key);
		m->n++;
	}
	return slot;
}
