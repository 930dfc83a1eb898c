/* Registries: the OCI distribution protocol (distribution-spec 1.1). */
#ifndef RT_REGISTRY_H
#define RT_REGISTRY_H

#include "http.h"
#include "oci.h"
#include "ref.h"

/* A repository at one place: the registry of its name, or a mirror of that. */
struct registry {
	char *name;          /* docker.io/library/debian, for messages */
	char *host;          /* docker.io: what credentials are kept under */
	char *repository;    /* library/debian */
	char *base;          /* https://registry-1.docker.io, without "/v2/" */
	char *ca;            /* or NULL */
	char *scope;         /* what a token is asked for, "repository:library/debian:pull" */
	char *authorization; /* value of the header, NULL: none yet */
	bool mirror, known;  /* known: scheme settled */
	bool dead;           /* nobody answered there, several times */
};

/* The repository `name` (with registry) for "pull" or "pull,push": `nth` place to try, mirrors first; the same object each time
   in one process, so that tokens are kept.  NULL with an empty e->text when there are no more. */
struct registry *registry_get(const char *name, const char *actions, unsigned nth, struct rt_err *e);
/* One more repository for the token: a blob is to be mounted from there. */
void registry_add_scope(struct registry *r, const char *repository);
/* URL of "manifests/latest", "blobs/uploads/" and the like; malloc'd. */
char *registry_url(const struct registry *r, const char *path);

/* Puts the question: redirections, authentication, and when `patient` up to four more tries with growing pauses.  0 with an
   answer of whatever status. */
int registry_ask(struct registry *r, struct http *h, bool patient, struct rt_err *e);
/* The story of an answer that is not the hoped for one; returns -1. */
int registry_refused(const struct registry *r, const struct http *h, const char *what, struct rt_err *e);

/* auth.c: after 401, makes r->authorization anew.  -1 when there is no way. */
int registry_authorize(struct registry *r, const struct http *answer, struct rt_err *e);

struct credentials {
	char *user, *secret; /* secret alone: an identity token */
	char *token;         /* to be sent as it is */
};
/* What docker's config.json has for a registry, credential helpers included.  1 found, 0 none, -1. */
int credentials_find(const char *host, struct credentials *c, struct rt_err *e);
void credentials_free(struct credentials *c);
char *base64_encode(const char *s, size_t n);
/* NULL when it is none. */
char *base64_decode(const char *s);

/* pull.c: gets index, manifest and config into images/ when they are not there, or the user wants to look again
   ($DOCKCC_PULL).  0 also when there was nothing to do. */
int pull_image(struct store *s, const char *ref, const char *platform, struct rt_err *e);
/* The document a reference names, not followed further; it is kept among the blobs.  NULL with `e`. */
struct json *pull_document(struct store *s, const char *ref, struct rt_err *e);
/* download.c: one blob of the repository `name` into images/, unless it is there. */
int pull_blob(struct store *s, const char *name, const struct descriptor *d, struct rt_err *e);
/* Gets those blobs that are not in images/ yet, four at a time. */
int pull_blobs(struct store *s, const char *ref, const struct descriptor *d, size_t n, struct rt_err *e);

/* Index, manifest, config and layers; `digest` receives what the name stands for. */
int pull_all(struct store *s, const char *ref, const char *platform, char digest[72], struct rt_err *e);

/* push.c: an image or index of a layout to every reference, blobs first. */
int push_image(struct store *s, struct layout *l, const struct descriptor *top, const struct list *refs, struct rt_err *e);
/* What the store has under `ref`. */
int push_stored(struct store *s, const char *ref, const char *platform, const struct list *to, char digest[72], struct rt_err *e);

#endif
