/* The runtime that a script carries: programs for one or several machines, or source; and where the script begins.
   A shell reads as it goes, so main is called as early as it has what it needs.  design.md "The emitted script". */
#include "../base/buf.h"
#include "sh.h"

static bool
carries(const struct sh *s, size_t i)
{
	return s->o->machines >> i & 1;
}

void
sh_payload_parameters(struct sh *s)
{
	static const char *const kinds[] = { [RUNTIME_EMBED] = "embed", [RUNTIME_SOURCE] = "source", [RUNTIME_PATH] = "path" };

	buf_printf(s->out, "payload=%s\nmachine=$(uname -m)\n", kinds[s->o->runtime]);
	if (s->o->runtime == RUNTIME_PATH)
		return;
	if (s->o->runtime == RUNTIME_SOURCE) {
		buf_printf(s->out, "payload_sha256=%s\n", payload_source.sha256);
		return;
	}
	buf_puts(s->out, "case $machine in\n");
	for (size_t i = 0; payloads[i].machine != NULL; i++)
		if (carries(s, i))
			buf_printf(s->out, "  %s) payload_sha256=%s ;;\n", payloads[i].machine, payloads[i].sha256);
	buf_puts(s->out, "  *) payload_sha256= ;;\nesac\n");
}

static void
programs(struct sh *s)
{
	size_t left = 0;

	for (size_t i = 0; payloads[i].machine != NULL; i++)
		left += carries(s, i);
	for (size_t i = 0; payloads[i].machine != NULL; i++) {
		if (!carries(s, i))
			continue;
		buf_printf(s->out, "\n# ---- payload: dockcc-rt for %s, gzip-compressed; sha256 of the program: %s\npayload() {\n",
		           payloads[i].machine, payloads[i].sha256);
		buf_puts(s->out, payloads[i].text);
		buf_puts(s->out, "}\n");
		if (--left > 0)
			buf_printf(s->out, "if [ \"$machine\" = %s ]; then main \"$@\"; exit; fi\n", payloads[i].machine);
	}
}

static void
source(struct sh *s)
{
	buf_printf(s->out, "\n# ---- payload: the source of dockcc-rt, compiled once by the C compiler of the host; sha256 of all files: %s\n"
	           "source_file() { tee -a all >\"$1\"; }\npayload() {\n", payload_source.sha256);
	buf_puts(s->out, payload_source.text);
	buf_puts(s->out, "}\n");
}

void
sh_payload(struct sh *s)
{
	if (s->o->runtime != RUNTIME_PATH)
		buf_puts(s->out, "\n# a shell reads as it goes: what is unpacked already is not read again\n"
		                 "if runtime_ready; then main \"$@\"; exit; fi\n");
	if (s->o->runtime == RUNTIME_EMBED)
		programs(s);
	if (s->o->runtime == RUNTIME_SOURCE)
		source(s);
	buf_puts(s->out, "\nmain \"$@\"; exit\n");
}
