/* Columns of text on a terminal.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_TERMINAL_H
#define TERM_TERMINAL_H

#include <stddef.h>

#include "base/buf.h"

/* How wide the terminal behind FD is; 80 where it does not say. */
size_t terminal_width(int fd);

/* How many columns TEXT (sanitised, so valid UTF-8) takes; an upper bound where it has combining characters. */
size_t terminal_columns(const char *text);

/* Appends TEXT, cut at a character's boundary to at most COLUMNS, and then with an ellipsis as the last of them. */
void terminal_append_fitted(struct buf *out, const char *text, size_t columns);

/* How many rows TEXT takes on a terminal of WIDTH that breaks it: one that was made narrower since it was written. */
size_t terminal_rows(const char *text, size_t width);

#endif
