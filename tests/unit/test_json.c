/* JSON: what is accepted comes out again, what is hostile does not get in. */
#include "../../runtime/json.h"
#include "tap.h"

static void
round_trip(const char *text, const char *want)
{
	struct rt_err e = { 0 };
	struct json *j = json_parse(text, strlen(text), "doc", &e);
	struct str out = { 0 };

	if (j != NULL)
		json_write(j, &out);
	is_text(j != NULL ? out.s : e.text, want, text);
	str_free(&out);
	json_free(j);
}

static void
refused(const char *text, size_t len, const char *what)
{
	struct rt_err e = { 0 };
	struct json *j = json_parse(text, len, "doc", &e);

	if (ok(j == NULL && e.status == RT_DIGEST && strncmp(e.text, "doc: byte ", 10) == 0, "refused: %s", what))
		printf("# %s\n", e.text);
	json_free(j);
}

static void
change(void)
{
	static const char text[] = "{\"zzz\":{\"keep\":[1.50,null]},\"config\":{\"Env\":[\"A=1\"],\"User\":\"x\"}}";
	struct rt_err e = { 0 };
	struct json *j = json_parse(text, strlen(text), "doc", &e), *config = json_at(j, "/config");
	struct str out = { 0 };

	is_text(json_string_at(j, "/config/Env/0"), "A=1", "pointer into a list");
	ok(json_at(j, "/config/Env/1") == NULL && json_at(j, "/nothing/at/all") == NULL, "pointers to nothing");
	ok(json_need(j, "/config/User", JSON_ARRAY, "doc", &e) == NULL, "wrong type");
	is_text(e.text, "doc: /config/User is not a list", "the message names the pointer");
	json_set_string(config, "User", "y");
	json_push(json_at(config, "/Env"), json_new_string("B=\"\x01"));
	json_set(config, "Size", json_new_int(-5));
	json_remove(config, "none");
	json_write(j, &out);
	is_text(out.s, "{\"config\":{\"Env\":[\"A=1\",\"B=\\\"\\u0001\"],\"Size\":-5,\"User\":\"y\"},\"zzz\":{\"keep\":[1.50,null]}}",
	        "changed and written again, unknown keys kept");
	str_free(&out);
	json_free(j);
}

int
main(void)
{
	static const char *const bad[] = {
		"", " ", "{", "[", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "[1,]", "[1 2]", "{1:2}", "nul", "tru",
		"01", "-", "1.", "1e", ".5", "+1", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"a\nb\"", "\"\\u0000\"", "1 2", "{}{}", "[}",
		"{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "9223372036854775808", "-9223372036854775809", "\xef\xbb\xbf{}",
	};
	char *deep = malloc(200);
	char *wide = malloc(3000002);

	round_trip(" { \"b\" : [ 1 , -2 , true , false , null ] , \"a\" : \"x\" } ", "{\"a\":\"x\",\"b\":[1,-2,true,false,null]}");
	round_trip("9223372036854775807", "9223372036854775807");
	round_trip("-9223372036854775808", "-9223372036854775808");
	round_trip("[1.5e+3,0,-0.0]", "[1.5e+3,0,-0.0]");
	round_trip("\"\\u00e9\\ud83d\\ude00\\n\\/\\\"\"", "\"\xc3\xa9\xf0\x9f\x98\x80\\n/\\\"\"");
	round_trip("\"\\ud800x\"", "\"\xef\xbf\xbdx\"");
	round_trip("\"<&>\xff\"", "\"<&>\xff\"");
	round_trip("[[],{}]", "[[],{}]");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refused(bad[i], strlen(bad[i]), bad[i]);
	refused("\"a\0b\"", 5, "a NUL byte");
	memset(deep, '[', 100);
	memset(deep + 100, ']', 100);
	refused(deep, 200, "100 levels");
	refused(deep, 100, "100 levels without end");
	round_trip("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
	for (size_t i = 0; i < 3000000; i++)
		wide[i] = i % 3 == 0 ? '{' : i % 3 == 1 ? '}' : ',';
	memmove(wide + 1, wide, 3000000);
	wide[0] = '[';
	refused(wide, 3000001, "a million values");
	refused(wide, JSON_MAX_BYTES + 1, "17 MiB (the length alone)");
	change();
	free(deep);
	free(wide);
	return tap_done();
}
