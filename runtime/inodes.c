/* Which name of a file with several came first. */
#include "copy_int.h"

#include <stdlib.h>

struct first {
	dev_t dev;
	ino_t ino;
	char *path; /* NULL: free slot */
};

static struct first *
slot_of(const struct inodes *t, dev_t dev, ino_t ino)
{
	uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 24) & (t->cap - 1);

	while (t->slots[i].path != NULL && (t->slots[i].ino != ino || t->slots[i].dev != dev))
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void
grow(struct inodes *t)
{
	struct first *old = t->slots;
	size_t old_cap = t->cap;

	t->cap = old_cap == 0 ? 64 : old_cap * 2;
	t->slots = rt_alloc(t->cap * sizeof(*t->slots));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].path != NULL)
			*slot_of(t, old[i].dev, old[i].ino) = old[i];
	free(old);
}

const char *
inodes_first(struct inodes *t, const struct stat *st, const char *path)
{
	struct first *f;

	if (t->n * 2 >= t->cap)
		grow(t);
	f = slot_of(t, st->st_dev, st->st_ino);
	if (f->path != NULL)
		return f->path;
	*f = (struct first){ .dev = st->st_dev, .ino = st->st_ino, .path = rt_strdup(path) };
	t->n++;
	return NULL;
}

void
inodes_free(struct inodes *t)
{
	for (size_t i = 0; i < t->cap; i++)
		free(t->slots[i].path);
	free(t->slots);
	*t = (struct inodes){ .n = 0 };
}
