/* Images from registries: the OCI distribution protocol, over HTTP by the host's curl. */
#ifndef RT_REGISTRY_H
#define RT_REGISTRY_H

#include "image.h"

/* Fetches `ref` for `platform` (NULL: this machine) into the store's images/, under that name.  Everything is verified
   against its digest before it is visible.  $DOCKCC_OFFLINE forbids it.  Registries on this machine and those in
   $DOCKCC_INSECURE_REGISTRIES (host[:port], comma-separated) are spoken to without TLS; $DOCKCC_TLS_CA names a file with
   further roots; credentials come from docker's config.json. */
int registry_pull(struct store *s, const char *ref, const char *platform, struct rt_err *e);

/* ---- credentials.c ---- */
/* The value of an Authorization header for the registry `host` by docker's config.json ($DOCKER_CONFIG, ~/.docker): "Basic
   ...", malloc'd, or NULL when there is none.  Credential helpers are asked through an argument vector. */
char *credentials_basic(const char *host);

#endif
