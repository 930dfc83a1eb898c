/* A terminal for tests: terminal COLUMNS ROWS [@MS:COLUMNS | @MS:SIGNAL | @MS=KEYS]... -- COMMAND...  Runs a command on a pseudo
   terminal, does at each time what is asked (another width, a signal to the foreground, keys; \r and \xNN in KEYS), and prints what can be read
   on it at the end, what has scrolled away first.  Terminals that become narrower break their lines anew, and so does this one.
   On standard error: how many lines ran over the right edge, how often the text was written to above the screen, and how many
   sequences it did not know.  The status is the command's. */
#include <errno.h>
#include <poll.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { MOST_LINES = 20000, MOST_COLUMNS = 300 };

static struct line {
	uint32_t cell[MOST_COLUMNS];
	unsigned used;
	bool goes_on; /* into the next: it was longer than the terminal is wide */
} *lines;
static unsigned columns, rows, nlines = 1, row, column;
static unsigned wrapped, above, unknown;

static unsigned
top(void)
{
	return nlines > rows ? nlines - rows : 0;
}

static void
next_row(void)
{
	if (++row == nlines && nlines < MOST_LINES)
		nlines++;
	if (row >= MOST_LINES)
		row = MOST_LINES - 1;
}

static void
put(uint32_t c)
{
	if (column >= columns) {
		lines[row].goes_on = true;
		wrapped++;
		column = 0;
		next_row();
	}
	while (lines[row].used < column)
		lines[row].cell[lines[row].used++] = ' ';
	lines[row].cell[column++] = c;
	if (lines[row].used < column)
		lines[row].used = column;
}

static void
control(unsigned n, char final)
{
	switch (final) {
	case 'A':
		n = n == 0 ? 1 : n;
		above += row < top() + n;
		row = row < top() + n ? top() : row - n;
		break;
	case 'K':
		if (lines[row].used > column)
			lines[row].used = column;
		lines[row].goes_on = false;
		break;
	case 'J':
		for (unsigned i = row; i < nlines; i++) {
			lines[i].used = i > row ? 0 : lines[i].used < column ? lines[i].used : column;
			lines[i].goes_on = false;
		}
		break;
	case 'm':
		break;
	default:
		unknown++;
	}
}

/* One byte from the command. */
static void
take(unsigned char c)
{
	static unsigned state, n, left;
	static uint32_t code;

	if (state == 1) {
		state = c == '[' ? 2 : (unknown++, 0);
		n = 0;
	} else if (state == 2) {
		if (c >= '0' && c <= '9')
			n = n * 10 + (c - '0');
		else if (c >= 0x40)
			state = (control(n, (char)c), 0);
		else if (c != ';')
			unknown++;
	} else if (c == 27) {
		state = 1;
	} else if (c == '\r') {
		column = 0;
	} else if (c == '\n') {
		next_row();
	} else if (c >= 0x80 && c < 0xc0 && left > 0) {
		code = code << 6 | (c & 0x3f);
		if (--left == 0)
			put(code);
	} else if (c >= 0xc0) {
		left = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
		code = c & (0x3f >> left);
	} else if (c >= 0x20) {
		put(c);
	} else if (c != 7) {
		unknown++;
	}
}

/* Lines are put together and broken again at the new width; the cursor stays at its text. */
static void
resize(unsigned width)
{
	struct line *old = lines;
	unsigned n = nlines, at = row, in = column;

	lines = calloc(MOST_LINES, sizeof(*lines));
	nlines = 1;
	row = column = 0;
	columns = width;
	for (unsigned i = 0; i < n; i++) {
		unsigned here_row, here_column;

		for (unsigned k = 0; k < old[i].used; k++)
			put(old[i].cell[k]);
		here_row = row;
		here_column = column;
		if (i == at && in == 0) {
			here_row -= old[i].used > 0 ? (old[i].used - 1) / columns : 0;
			here_column = 0;
		}
		if (i == at) {
			at = here_row;
			in = here_column;
			n = i + 1; /* the cursor is on the last line that we write to */
		} else if (!old[i].goes_on) {
			next_row();
			column = 0;
		}
	}
	row = at;
	column = in;
	free(old);
}

static void
print_lines(void)
{
	unsigned last = nlines;

	while (last > 0 && lines[last - 1].used == 0)
		last--;
	for (unsigned i = 0; i < last; i++) {
		unsigned used = lines[i].used;

		while (used > 0 && lines[i].cell[used - 1] == ' ')
			used--;
		for (unsigned k = 0; k < used; k++) {
			uint32_t c = lines[i].cell[k];

			unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
			static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };

			putchar((int)(lead[more] | c >> 6 * more));
			while (more-- > 0)
				putchar((int)(0x80 | (c >> 6 * more & 0x3f)));
		}
		putchar('\n');
	}
}

static void
type(int tty, const char *keys)
{
	for (; *keys != '\0'; keys++) {
		char c = *keys;

		if (keys[0] == '\\' && keys[1] == 'r') {
			c = '\r';
			keys++;
		} else if (keys[0] == '\\' && keys[1] == 'x' && keys[2] != '\0' && keys[3] != '\0') {
			c = (char)strtol((char[]){ keys[2], keys[3], 0 }, NULL, 16);
			keys += 3;
		}
		if (write(tty, &c, 1) != 1)
			return;
	}
}

static void
act(int tty, const char *what)
{
	const char *rest = what + strcspn(what, ":=");
	struct winsize size = { .ws_row = (unsigned short)rows };
	pid_t group;

	if (*rest == '=') {
		type(tty, rest + 1);
	} else if (rest[1] >= '0' && rest[1] <= '9') {
		resize((unsigned)atoi(rest + 1));
		size.ws_col = (unsigned short)columns;
		ioctl(tty, TIOCSWINSZ, &size);
	} else if (ioctl(tty, TIOCGPGRP, &group) == 0) {
		kill(-group, strcmp(rest + 1, "INT") == 0 ? SIGINT : strcmp(rest + 1, "TERM") == 0 ? SIGTERM : SIGKILL);
	}
}

static pid_t
start(int *tty, char **command)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
	char name[64];
	pid_t pid;

	*tty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (*tty < 0 || grantpt(*tty) < 0 || unlockpt(*tty) < 0 || ptsname_r(*tty, name, sizeof(name)) != 0)
		return -1;
	ioctl(*tty, TIOCSWINSZ, &size);
	pid = fork();
	if (pid == 0) {
		int fd;

		setsid();
		fd = open(name, O_RDWR);
		ioctl(fd, TIOCSCTTY, 0);
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		execvp(command[0], command);
		_exit(127);
	}
	return pid;
}

static long
milliseconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
main(int argc, char **argv)
{
	int next = 3, tty, status = 0, command = 3;
	struct termios modes = { 0 };
	long begun = milliseconds();
	pid_t pid;

	while (command < argc && strcmp(argv[command], "--") != 0)
		command++;
	if (argc < 5 || command + 1 >= argc)
		return 2;
	columns = (unsigned)atoi(argv[1]);
	rows = (unsigned)atoi(argv[2]);
	lines = calloc(MOST_LINES, sizeof(*lines));
	pid = start(&tty, argv + command + 1);
	for (;;) {
		struct pollfd p = { .fd = tty, .events = POLLIN };
		unsigned char chunk[4096];
		long wait = next < command ? atol(argv[next] + 1) - (milliseconds() - begun) : -1;
		ssize_t n;

		if (next < command && wait <= 0) {
			act(tty, argv[next++]);
			continue;
		}
		if (poll(&p, 1, (int)wait) <= 0)
			continue;
		n = read(tty, chunk, sizeof(chunk));
		if (n <= 0)
			break;
		for (ssize_t i = 0; i < n; i++)
			take(chunk[i]);
	}
	tcgetattr(tty, &modes);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	print_lines();
	fprintf(stderr, "wrapped %u above %u unknown %u echo %d\n", wrapped, above, unknown,
	        (modes.c_lflag & (ECHO | ICANON)) == (ECHO | ICANON));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
