/* RUN --mount: a CSV record of fields, with the rules of the table in spec/language.md 6. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/buf.h"
#include "../base/mem.h"
#include "lower.h"

struct parsing {
	struct lower *l;
	const struct flag *flag;
	struct mount *m;
	char *from;
	struct span at, from_at; /* the field at hand; that of from= */
};

static const char *const kinds[] = { "bind", "cache", "tmpfs", "secret", "ssh" };

/* encoding/csv, one record: a field in double quotes may hold commas, and "" for a quote. */
bool
csv_fields(const void *ctx, const char *record, char ***fields, size_t *n)
{
	size_t cap = 0;

	*fields = NULL;
	*n = 0;
	if (*record == '\0')
		return false;
	while (true) {
		char *out = mem_str(ctx, record);
		size_t len = 0;

		if (*record == '"') {
			for (record++; *record != '\0' && (*record != '"' || record[1] == '"'); record++) {
				record += *record == '"';
				out[len++] = *record;
			}
			if (*record++ != '"' || (*record != ',' && *record != '\0'))
				return false;
		} else {
			for (; *record != ',' && *record != '\0'; record++) {
				if (*record == '"')
					return false;
				out[len++] = *record;
			}
		}
		out[len] = '\0';
		mem_room(ctx, *fields, *n + 1, &cap);
		(*fields)[(*n)++] = out;
		if (*record++ == '\0')
			return true;
	}
}

char *
mount_from(const void *ctx, const char *record)
{
	char **fields, *from = NULL;
	size_t n;

	if (!csv_fields(ctx, record, &fields, &n))
		return NULL;
	for (size_t k = 0; k < n; k++) {
		if (strncasecmp(fields[k], "from=", 5) == 0)
			from = fields[k] + 5;
	}
	return from;
}

static bool
bad(struct parsing *p, const char *text, const char *word)
{
	lower_error(p->l, DIAG_BAD_MOUNT, p->at, text, word);
	return false;
}

/* The span of field `k` in the source; that of the whole value where it is continued over lines. */
static struct span
field_at(const struct flag *f, size_t k)
{
	const char *s = f->value;
	struct span at = f->value_at;
	size_t begin = 0, end;
	bool quoted = false;

	if (at.end - at.begin != strlen(s))
		return at;
	for (end = 0; s[end] != '\0' && (quoted || s[end] != ',' || k > 0); end++) {
		quoted = quoted != (s[end] == '"');
		if (s[end] == ',' && !quoted) {
			begin = end + 1;
			k--;
		}
	}
	return (struct span){ at.begin + (uint32_t)begin, at.begin + (uint32_t)(end > begin ? end : begin + 1) };
}

/* A value that the script may not change, because it says what kind of mount this is. */
static const char *
fixed(struct parsing *p, const char *key, const struct value *v)
{
	const char *now = value_now(p->l, v);

	if (now == NULL)
		lower_error(p->l, DIAG_UNDECIDED, p->at, "%s= of a mount must be known when the script is compiled", key);
	return now;
}

/* strconv.ParseBool */
static bool
boolean(struct parsing *p, const char *key, const struct value *v, bool *out)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
	const char *now = fixed(p, key, v);

	if (now == NULL)
		return false;
	for (size_t k = 0; k < 6; k++) {
		if (strcmp(now, yes[k]) == 0 || strcmp(now, no[k]) == 0) {
			*out = strcmp(now, yes[k]) == 0;
			return true;
		}
	}
	return bad(p, "\"%s\" is neither true nor false", now);
}

static bool
number(struct parsing *p, const struct value *v, const char *digits, const struct value **out)
{
	const char *now = value_now(p->l, v);

	*out = v;
	if (now == NULL)
		return true;
	if (now[0] == '\0' || now[strspn(now, digits)] != '\0' || strtoull(now, NULL, digits[8] == '\0' ? 8 : 10) > 0xffffffffULL)
		return bad(p, "\"%s\" is no such number", now);
	return true;
}

/* units.RAMInBytes: a number, perhaps with a fraction, and a unit: k, m, g, t, p, with b or ib behind. */
static bool
size_valid(const char *s)
{
	size_t n = strspn(s, "0123456789."), digits = strspn(s, "0123456789");

	if (n == 0 || digits == 0 || (s[digits] == '.' && strchr(s + digits + 1, '.') != NULL))
		return false;
	s += n;
	s += *s == ' ';
	if (*s != '\0' && strchr("kKmMgGtTpP", *s) != NULL) {
		s++;
		s += tolower((unsigned char)*s) == 'i' && tolower((unsigned char)s[1]) == 'b';
	}
	return *s == '\0' || (tolower((unsigned char)*s) == 'b' && s[1] == '\0');
}

static bool
set_kind(struct parsing *p, const struct value *v)
{
	const char *now = fixed(p, "type", v);

	if (now == NULL)
		return false;
	for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
		if (strcasecmp(now, kinds[k]) == 0) {
			p->m->kind = (enum mount_kind)k;
			return true;
		}
	}
	return bad(p, "there is no mount of type %s", now);
}

static bool
set_sharing(struct parsing *p, const struct value *v)
{
	static const char *const modes[] = { "shared", "private", "locked" };
	const char *now = fixed(p, "sharing", v);

	if (now == NULL)
		return false;
	for (size_t k = 0; k < 3; k++) {
		if (strcasecmp(now, modes[k]) == 0) {
			p->m->sharing = modes[k];
			return true;
		}
	}
	return bad(p, "sharing is shared, private or locked, not %s", now);
}

static bool
set_size(struct parsing *p, const struct value *v)
{
	const char *now = value_now(p->l, v);

	if (p->m->kind != MOUNT_TMPFS)
		return bad(p, "size= is for tmpfs, not %s", kinds[p->m->kind]);
	p->m->size = v;
	return now == NULL || size_valid(now) || bad(p, "\"%s\" is no size such as 64m", now);
}

static bool
secretive(const struct mount *m)
{
	return m->kind == MOUNT_SECRET || m->kind == MOUNT_SSH;
}

static bool
set_access(struct parsing *p, bool readonly)
{
	p->m->readonly = readonly;
	p->m->readwrite = !readonly;
	return true;
}

static bool
field_alone(struct parsing *p, const char *key)
{
	if (strcmp(key, "ro") == 0 || strcmp(key, "readonly") == 0)
		return set_access(p, true);
	if (strcmp(key, "rw") == 0 || strcmp(key, "readwrite") == 0)
		return set_access(p, false);
	if (strcmp(key, "required") != 0)
		return bad(p, "%s needs a value: key=value", key);
	if (!secretive(p->m))
		return bad(p, "required is for secret and ssh, not %s", kinds[p->m->kind]);
	p->m->required = true;
	return true;
}

static bool
unknown_key(struct parsing *p, const char *key)
{
	static const char *const keys[] = {
		"type", "target", "dst", "destination", "source", "src", "from", "readonly", "ro", "readwrite", "rw", "id", "sharing",
		"mode", "uid", "gid", "size", "required", "env",
	};
	const char *near = diag_nearest(key, keys, sizeof keys / sizeof keys[0]);
	struct diag_item *e = lower_error(p->l, DIAG_BAD_MOUNT, p->at, "a mount has no field %s", key);

	if (near != NULL)
		diag_fix(p->l->d, e, NULL, "%s=", near);
	return false;
}

static bool
field_value(struct parsing *p, const char *key, const struct value *v)
{
	struct mount *m = p->m;
	bool on = false;

	if (strcmp(key, "type") == 0)
		return set_kind(p, v);
	if (strcmp(key, "target") == 0 || strcmp(key, "dst") == 0 || strcmp(key, "destination") == 0)
		return (m->target = v) != NULL;
	if (strcmp(key, "source") == 0 || strcmp(key, "src") == 0)
		return (m->source = v) != NULL;
	if (strcmp(key, "readonly") == 0 || strcmp(key, "ro") == 0)
		return boolean(p, key, v, &on) && set_access(p, on);
	if (strcmp(key, "readwrite") == 0 || strcmp(key, "rw") == 0)
		return boolean(p, key, v, &on) && set_access(p, !on);
	if (strcmp(key, "required") == 0)
		return secretive(m) ? boolean(p, key, v, &m->required) : bad(p, "required is for secret and ssh, not %s", kinds[m->kind]);
	if (strcmp(key, "size") == 0)
		return set_size(p, v);
	if (strcmp(key, "id") == 0)
		return (m->id = v) != NULL;
	if (strcmp(key, "sharing") == 0)
		return set_sharing(p, v);
	if (strcmp(key, "mode") == 0)
		return number(p, v, "01234567", &m->mode);
	if (strcmp(key, "uid") == 0)
		return number(p, v, "0123456789", &m->uid);
	if (strcmp(key, "gid") == 0)
		return number(p, v, "0123456789", &m->gid);
	if (strcmp(key, "env") == 0)
		return (m->env = v) != NULL;
	return unknown_key(p, key);
}

static bool
field(struct parsing *p, char *text)
{
	char *equals = strchr(text, '=');
	struct text t = { 0 };
	const struct value *v;

	if (equals != NULL)
		*equals = '\0';
	for (char *c = text; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	if (equals == NULL)
		return field_alone(p, text);
	if (strcmp(text, "from") == 0) {
		p->from = equals + 1;
		p->from_at = p->at;
		if (p->at.end - p->at.begin == strlen("from=") + strlen(p->from))
			p->from_at.begin += (uint32_t)strlen("from=");
		return true;
	}
	t = (struct text){ .s = equals + 1, .len = strlen(equals + 1), .at = p->at };
	v = lower_word(p->l, &t, false);
	return v != NULL && field_value(p, text, v);
}

static bool
absent(const struct value *v)
{
	return v == NULL || (value_is_static(v) && value_text(v)[0] == '\0');
}

static bool
check_secret(struct parsing *p)
{
	struct mount *m = p->m;

	if (p->from != NULL && p->from[0] != '\0')
		return bad(p, "a secret comes from outside the build, not from=%s", p->from);
	if (absent(m->source) && absent(m->target) && absent(m->id))
		return bad(p, "a secret needs one of id, source and target%s", "");
	if (!absent(m->source) && !absent(m->id))
		return bad(p, "source and id of a secret are the same thing%s", "");
	return true;
}

/* The target after cleaning, when it is an absolute path, must not be the root. */
static bool
is_root(const char *path)
{
	int depth = 0;

	while (*path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 2 && strncmp(path, "..", 2) == 0)
			depth -= depth > 0;
		else if (n > 0 && !(n == 1 && *path == '.'))
			depth++;
		path += n;
		path += *path == '/';
	}
	return depth == 0;
}

static bool
check(struct parsing *p)
{
	struct mount *m = p->m;
	const char *target = m->target != NULL ? value_now(p->l, m->target) : "";

	if (!secretive(m) && m->kind != MOUNT_CACHE && (m->mode != NULL || m->uid != NULL || m->gid != NULL))
		return bad(p, "mode, uid and gid are not for %s", kinds[m->kind]);
	if (m->sharing != NULL && m->kind != MOUNT_CACHE)
		return bad(p, "sharing is for caches, not %s", kinds[m->kind]);
	if (m->kind == MOUNT_SECRET)
		return check_secret(p);
	if (m->kind == MOUNT_SSH)
		return absent(m->source) || bad(p, "ssh has no source%s", "");
	if (target != NULL && target[0] == '/' && is_root(target))
		return bad(p, "\"%s\" is the root: nothing can be mounted there", target);
	return true;
}

static bool
mount(struct parsing *p)
{
	char **fields;
	size_t n;
	bool cache;

	p->at = p->flag->value_at;
	if (!csv_fields(p->l->s->g, p->flag->value, &fields, &n))
		return bad(p, "\"%s\" is no list of key=value fields", p->flag->value);
	for (size_t k = 0; k < n; k++) {
		p->at = field_at(p->flag, k);
		if (!field(p, fields[k]))
			return false;
	}
	p->at = p->flag->value_at;
	if (!check(p))
		return false;
	cache = p->m->kind == MOUNT_CACHE;
	p->m->from.kind = cache ? ORIGIN_SCRATCH : ORIGIN_CONTEXT;
	if (p->from == NULL || p->from[0] == '\0' || (!cache && p->m->kind != MOUNT_BIND))
		return true;
	return lower_origin(p->l, p->from, p->from_at, false, &p->m->from);
}

bool
lower_mounts(struct lower *l)
{
	struct mount *v = mem_array(l->s->g, struct mount, l->i->nflags);

	l->step->mounts = v;
	for (size_t k = 0; k < l->i->nflags; k++) {
		struct parsing p = { .l = l, .flag = &l->i->flags[k], .m = &v[l->step->nmounts] };

		if (strcmp(p.flag->name, "mount") != 0)
			continue;
		p.m->at = lower_span(l, p.flag->at);
		if (!mount(&p))
			return false;
		l->step->nmounts++;
	}
	return true;
}
