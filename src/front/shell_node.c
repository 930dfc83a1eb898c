/* Nodes of the shell grammar.  They hang on the struct shell, flat, so that depth costs nothing when it is freed. */
#include <ctype.h>
#include <string.h>

#include "../base/mem.h"
#include "slexer.h"

struct shell_node *
node_new(struct slexer *x, enum shell_kind kind, struct span at)
{
	struct shell_node *n = mem_new(x->sh, struct shell_node);

	n->kind = kind;
	n->at = at;
	return n;
}

/* NAME=VALUE or NAME+=VALUE. */
static bool
assignment(const char *s)
{
	const char *p = s;

	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	if (p == s || isdigit((unsigned char)*s))
		return false;
	return *p == '=' || (*p == '+' && p[1] == '=');
}

struct shell_node *
node_word(struct slexer *x, struct shell_node *n, struct shell_word w)
{
	if (n->kind == SHELL_SIMPLE && n->nwords == 0 && assignment(w.raw)) {
		mem_room(x->sh, n->assigns, n->nassigns + 1, &n->assigns_cap);
		n->assigns[n->nassigns++] = w;
	} else {
		mem_room(x->sh, n->words, n->nwords + 1, &n->words_cap);
		n->words[n->nwords++] = w;
	}
	if (w.at.end > n->at.end)
		n->at.end = w.at.end;
	return n;
}

struct shell_node *
node_redir(struct slexer *x, struct shell_node *n, struct shell_redir r)
{
	mem_room(x->sh, n->redirs, n->nredirs + 1, &n->redirs_cap);
	n->redirs[n->nredirs++] = r;
	if (r.at.end > n->at.end)
		n->at.end = r.at.end;
	return n;
}

struct shell_node *
node_add(struct slexer *x, struct shell_node *n, enum shell_join join, struct shell_node *kid)
{
	if (kid == NULL)
		return n;
	mem_room(x->sh, n->kids, n->nkids + 1, &n->kids_cap);
	n->kids[n->nkids++] = kid;
	kid->join = join;
	if (kid->at.end > n->at.end)
		n->at.end = kid->at.end;
	return n;
}

/* Lists are flat: a && b; c is three children. */
struct shell_node *
node_join(struct slexer *x, struct shell_node *list, enum shell_join join, struct shell_node *kid)
{
	struct shell_node *n = list;

	if (list->kind != SHELL_LIST) {
		n = node_new(x, SHELL_LIST, list->at);
		node_add(x, n, JOIN_FIRST, list);
	}
	if (kid->kind != SHELL_LIST)
		return node_add(x, n, join, kid);
	for (size_t k = 0; k < kid->nkids; k++)
		node_add(x, n, k == 0 ? join : kid->kids[k]->join, kid->kids[k]);
	return n;
}

struct shell_node *
node_pipe(struct slexer *x, struct shell_node *n, struct shell_node *kid)
{
	struct shell *sh = x->sh;

	if (n->kind != SHELL_PIPELINE) {
		struct shell_node *first = n;

		n = node_new(x, SHELL_PIPELINE, first->at);
		node_add(x, n, JOIN_FIRST, first);
		mem_room(sh, sh->pipelines, sh->npipelines + 1, &sh->pipelines_cap);
		sh->pipelines[sh->npipelines++] = n;
	}
	kid->piped = true;
	return node_add(x, n, JOIN_FIRST, kid);
}

struct shell_node *
node_simple(struct slexer *x, struct shell_node *n)
{
	struct shell *sh = x->sh;

	mem_room(sh, sh->simple, sh->nsimple + 1, &sh->simple_cap);
	sh->simple[sh->nsimple++] = n;
	return n;
}
