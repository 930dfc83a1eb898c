/* `dockcc fmt`: the canonical layout, printed, checked, or written back. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../base/buf.h"
#include "../base/diag.h"
#include "../base/diff.h"
#include "../base/mem.h"
#include "../fmt/fmt.h"
#include "command.h"
#include "file.h"

static int
fmt_file(const void *ctx, const struct options *o, const char *path)
{
	struct source *source = file_read(ctx, path, path);
	struct diag *d = diag_new(ctx);
	struct buf *out = buf_new(ctx), *diff = buf_new(ctx);
	struct unit *u;
	bool same;

	if (source == NULL)
		return EXIT_INPUT;
	u = unit_parse(ctx, source, d);
	if (!u->ok || !unit_check_bytes(u, d))
		return job_show(o, d);
	fmt_unit(out, u);
	same = out->len == source->len && memcmp(buf_str(out), source->text, out->len) == 0;
	if (o->diff.n > 0) {
		diff_unified(diff, path, source->text, source->len, buf_str(out), out->len);
		if (!file_write_fd(STDOUT_FILENO, buf_str(diff), diff->len))
			return EXIT_HOST;
	}
	if (o->check.n > 0) {
		if (!same)
			fprintf(stderr, "%s: not in the canonical layout\n", path);
		return same ? EXIT_GOOD : EXIT_INPUT;
	}
	if (o->write.n > 0 && strcmp(path, "-") != 0)
		return same || file_rewrite(path, buf_str(out), out->len) ? EXIT_GOOD : EXIT_HOST;
	if (o->diff.n > 0)
		return EXIT_GOOD;
	return file_write_fd(STDOUT_FILENO, buf_str(out), out->len) ? EXIT_GOOD : EXIT_HOST;
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
