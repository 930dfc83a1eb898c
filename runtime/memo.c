/* Content digests remembered by what stat says of a file, so that an unchanged context costs one stat a file.
   As with git's index (git's technical/racy-git), an entry must not be made while a later change of the file could
   leave the same stat data behind: a file is remembered only when it was last changed clearly before it was read. */
#include "copy_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char memo_magic[16] = "dockcc memo 1\n";

enum {
	SLACK_FINE = 50,     /* ms: more than a tick of the clock that stamps files */
	SLACK_COARSE = 3000, /* ms: file systems that store whole or even seconds */
	MEMO_LIMIT = 1 << 30,
};

/* One file; no padding, as this is what the memo file holds. */
struct memo_entry {
	uint64_t dev, ino, size;
	int64_t mtime, ctime; /* seconds */
	uint32_t mtime_ns, ctime_ns;
	unsigned char hash[32];
};

struct memo {
	char *path;
	int64_t now_ms; /* when this run began to look at files */
	struct memo_entry *entries;
	unsigned char *used; /* by entry: asked for or made in this run */
	size_t n, room, nused;
	size_t *slots; /* open addressing: index + 1, 0 free */
	size_t cap;
	bool changed;
};

static size_t *
memo_slot(const struct memo *m, uint64_t dev, uint64_t ino)
{
	uint64_t hash = (ino ^ dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(hash >> 24) & (m->cap - 1);

	while (m->slots[i] != 0 &&
	       (m->entries[m->slots[i] - 1].ino != ino || m->entries[m->slots[i] - 1].dev != dev))
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static void
memo_index(struct memo *m)
{
	for (m->cap = 64; m->cap < m->n * 2 + 2; m->cap *= 2)
		;
	free(m->slots);
	m->slots = rt_alloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < m->n; i++)
		*memo_slot(m, m->entries[i].dev, m->entries[i].ino) = i + 1;
}

static int64_t
milliseconds(int64_t s, int64_t ns)
{
	return s * 1000 + ns / 1000000;
}

struct memo *
memo_open(const char *path)
{
	struct memo *m = rt_alloc(sizeof(*m));
	struct rt_err ignored = { 0 };
	struct timespec now;
	struct str text = { 0 };

	m->path = rt_strdup(path);
	/* the clock that stamps files */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	m->now_ms = milliseconds(now.tv_sec, now.tv_nsec);
	/* a memo that is not there or not readable is an empty one */
	if (rt_read_file(AT_FDCWD, path, MEMO_LIMIT, &text, &ignored) == 0 && text.len > sizeof(memo_magic) &&
	    memcmp(text.s, memo_magic, sizeof(memo_magic)) == 0 &&
	    (text.len - sizeof(memo_magic)) % sizeof(*m->entries) == 0) {
		m->n = m->room = (text.len - sizeof(memo_magic)) / sizeof(*m->entries);
		m->entries = rt_alloc(m->n * sizeof(*m->entries));
		memcpy(m->entries, text.s + sizeof(memo_magic), m->n * sizeof(*m->entries));
	}
	str_free(&text);
	m->used = rt_alloc(m->room + 1);
	memo_index(m);
	return m;
}

static struct memo_entry
entry_of(const struct stat *st)
{
	return (struct memo_entry){
		.dev = st->st_dev, .ino = st->st_ino, .size = (uint64_t)st->st_size,
		.mtime = st->st_mtim.tv_sec, .mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = st->st_ctim.tv_sec, .ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
	};
}

static void
memo_use(struct memo *m, size_t i)
{
	m->nused += !m->used[i];
	m->used[i] = 1;
}

bool
memo_find(struct memo *m, const struct stat *st, unsigned char hash[32])
{
	struct memo_entry want = entry_of(st);
	size_t slot = *memo_slot(m, want.dev, want.ino);
	const struct memo_entry *have;

	if (slot == 0)
		return false;
	have = &m->entries[slot - 1];
	if (memcmp(have, &want, offsetof(struct memo_entry, hash)) != 0)
		return false;
	memcpy(hash, have->hash, sizeof(have->hash));
	memo_use(m, slot - 1);
	return true;
}

void
memo_put(struct memo *m, const struct stat *before, const struct stat *after, const unsigned char hash[32])
{
	struct memo_entry new = entry_of(before), check = entry_of(after);
	/* nobody can set ctime, so a fraction in it shows that the file system has fine times */
	int64_t slack = before->st_ctim.tv_nsec != 0 ? SLACK_FINE : SLACK_COARSE;
	size_t *slot;

	if (memcmp(&new, &check, offsetof(struct memo_entry, hash)) != 0 ||
	    milliseconds(new.ctime, new.ctime_ns) + slack >= m->now_ms ||
	    milliseconds(new.mtime, new.mtime_ns) + slack >= m->now_ms)
		return;
	memcpy(new.hash, hash, sizeof(new.hash));
	slot = memo_slot(m, new.dev, new.ino);
	if (*slot == 0) {
		if (m->n == m->room) {
			size_t room = m->room * 2 + 64;

			m->entries = rt_grow(m->entries, room * sizeof(*m->entries));
			m->used = rt_grow(m->used, room + 1);
			memset(m->used + m->room, 0, room + 1 - m->room);
			m->room = room;
		}
		*slot = ++m->n;
	}
	m->entries[*slot - 1] = new;
	memo_use(m, *slot - 1);
	m->changed = true;
	if (m->n * 2 > m->cap)
		memo_index(m);
}

/* Other steps share the file, so what this run did not use stays, until it is most of it. */
static void
memo_prune(struct memo *m)
{
	size_t kept = 0;

	if (m->n < m->nused * 8 + 65536)
		return;
	for (size_t i = 0; i < m->n; i++)
		if (m->used[i])
			m->entries[kept++] = m->entries[i];
	m->n = kept;
}

void
memo_close(struct memo *m)
{
	struct rt_err e = { 0 };
	struct str text = { 0 };

	if (m->changed) {
		memo_prune(m);
		str_add(&text, memo_magic, sizeof(memo_magic));
		str_add(&text, m->entries, m->n * sizeof(*m->entries));
		/* without a memo the next build is slower, not wrong */
		if (rt_write_file(AT_FDCWD, m->path, text.s, text.len, 0600, &e) < 0)
			rt_warn("%s", e.text);
		str_free(&text);
	}
	free(m->path);
	free(m->entries);
	free(m->used);
	free(m->slots);
	free(m);
}
