/* Values of config instructions that can be judged by themselves.  spec/language.md 6. */
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "lower.h"

static bool
port_number(const char *s, size_t len, unsigned long *n)
{
	if (len == 0 || strspn(s, "0123456789") < len)
		return false;
	errno = 0;
	*n = strtoul(s, NULL, 10);
	return errno == 0 && *n <= 65535;
}

/* PORT or PORT-PORT; *count receives how many ports that is. */
static bool
port_range(const char *s, size_t len, unsigned long *count)
{
	const char *dash = memchr(s, '-', len);
	size_t first = dash != NULL ? (size_t)(dash - s) : len;
	unsigned long from, to;

	if (!port_number(s, first, &from))
		return false;
	to = from;
	if (dash != NULL && (!port_number(dash + 1, len - first - 1, &to) || to < from))
		return false;
	*count = to - from + 1;
	return true;
}

/* [IP:][HOSTPORT:]PORT[-END][/PROTO], go-connections' nat.ParsePortSpec. */
bool
port_valid(const char *word)
{
	const char *slash = strrchr(word, '/'), *proto = slash != NULL ? slash + 1 : "";
	size_t len = slash != NULL ? (size_t)(slash - word) : strlen(word);
	const char *colon = memrchr(word, ':', len), *port = colon != NULL ? colon + 1 : word, *host;
	unsigned long ports, hosts;

	if (*proto != '\0' && strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0 && strcasecmp(proto, "sctp") != 0)
		return false;
	if (!port_range(port, len - (size_t)(port - word), &ports))
		return false;
	if (colon == NULL)
		return true;
	host = memrchr(word, ':', (size_t)(colon - word));
	host = host != NULL ? host + 1 : word;
	return host == colon || (port_range(host, (size_t)(colon - host), &hosts) && (ports == hosts || ports == 1));
}

/* moby/sys/signal: any number but zero, or a name with or without SIG. */
bool
signal_valid(const char *word)
{
	static const char *const names[] = {
		"ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL", "PROF",
		"PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM",
		"WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
	};
	char *end;
	long n = strtol(word, &end, 10);

	if (end != word && *end == '\0' && !isspace((unsigned char)word[0]))
		return n != 0;
	if (strncasecmp(word, "SIG", 3) == 0)
		word += 3;
	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		if (strcasecmp(word, names[k]) == 0)
			return true;
	}
	if (strncasecmp(word, "RTMIN+", 6) != 0 && strncasecmp(word, "RTMAX-", 6) != 0)
		return false;
	n = strtol(word + 6, &end, 10);
	return isdigit((unsigned char)word[6]) && word[6] != '0' && *end == '\0' && n <= (word[5] == '+' ? 15 : 14);
}

/* Nanoseconds of a duration that the front end found good, as Go's time.ParseDuration counts them. */
static int64_t
nanoseconds(const char *s)
{
	static const struct { const char *name; int64_t ns; } units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "\xc2\xb5s", 1000 }, { "\xce\xbcs", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
		{ "m", 60000000000 }, { "h", 3600000000000 },
	};
	int64_t total = 0;
	bool minus = *s == '-';

	s += *s == '-' || *s == '+';
	while (*s != '\0' && strcmp(s, "0") != 0) {
		char *end;
		int64_t whole = strtoll(s, &end, 10);
		double fraction = 0, scale = 1;
		size_t len;

		if (*end == '.') {
			for (end++; isdigit((unsigned char)*end); end++) {
				fraction = fraction * 10 + (*end - '0');
				scale *= 10;
			}
		}
		len = strcspn(end, ".0123456789");
		for (size_t k = 0; k < sizeof units / sizeof units[0]; k++) {
			if (strlen(units[k].name) == len && strncmp(end, units[k].name, len) == 0)
				total += whole * units[k].ns + (int64_t)(fraction * ((double)units[k].ns / scale));
		}
		s = end + len;
	}
	return minus ? -total : total;
}

const char *
health_json(const void *ctx, const struct inst *i)
{
	static const struct { const char *flag, *field; } times[] = {
		{ "interval", "Interval" }, { "timeout", "Timeout" }, { "start-period", "StartPeriod" },
		{ "start-interval", "StartInterval" },
	};
	struct buf *b = buf_new(ctx);
	const struct flag *f;

	if (i->health_none)
		return "none";
	buf_puts(b, i->form == FORM_EXEC ? "{\"Test\":[\"CMD\"" : "{\"Test\":[\"CMD-SHELL\"");
	for (size_t k = 0; k < i->nargs; k++) {
		buf_putc(b, ',');
		buf_json(b, i->args[k].text.s, i->args[k].text.len);
	}
	buf_putc(b, ']');
	for (size_t k = 0; k < sizeof times / sizeof times[0]; k++) {
		if ((f = inst_flag(i, times[k].flag)) != NULL && nanoseconds(f->value) != 0)
			buf_printf(b, ",\"%s\":%lld", times[k].field, (long long)nanoseconds(f->value));
	}
	if ((f = inst_flag(i, "retries")) != NULL && atoi(f->value) != 0)
		buf_printf(b, ",\"Retries\":%d", atoi(f->value));
	buf_putc(b, '}');
	return buf_str(b);
}
