/* `dockcc fmt`: the canonical layout, printed, checked, or written back. */
#include <stdio.h>
#include <string.h>

#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/mem.h"
#include "../fmt/fmt.h"
#include "command.h"
#include "file.h"

static int
fmt_file(const void *ctx, const struct options *o, const char *path)
{
	struct source *source = file_read(ctx, path, path);
	struct diag *d = diag_new(ctx);
	struct buf *out = buf_new(ctx), *diff = o->diff.n > 0 ? buf_new(ctx) : NULL;
	struct unit *u;
	bool same;

	if (source == NULL)
		return EXIT_INPUT;
	u = unit_parse(ctx, source, d);
	if (!u->ok || !unit_check_bytes(u, d))
		return job_show(o, d);
	fmt_unit(out, u, diff);
	same = out->len == source->len && memcmp(buf_str(out), source->text, out->len) == 0;
	if (diff != NULL && diff->len > 0) {
		printf("--- %s\n+++ %s\n%s", path, path, buf_str(diff));
		fflush(stdout);
	}
	if (o->check.n > 0) {
		if (!same)
			fprintf(stderr, "%s: not in the canonical layout\n", path);
		return same ? EXIT_GOOD : EXIT_INPUT;
	}
	if (o->write.n > 0)
		return same || strcmp(path, "-") == 0 || file_write(path, buf_str(out), out->len, 0644) ? EXIT_GOOD : EXIT_HOST;
	if (diff != NULL)
		return EXIT_GOOD;
	return file_write_fd(1, buf_str(out), out->len) ? EXIT_GOOD : EXIT_HOST;
}

int
cmd_fmt(const void *ctx, const struct options *o)
{
	struct job j = { .o = o };
	int status = EXIT_GOOD;

	if (o->operands.n == 0)
		return find_dockerfile(ctx, o, &j) ? fmt_file(ctx, o, j.dockerfile) : EXIT_INPUT;
	for (size_t i = 0; i < o->operands.n; i++) {
		int one = fmt_file(ctx, o, o->operands.v[i]);

		status = one > status ? one : status;
	}
	return status;
}
