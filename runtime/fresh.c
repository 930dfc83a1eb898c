/* What ADD's URLs and git references mean today, asked once a build and before keys are worked out, so that a step whose
   source has changed runs again.  BuildKit asks at the same point: the ETag and Last-Modified of a file, the commit of a ref. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build.h"
#include "fresh.h"
#include "http.h"
#include "lock.h"
#include "remote.h"
#include "sha256.h"

static struct fresh *all; /* of this process and those that it forks */
static size_t count;

const struct fresh *
fresh_find(const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].word, word) == 0)
			return &all[i];
	return NULL;
}

static struct fresh *
add(const char *word)
{
	all = rt_grow(all, (count + 1) * sizeof(*all));
	all[count] = (struct fresh){ .word = rt_strdup(word), .fd = -1 };
	return &all[count++];
}

/* ---- what an earlier build saw: remote/HASH in the store ------------------------------------------ */

static char *
note_path(const char *url)
{
	struct sha256 h;
	char hex[65];

	sha256_init(&h);
	sha256_update(&h, url, strlen(url));
	sha256_hex(&h, hex);
	return rt_printf("remote/%s", hex);
}

static void
note_read(struct store *s, const char *url, struct fetch_note *n)
{
	cleanup_free char *path = note_path(url);
	struct str text = { 0 };
	struct rt_err ignored;
	char *save = NULL, *line;

	*n = (struct fetch_note){ 0 };
	if (rt_read_file(s->fd, path, 65536, &text, &ignored) == 0 && text.s != NULL) {
		line = strtok_r(text.s, "\n", &save);
		if (line != NULL && strlen(line) == 71)
			memcpy(n->sum, line, 72);
		for (line = strtok_r(NULL, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
			if (strncmp(line, "etag ", 5) == 0)
				n->etag = rt_strdup(line + 5);
			else if (strncmp(line, "modified ", 9) == 0)
				n->modified = rt_strdup(line + 9);
		}
	}
	str_free(&text);
}

static int
note_write(struct store *s, const char *url, const struct fetch_note *n, struct rt_err *e)
{
	cleanup_free char *path = note_path(url), *tmp = rt_printf("%s.%ld", path, (long)getpid());
	struct str text = { 0 };
	int rc = rt_mkdir_p(s->fd, "remote", 0700, e);

	str_printf(&text, "%s\n", n->sum);
	if (n->etag != NULL)
		str_printf(&text, "etag %s\n", n->etag);
	if (n->modified != NULL)
		str_printf(&text, "modified %s\n", n->modified);
	if (rc == 0)
		rc = rt_write_file(s->fd, tmp, text.s, text.len, 0600, e);
	if (rc == 0 && renameat(s->fd, tmp, s->fd, path) < 0)
		rc = rt_fail(e, 0, "rename %s/%s", s->path, tmp);
	str_free(&text);
	return rc;
}

/* ---- looking -------------------------------------------------------------------------------------- */

static void
set_key(struct fresh *f, const char *sum, const char *modified)
{
	memcpy(f->sum, sum, sizeof(f->sum));
	f->key = rt_printf("%s %s", sum, modified != NULL ? modified : "");
}

static int
look_url(struct build *b, const char *url, bool ask, struct rt_err *e)
{
	cleanup_free char *tmp = rt_printf("%s/tmp", b->store.path);
	struct fetch_note note;
	struct fresh *f;
	int rc = 0, fd = -1;
	int64_t mtime = 0;

	note_read(&b->store, url, &note);
	if (ask)
		rc = fetch_changed(url, tmp, &note, &fd, &mtime, e);
	if (rc >= 0 && note.sum[0] != '\0') {
		f = add(url);
		set_key(f, note.sum, note.modified);
		f->fd = fd;
		f->mtime = mtime;
	}
	if (rc > 0)
		rc = note_write(&b->store, url, &note, e);
	free(note.etag);
	free(note.modified);
	return rc < 0 ? -1 : 0;
}

static int
look_git(struct build *b, const char *word, bool ask, struct rt_err *e)
{
	cleanup_free char *tmp = NULL, *dir = NULL;
	cleanup_fd int held = -1;
	char commit[72] = "";
	int rc;

	if (!ask)
		return 0;
	if (store_tmp(&b->store, &tmp, &held, e) < 0)
		return -1;
	dir = rt_printf("%s/%s", b->store.path, tmp);
	rc = remote_ref(word, dir, commit, e);
	rt_remove_tree(b->store.fd, tmp, &(struct rt_err){ 0 });
	if (rc == 0 && commit[0] != '\0')
		set_key(add(word), commit, NULL);
	return rc;
}

int
fresh_look(struct build *b, const struct plan_stage *stage, struct rt_err *e)
{
	bool ask = !b->o->dry_run && net_allowed("", &(struct rt_err){ 0 }) == 0;

	for (size_t k = 0; k < stage->nsteps; k++) {
		const struct plan_step *s = &stage->steps[k];

		for (size_t i = 0; s->verb == VERB_ADD && i + 1 < s->nargs; i++) {
			const char *word = s->args[i], *kind = git_is_url(word) ? "git" : "url";

			if (!remote_is(word) || remote_fixed(word, s->checksum) || fresh_find(word) != NULL ||
			    (b->o->strict && lock_find(&b->o->locked, kind, word) != NULL))
				continue;
			b->failing = s;
			if ((git_is_url(word) ? look_git : look_url)(b, word, ask, e) < 0)
				return rt_prefix(e, "%s:%s: %s", b->o->dockerfile, s->lines, word);
			b->failing = NULL;
		}
	}
	return 0;
}
