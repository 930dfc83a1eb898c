/* --chmod against chmod(1)'s rules with umask 0. */
#include "../../runtime/copy_int.h"

#include <stdio.h>

struct row {
	const char *text;
	mode_t old;
	bool dir;
	int want; /* -1: malformed */
};

static const struct row rows[] = {
	{ "644", 07777, false, 0644 }, { "0", 0777, false, 0 }, { "07777", 0, false, 07777 }, { "00000644", 0, false, 0644 },
	{ "10000", 0, false, -1 }, { "77777777777777777777", 0, false, -1 }, { "8", 0, false, -1 }, { "0x1", 0, false, -1 },
	{ "", 0, false, -1 }, { "u", 0, false, -1 }, { "u+q", 0, false, -1 }, { ",u+x", 0, false, -1 }, { "u+x,", 0, false, -1 },
	{ "u+x,,g+x", 0, false, -1 }, { "u x", 0, false, -1 }, { "+x ", 0, false, -1 }, { "u+x644", 0, false, -1 }, { "-1", 0, false, -1 },
	{ "u+x", 0644, false, 0744 }, { "+x", 0644, false, 0755 }, { "a+x", 0644, false, 0755 }, { "go=", 0777, false, 0700 },
	{ "u+x,go=", 0644, false, 0700 }, { "=", 0777, false, 0 }, { "=r", 0777, false, 0444 }, { "u=rw,g=r,o=", 0777, false, 0640 },
	{ "a-w", 0666, false, 0444 }, { "ug-x", 0777, false, 0667 }, { "u=", 04755, false, 0055 }, { "g=x", 02770, false, 0710 },
	{ "a+X", 0644, false, 0644 }, { "a+X", 0744, false, 0755 }, { "a+X", 0644, true, 0755 }, { "u-x,a+X", 0744, false, 0755 },
	{ "g=u", 0750, false, 0770 }, { "o=g", 0750, false, 0755 }, { "go=u", 0600, false, 0666 }, { "g+o", 0604, false, 0644 },
	{ "u+s", 0755, false, 04755 }, { "g+s", 0755, false, 02755 }, { "o+s", 0755, false, 0755 }, { "+s", 0755, false, 06755 },
	{ "a-s", 06755, false, 0755 }, { "+t", 0777, true, 01777 }, { "o+t", 0777, true, 0777 }, { "a=rwx", 01777, true, 01777 },
	{ "u+rwx-w", 0000, false, 0500 }, { "u=r+x", 0700, false, 0500 }, { "ugo+rw", 0, false, 0666 }, { "uu+x", 0, false, 0100 },
	{ "u+", 0640, false, 0640 },
};

int
main(void)
{
	unsigned failed = 0;

	printf("1..%zu\n", sizeof(rows) / sizeof(*rows));
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		mode_t got = 0;
		int r = chmod_apply(rows[i].text, rows[i].old, rows[i].dir, &got);
		bool good = rows[i].want < 0 ? r < 0 : r == 0 && (int)got == rows[i].want;

		printf("%sok %zu - %s on %04o\n", good ? "" : "not ", i + 1, rows[i].text, (unsigned)rows[i].old);
		if (!good)
			printf("# got %d %04o, want %04o\n", r, (unsigned)got, (unsigned)rows[i].want);
		failed += !good;
	}
	return failed != 0;
}
