/* The patterns of ${x#p}, ${x%p} and ${x/p/r}: `*`, `?` and backslash, nothing else; neither wildcard
   matches a newline.  spec/language.md 3.2.  A pure leaf: the compiler uses it too. */
#ifndef RT_PATTERN_H
#define RT_PATTERN_H

enum pattern_op { PATTERN_PREFIX, PATTERN_PREFIX_LONG, PATTERN_SUFFIX, PATTERN_SUFFIX_LONG, PATTERN_REPLACE,
	PATTERN_REPLACE_ALL };
enum pattern_result { PATTERN_OK, PATTERN_INVALID, PATTERN_TOO_LARGE, PATTERN_NO_MEMORY };

/* What the operator leaves of `value`, malloc'd in *out when the result is PATTERN_OK.  The short forms are long when
   the pattern begins with the operator's character, which is then not part of it.  `repl` is used by the
   replacements only. */
enum pattern_result pattern_apply(char **out, enum pattern_op op, const char *value, const char *pattern, const char *repl);

#endif
