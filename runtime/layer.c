#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci.h"
#include "ref.h"
#include "stream.h"

void
layer_meta_free(struct layer_meta *m)
{
	free(m->blob_type);
	m->blob_type = NULL;
}

/* One line "KEY VALUE" of a meta file. */
static void
meta_line(struct layer_meta *m, const char *key, const char *value)
{
	if (strcmp(key, "diffid") == 0 && digest_valid(value)) {
		memcpy(m->diffid, value, sizeof(m->diffid));
	} else if (strcmp(key, "size") == 0) {
		m->size = strtoull(value, NULL, 10);
	} else if (strcmp(key, "epoch") == 0) {
		m->epoch = strtoll(value, NULL, 10);
	} else if (strcmp(key, "blob") == 0 && digest_valid(value)) {
		memcpy(m->blob, value, sizeof(m->blob));
	} else if (strcmp(key, "blob-size") == 0) {
		m->blob_size = strtoull(value, NULL, 10);
	} else if (strcmp(key, "blob-type") == 0) {
		free(m->blob_type);
		m->blob_type = rt_strdup(value);
	}
}

int
layer_meta_read(struct store *s, const char *layer, struct layer_meta *m, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("layers/%s/meta", layer);
	struct str text = { 0 };
	char *save = NULL;
	struct stat st;

	*m = (struct layer_meta){ .epoch = -2 };
	if (fstatat(s->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	if (rt_read_file(s->fd, name, 65536, &text, e) < 0) {
		str_free(&text);
		return rt_prefix(e, "store");
	}
	for (char *line = strtok_r(text.s, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char *blank = strchr(line, ' ');

		if (blank != NULL) {
			*blank = '\0';
			meta_line(m, line, blank + 1);
		}
	}
	str_free(&text);
	return m->diffid[0] != '\0';
}

int
layer_meta_write(struct store *s, const char *dir, const struct layer_meta *m, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("%s/meta", dir);
	struct str text = { 0 };
	int rc;

	str_printf(&text, "diffid %s\nsize %llu\n", m->diffid, (unsigned long long)m->size);
	if (m->epoch != -2)
		str_printf(&text, "epoch %lld\n", (long long)m->epoch);
	if (m->blob[0] != '\0')
		str_printf(&text, "blob %s\nblob-size %llu\nblob-type %s\n", m->blob, (unsigned long long)m->blob_size, m->blob_type);
	rc = rt_write_file(s->fd, name, text.s, text.len, 0600, e);
	str_free(&text);
	return rc;
}

int64_t
layer_start(struct store *s, const char *layer)
{
	cleanup_free char *name = rt_printf("layers/%s/start", layer);
	struct str text = { 0 };
	struct rt_err e;
	int64_t start = -1;
	char *end;

	if (rt_read_file(s->fd, name, 64, &text, &e) == 0 && text.len > 0) {
		start = strtoll(text.s, &end, 10);
		start = end == text.s || start < 0 ? -1 : start;
	}
	str_free(&text);
	return start;
}

int
layer_write(struct store *s, const char *layer, int64_t epoch, struct writer *w, struct rt_err *e)
{
	cleanup_free char *name = rt_printf("layers/%s/diff", layer);
	cleanup_fd int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return rt_fail(e, errno, "open the layer %s", layer);
	return tar_write_layer(w, fd, epoch, layer_start(s, layer), e) < 0 ? rt_prefix(e, "layer %.12s", layer) : 0;
}

int
layer_diffid(struct store *s, const char *layer, int64_t epoch, char diffid[72], uint64_t *size, struct rt_err *e)
{
	cleanup_free char *dir = rt_printf("layers/%s", layer);
	struct layer_meta m;
	struct sum_writer sum;
	int rc = layer_meta_read(s, layer, &m, e);

	if (rc < 0)
		return -1;
	if (rc == 0 || (m.epoch != -2 && m.epoch != epoch)) {
		sum_writer_init(&sum, NULL);
		if (layer_write(s, layer, epoch, &sum.writer, e) < 0) {
			layer_meta_free(&m);
			return -1;
		}
		sha256_digest(&sum.sum, m.diffid);
		m.size = sum.size;
		m.epoch = epoch;
		rc = layer_meta_write(s, dir, &m, e);
	}
	memcpy(diffid, m.diffid, sizeof(m.diffid));
	*size = m.size;
	layer_meta_free(&m);
	return rc < 0 ? -1 : 0;
}
