#include <stdlib.h>
#include <string.h>

#include "tar_entry.h"

enum { MAX_META = 1 << 20, MAX_PIECES = 1000000 };
static const uint64_t max_size = 1ull << 62;

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[8], uname[32], gname[32];
	char major[8], minor[8], prefix[155], fill[12];
};

/* What pax records and GNU sparse headers said about the next entry. */
struct meta {
	char *path, *link, *sparse_name;
	int64_t size, uid, gid, mtime, real; /* -1: not said; has_mtime for the time */
	long nsec;
	bool has_mtime;
	int64_t sparse_major, sparse_minor, sparse_off;
	bool sparse;
};

static int
bad(const struct tar_in *in, const char *why, struct rt_err *e)
{
	return rt_fail_status(e, RT_DIGEST, "%s: entry %llu near offset %llu: %s", in->what, (unsigned long long)in->entry,
	                      (unsigned long long)in->off, why);
}

void
tar_entry_free(struct tar_entry *t)
{
	for (size_t i = 0; i < t->nxattrs; i++) {
		free(t->xattrs[i].name);
		free(t->xattrs[i].value);
	}
	free(t->xattrs);
	free(t->map);
	free(t->name);
	free(t->link);
	*t = (struct tar_entry){ 0 };
}

static void
meta_free(struct meta *m)
{
	free(m->path);
	free(m->link);
	free(m->sparse_name);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

/* 1: n bytes read, 0: the input ended before the first, -1: elsewhere. */
static int
get(struct tar_in *in, void *p, size_t n, struct rt_err *e)
{
	size_t have = 0;

	while (have < n) {
		ssize_t k = in->src->read(in->src, (char *)p + have, n - have, e);

		if (k < 0)
			return -1;
		if (k == 0 && have == 0)
			return 0;
		if (k == 0)
			return rt_fail_status(e, RT_DIGEST, "%s: truncated at offset %llu (entry %llu)", in->what,
			                      (unsigned long long)(in->off + have), (unsigned long long)in->entry);
		have += (size_t)k;
	}
	in->off += n;
	return 1;
}

static int
get_all(struct tar_in *in, void *p, size_t n, struct rt_err *e)
{
	int rc = n > 0 ? get(in, p, n, e) : 1;

	if (rc == 0)
		return rt_fail_status(e, RT_DIGEST, "%s: truncated at offset %llu (entry %llu)", in->what,
		                      (unsigned long long)in->off, (unsigned long long)in->entry);
	return rc < 0 ? -1 : 0;
}

static int
skip(struct tar_in *in, uint64_t n, struct rt_err *e)
{
	char block[4096];

	while (n > 0) {
		size_t k = n < sizeof(block) ? (size_t)n : sizeof(block);

		if (get_all(in, block, k, e) < 0)
			return -1;
		n -= k;
	}
	return 0;
}

int
tar_data(struct tar_in *in, void *p, size_t n, struct rt_err *e)
{
	if (n > in->left)
		return bad(in, "its data is shorter than its sparse map says", e);
	if (get_all(in, p, n, e) < 0)
		return -1;
	in->left -= n;
	return 0;
}

/* The data of a metadata entry, NUL-terminated. */
static char *
get_meta(struct tar_in *in, uint64_t size, struct rt_err *e)
{
	char *p;

	if (size > MAX_META) {
		bad(in, "its extended header is larger than 1 MiB", e);
		return NULL;
	}
	p = rt_alloc((size_t)size + 1);
	if (get_all(in, p, (size_t)size, e) < 0 || skip(in, (512 - size % 512) % 512, e) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

/* An octal or base-256 field. -1 when it is junk or beyond 2^62. */
static int
field(const char *s, size_t n, int64_t *v)
{
	const unsigned char *p = (const unsigned char *)s;
	uint64_t x = 0;
	size_t i = 0;

	if (p[0] == 0x80 || p[0] == 0xff) { /* GNU: binary, most significant first, two's complement */
		bool negative = p[0] == 0xff;

		for (i = 1; i < n; i++) {
			if (n - i > 8 && p[i] != (negative ? 0xff : 0))
				return -1;
			x = x << 8 | p[i];
		}
		if (negative && n < 9)
			x |= ~0ull << (8 * (n - 1));
		*v = (int64_t)x;
		return (negative ? *v < 0 && *v > -(int64_t)max_size : x <= max_size) ? 0 : -1;
	}
	while (i < n && p[i] == ' ')
		i++;
	for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
		if (x > max_size >> 3)
			return -1;
		x = x << 3 | (unsigned)(p[i] - '0');
	}
	*v = (int64_t)x;
	return i < n && p[i] != ' ' && p[i] != '\0' ? -1 : 0;
}

/* A decimal number that is all of s[0..n). */
static int
decimal(const char *s, size_t n, int64_t *v)
{
	int64_t x = 0;

	if (n == 0 || n > 19)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9' || x > (int64_t)(max_size / 10))
			return -1;
		x = x * 10 + (s[i] - '0');
	}
	*v = x;
	return 0;
}

/* A pax time: decimal seconds, perhaps negative, perhaps with a fraction. */
static int
pax_time(const char *s, size_t n, struct meta *m)
{
	bool negative = n > 0 && *s == '-';
	const char *dot;
	long unit = 100000000;

	s += negative;
	n -= negative;
	dot = memchr(s, '.', n);
	m->nsec = 0;
	if (decimal(s, dot != NULL ? (size_t)(dot - s) : n, &m->mtime) < 0)
		return -1;
	for (const char *p = dot != NULL ? dot + 1 : s + n; p < s + n; p++, unit /= 10) {
		if (*p < '0' || *p > '9')
			return -1;
		m->nsec += (*p - '0') * unit;
	}
	if (negative) {
		m->mtime = -m->mtime - (m->nsec > 0);
		m->nsec = m->nsec > 0 ? 1000000000 - m->nsec : 0;
	}
	m->has_mtime = true;
	return 0;
}

static int
checksum_ok(const unsigned char *b)
{
	int64_t want;
	int64_t unsigned_sum = 8 * ' ', signed_sum = 8 * ' ';

	for (int i = 0; i < 512; i++) {
		if (i >= 148 && i < 156)
			continue;
		unsigned_sum += b[i];
		signed_sum += (signed char)b[i];
	}
	return field((const char *)b + 148, 8, &want) == 0 && (want == unsigned_sum || want == signed_sum);
}

bool
tar_is_header(const unsigned char block[512])
{
	int64_t v;
	bool empty = true;

	for (int i = 0; i < 512; i++)
		empty = empty && block[i] == 0;
	return !empty && checksum_ok(block) && field((const char *)block + 124, 12, &v) == 0 && v >= 0;
}

/* ---- pax --------------------------------------------------------------------------------------- */

static int
add_piece(struct tar_entry *t, uint64_t off, uint64_t len)
{
	const struct tar_piece *last = t->nmap > 0 ? &t->map[t->nmap - 1] : NULL;

	if (off > max_size || len > max_size || t->nmap >= MAX_PIECES || (last != NULL && off < last->off + last->len))
		return -1;
	if ((t->nmap & (t->nmap + 1)) == 0) /* doubles: 1, 3, 7 ... */
		t->map = rt_grow(t->map, (2 * t->nmap + 2) * sizeof(*t->map));
	t->map[t->nmap++] = (struct tar_piece){ off, len };
	return 0;
}

/* GNU.sparse.map of format 0.1: offset,length,offset,length... */
static int
pax_map(struct tar_entry *t, const char *s, size_t n)
{
	int64_t pair[2];
	int have = 0;

	while (n > 0) {
		const char *comma = memchr(s, ',', n);
		size_t k = comma != NULL ? (size_t)(comma - s) : n;

		if (decimal(s, k, &pair[have++]) < 0)
			return -1;
		if (have == 2) {
			if (add_piece(t, (uint64_t)pair[0], (uint64_t)pair[1]) < 0)
				return -1;
			have = 0;
		}
		s += k + (comma != NULL);
		n -= k + (comma != NULL);
	}
	return have == 0 ? 0 : -1;
}

static int
pax_text(char **to, const char *s, size_t n)
{
	if (n == 0 || memchr(s, '\0', n) != NULL)
		return -1;
	free(*to);
	*to = rt_strndup(s, n);
	return 0;
}

static void
pax_xattr(struct tar_entry *t, const char *name, const char *value, size_t n)
{
	struct tar_xattr x = { .name = rt_strdup(name), .value = rt_alloc(n), .len = n };

	memcpy(x.value, value, n);
	t->xattrs = rt_grow(t->xattrs, (t->nxattrs + 1) * sizeof(*t->xattrs));
	t->xattrs[t->nxattrs++] = x;
}

static int
pax_sparse(struct tar_entry *t, struct meta *m, const char *key, const char *s, size_t n)
{
	int64_t v;

	m->sparse = true;
	if (strcmp(key, "name") == 0)
		return pax_text(&m->sparse_name, s, n);
	if (strcmp(key, "map") == 0)
		return pax_map(t, s, n);
	if (decimal(s, n, &v) < 0)
		return -1;
	if (strcmp(key, "major") == 0)
		m->sparse_major = v;
	else if (strcmp(key, "minor") == 0)
		m->sparse_minor = v;
	else if (strcmp(key, "realsize") == 0 || strcmp(key, "size") == 0)
		m->real = v;
	else if (strcmp(key, "offset") == 0)
		m->sparse_off = v;
	else if (strcmp(key, "numbytes") == 0)
		return add_piece(t, (uint64_t)m->sparse_off, (uint64_t)v);
	return 0;
}

static int
pax_record(struct tar_entry *t, struct meta *m, const char *key, const char *s, size_t n)
{
	if (strcmp(key, "path") == 0)
		return pax_text(&m->path, s, n);
	if (strcmp(key, "linkpath") == 0)
		return pax_text(&m->link, s, n);
	if (strcmp(key, "size") == 0)
		return decimal(s, n, &m->size);
	if (strcmp(key, "uid") == 0)
		return decimal(s, n, &m->uid);
	if (strcmp(key, "gid") == 0)
		return decimal(s, n, &m->gid);
	if (strcmp(key, "mtime") == 0)
		return pax_time(s, n, m);
	if (strncmp(key, "GNU.sparse.", 11) == 0)
		return pax_sparse(t, m, key + 11, s, n);
	if (strncmp(key, "SCHILY.xattr.", 13) == 0 && key[13] != '\0')
		pax_xattr(t, key + 13, s, n);
	return 0;
}

/* Records "LENGTH KEY=VALUE\n" where LENGTH counts all of itself. */
static int
pax_records(struct tar_entry *t, struct meta *m, char *p, size_t n)
{
	while (n > 0) {
		size_t digits = 0;
		int64_t len;
		char *eq;

		while (digits < n && p[digits] >= '0' && p[digits] <= '9')
			digits++;
		if (digits == n || p[digits] != ' ' || decimal(p, digits, &len) < 0 || (uint64_t)len > n ||
		    (size_t)len < digits + 3 || p[len - 1] != '\n')
			return -1;
		eq = memchr(p + digits, '=', (size_t)len - digits);
		if (eq == NULL)
			return -1;
		*eq = '\0';
		if (pax_record(t, m, p + digits + 1, eq + 1, (size_t)(p + len - 1 - (eq + 1))) < 0)
			return -1;
		p += len;
		n -= (size_t)len;
	}
	return 0;
}

/* ---- sparse maps that sit in the data ---------------------------------------------------------- */

/* GNU's old form: four pieces in the header, 21 in each block behind it. */
static int
old_sparse(struct tar_in *in, struct tar_entry *t, const struct header *h, struct rt_err *e)
{
	unsigned char block[512];
	const char *at = (const char *)h + 386;
	int64_t off, len, real;
	int n = 4;
	bool more = ((const char *)h)[482] != 0;

	if (field((const char *)h + 483, 12, &real) < 0 || real < 0)
		return bad(in, "bad size of a sparse file", e);
	t->size = (uint64_t)real;
	t->sparse = true;
	for (;;) {
		for (int i = 0; i < n; i++) {
			if (at[24 * i] == 0)
				continue;
			if (field(at + 24 * i, 12, &off) < 0 || field(at + 24 * i + 12, 12, &len) < 0 || off < 0 || len < 0 ||
			    add_piece(t, (uint64_t)off, (uint64_t)len) < 0)
				return bad(in, "bad sparse map", e);
		}
		if (!more)
			return 0;
		if (get_all(in, block, 512, e) < 0)
			return -1;
		at = (const char *)block;
		n = 21;
		more = block[504] != 0;
	}
}

/* pax 1.0: decimal lines at the start of the data, padded to a block. */
static int
sparse_number(struct tar_in *in, uint64_t *used, int64_t *v, struct rt_err *e)
{
	char digits[24];
	size_t n = 0;

	for (;; n++) {
		if (n == sizeof(digits) || tar_data(in, digits + n, 1, e) < 0)
			return bad(in, "bad sparse map", e);
		++*used;
		if (digits[n] == '\n')
			break;
	}
	return decimal(digits, n, v) < 0 ? bad(in, "bad sparse map", e) : 0;
}

static int
new_sparse(struct tar_in *in, struct tar_entry *t, struct rt_err *e)
{
	uint64_t used = 0;
	int64_t count, off, len;
	char fill[512];

	if (sparse_number(in, &used, &count, e) < 0)
		return -1;
	if (count > MAX_PIECES)
		return bad(in, "its sparse map has more than 1000000 pieces", e);
	while (count-- > 0) {
		if (sparse_number(in, &used, &off, e) < 0 || sparse_number(in, &used, &len, e) < 0)
			return -1;
		if (add_piece(t, (uint64_t)off, (uint64_t)len) < 0)
			return bad(in, "bad sparse map", e);
	}
	return tar_data(in, fill, (512 - used % 512) % 512, e);
}

/* ---- entries ----------------------------------------------------------------------------------- */

static int
plain_fields(struct tar_in *in, struct tar_entry *t, const struct header *h, struct rt_err *e)
{
	int64_t mode, size, major = 0, minor = 0;
	bool device = h->type == '3' || h->type == '4';

	if (field(h->mode, 8, &mode) < 0 || field(h->uid, 8, &t->uid) < 0 || field(h->gid, 8, &t->gid) < 0 ||
	    field(h->size, 12, &size) < 0 || field(h->mtime, 12, &t->mtime) < 0 || size < 0 || mode < 0 ||
	    (device && (field(h->major, 8, &major) < 0 || field(h->minor, 8, &minor) < 0 || major < 0 || minor < 0)))
		return bad(in, "a number in its header is junk", e);
	t->mode = (uint32_t)mode & 07777;
	t->stored = (uint64_t)size;
	t->major = (uint32_t)major;
	t->minor = (uint32_t)minor;
	return 0;
}

/* Names, sizes and owners from the header and what came before it. */
static int
finish_entry(struct tar_in *in, struct tar_entry *t, struct meta *m, const struct header *h, struct rt_err *e)
{
	char **path = m->sparse_name != NULL ? &m->sparse_name : &m->path;
	size_t n;

	if (plain_fields(in, t, h, e) < 0)
		return -1;
	if (*path != NULL) {
		t->name = *path;
		*path = NULL;
	} else if (memcmp(h->magic, "ustar\0", 6) == 0 && h->prefix[0] != '\0') {
		t->name = rt_printf("%.155s/%.100s", h->prefix, h->name);
	} else {
		t->name = rt_strndup(h->name, 100);
	}
	t->link = m->link != NULL ? m->link : rt_strndup(h->link, 100);
	m->link = NULL;
	t->stored = m->size >= 0 ? (uint64_t)m->size : t->stored;
	t->uid = m->uid >= 0 ? m->uid : t->uid;
	t->gid = m->gid >= 0 ? m->gid : t->gid;
	if (t->uid < 0 || t->gid < 0 || t->uid > 0xfffffffeLL || t->gid > 0xfffffffeLL)
		return bad(in, "its owner is out of range", e);
	if (m->has_mtime) {
		t->mtime = m->mtime;
		t->nsec = m->nsec;
	}
	t->type = h->type;
	n = strlen(t->name);
	if ((t->type == '0' || t->type == '\0') && n > 0 && t->name[n - 1] == '/')
		t->type = '5'; /* how v7 wrote directories */
	if (strchr("0123456S", t->type) == NULL || t->type == '\0') {
		if (t->type != '\0' && t->type != '7' && !in->warned) {
			rt_warn("%s: entry %llu has the unknown type %d, taken for a file", in->what, (unsigned long long)in->entry,
			        (unsigned char)t->type);
			in->warned = true;
		}
		t->type = '0';
	}
	return 0;
}

static int
entry_data(struct tar_in *in, struct tar_entry *t, struct meta *m, const struct header *h, struct rt_err *e)
{
	if (t->type == 'S' && old_sparse(in, t, h, e) < 0)
		return -1;
	if (t->type != '0' && t->type != 'S')
		t->stored = t->size = 0; /* header-only, whatever the size says */
	in->left = t->stored;
	in->pad = (512 - t->stored % 512) % 512;
	if (t->type == 'S') {
		t->type = '0';
	} else if (t->type == '0' && m->sparse) {
		t->sparse = true;
		t->size = m->real >= 0 ? (uint64_t)m->real : t->stored;
		if (m->sparse_major == 1 && new_sparse(in, t, e) < 0)
			return -1;
	} else {
		t->size = t->stored;
	}
	if (t->nmap > 0 && (!t->sparse || t->map[t->nmap - 1].off + t->map[t->nmap - 1].len > t->size))
		return bad(in, "its sparse map reaches beyond its size", e);
	return 0;
}

/* Headers up to and with the one that is an entry. */
static int
read_headers(struct tar_in *in, struct tar_entry *t, struct meta *m, struct header *h, struct rt_err *e)
{
	for (uint64_t meta = 0;;) {
		int rc = get(in, h, 512, e);
		cleanup_free char *data = NULL;
		int64_t size;
		bool zero = true;

		if (rc <= 0)
			return rc;
		for (int i = 0; i < 512; i++)
			zero = zero && ((const char *)h)[i] == 0;
		if (zero)
			return 0;
		if (!checksum_ok((const unsigned char *)h))
			return bad(in, "not a tar header (its checksum is wrong)", e);
		if (strchr("xgLKV", h->type) == NULL || h->type == '\0')
			return 1;
		if (field(h->size, 12, &size) < 0 || size < 0)
			return bad(in, "a number in its header is junk", e);
		meta += (uint64_t)size;
		data = get_meta(in, meta > 2 * MAX_META ? meta : (uint64_t)size, e); /* also bounds a chain of them */
		if (data == NULL)
			return -1;
		if (h->type == 'x' && pax_records(t, m, data, (size_t)size) < 0)
			return bad(in, "bad pax header", e);
		if ((h->type == 'L' && pax_text(&m->path, data, strlen(data)) < 0) ||
		    (h->type == 'K' && pax_text(&m->link, data, strlen(data)) < 0))
			return bad(in, "bad long name", e);
	}
}

int
tar_next(struct tar_in *in, struct tar_entry *t, struct rt_err *e)
{
	struct meta m = { .size = -1, .uid = -1, .gid = -1, .real = -1 };
	struct header h;
	int rc;

	*t = (struct tar_entry){ 0 };
	if (skip(in, in->left, e) < 0 || skip(in, in->pad, e) < 0)
		return -1;
	in->left = in->pad = 0;
	in->entry++;
	rc = read_headers(in, t, &m, &h, e);
	if (rc == 1 && (finish_entry(in, t, &m, &h, e) < 0 || entry_data(in, t, &m, &h, e) < 0))
		rc = -1;
	meta_free(&m);
	if (rc <= 0)
		tar_entry_free(t);
	return rc;
}
