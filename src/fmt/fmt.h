/* One canonical layout for a Dockerfile, without touching its meaning. */
#ifndef FMT_FMT_H
#define FMT_FMT_H

#include "../front/ast.h"

struct buf;

/* Appends the file in canonical layout: keywords in upper case at the start of their line, one blank behind them, AS in
   upper case, no blank lines inside instructions, at most one between them, none at the ends, no white space at line
   ends, LF.  What an instruction says is left as it is, here-documents to the byte.  The unit must be ok. */
void fmt_unit(struct buf *out, const struct unit *u);

#endif
