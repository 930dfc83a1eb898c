/* Rules on single commands inside RUN. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../base/mem.h"
#include "walk.h"

static bool
one_of(const char *s, const char *const *list)
{
	for (; *list != NULL; list++) {
		if (strcmp(s, *list) == 0)
			return true;
	}
	return false;
}

static void
sudo(struct check *c, const struct inst *i, const struct command *cmd)
{
	for (const struct shell_word *w = cmd->node->words; w <= cmd->v; w++) {
		const char *slash = strrchr(w->value, '/');

		if (strcmp(slash != NULL ? slash + 1 : w->value, "sudo") != 0)
			continue;
		check_report(c, DIAG_NO_SUDO, i, w->at, "sudo in a build step; USER says who runs it");
		return;
	}
}

static void
useless(struct check *c, const struct inst *i, const struct command *cmd)
{
	static const char *const names[] = {
		"free", "ifconfig", "kill", "mount", "ps", "service", "shutdown", "ssh", "top", "vim", "reboot", "nano", NULL,
	};

	if (check_wants(c, DIAG_USELESS_COMMAND) && one_of(cmd->name, names))
		check_report(c, DIAG_USELESS_COMMAND, i, cmd->v[0].at, "%s has no use in a build step", cmd->name);
}

/* Digits of the user id that -u gives; large ones make the log files of logins huge. */
static void
useradd(struct check *c, const struct inst *i, const struct command *cmd)
{
	struct diag_item *item;
	const char *id = NULL;

	if (strcmp(cmd->name, "useradd") != 0 || command_has(cmd, "-l") || command_has(cmd, "--no-log-init"))
		return;
	for (size_t k = 1; k < cmd->n; k++) {
		const char *w = cmd->v[k].value;

		if ((strcmp(w, "-u") == 0 || strcmp(w, "--uid") == 0) && k + 1 < cmd->n)
			id = cmd->v[k + 1].value;
		else if (strncmp(w, "--uid=", 6) == 0)
			id = w + 6;
	}
	if (id == NULL || strlen(id) < 6 || id[strspn(id, "0123456789")] != '\0')
		return;
	item = check_report(c, DIAG_HIGH_UID, i, cmd->v[0].at, "useradd with user id %s fills the layer with an empty log", id);
	diag_fix(c->d, item, cmd->v[0].quoted ? NULL : mem_printf(c->scratch, "%s -l", cmd->v[0].raw), "useradd -l");
}

static void
change_directory(struct check *c, const struct inst *i, const struct command *cmd)
{
	if (check_wants(c, DIAG_USE_WORKDIR) && strcmp(cmd->name, "cd") == 0 && cmd->node->join == JOIN_FIRST && cmd->n > 1)
		check_report(c, DIAG_USE_WORKDIR, i, cmd->v[0].at, "cd %s: WORKDIR sets the directory for all that follows", cmd->v[1].value);
}

static void
apt(struct check *c, const struct inst *i, const struct command *cmd)
{
	static const char *const same[] = { "install", "update", "upgrade", "remove", "purge", "autoremove", "clean", "autoclean", NULL };
	struct diag_item *item;

	if (!check_wants(c, DIAG_USE_APT_GET) || strcmp(cmd->name, "apt") != 0)
		return;
	item = check_report(c, DIAG_USE_APT_GET, i, cmd->v[0].at, "apt is for terminals");
	if (cmd->verb != NULL && one_of(cmd->verb->value, same) && strcmp(cmd->v[0].raw, "apt") == 0 && (!cmd->v[0].quoted || i->form == FORM_EXEC))
		diag_fix(c->d, item, i->form == FORM_EXEC ? "\"apt-get\"" : "apt-get", "apt-get");
	else
		diag_fix(c->d, item, NULL, "apt-get or apt-cache");
}

static void
fetchers(struct check *c, const struct inst *i, const struct command *cmd)
{
	static const char *const quiet[] = {
		"-q", "-nv", "--quiet", "--no-verbose", "--progress", "-o", "--output-file", "-a", "--append-output", NULL,
	};
	bool wget = strcmp(cmd->name, "wget") == 0, curl = strcmp(cmd->name, "curl") == 0, shown = wget;

	for (size_t k = 0; shown && quiet[k] != NULL; k++)
		shown = !command_has(cmd, quiet[k]);
	if (shown && check_wants(c, DIAG_WGET_PROGRESS))
		check_report(c, DIAG_WGET_PROGRESS, i, cmd->v[0].at, "wget fills the log with its progress bar");
	if (check_wants(c, DIAG_ONE_FETCHER) && ((wget && c->curl && !c->wget) || (curl && c->wget && !c->curl)))
		check_report(c, DIAG_ONE_FETCHER, i, cmd->v[0].at, "%s here and %s above do the same", cmd->name, wget ? "curl" : "wget");
	c->wget = c->wget || wget;
	c->curl = c->curl || curl;
}

static void
link_shell(struct check *c, const struct inst *i, const struct command *cmd)
{
	if (check_wants(c, DIAG_USE_SHELL) && strcmp(cmd->name, "ln") == 0 && cmd->n > 2 && strcmp(cmd->v[cmd->n - 1].value, "/bin/sh") == 0)
		check_report(c, DIAG_USE_SHELL, i, cmd->node->at, "this replaces the shell of everything; SHELL changes that of RUN");
}

void
rules_command(struct check *c, struct check_stage *s, const struct inst *i, const struct command *cmd)
{
	sudo(c, i, cmd);
	useradd(c, i, cmd);
	useless(c, i, cmd);
	change_directory(c, i, cmd);
	apt(c, i, cmd);
	fetchers(c, i, cmd);
	link_shell(c, i, cmd);
}
