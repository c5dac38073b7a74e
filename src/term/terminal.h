/* Columns of text on a terminal.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_TERMINAL_H
#define TERM_TERMINAL_H

#include <stddef.h>

/* How wide the terminal behind FD is; 80 where it does not say. */
size_t terminal_width(int fd);

/* How many columns TEXT (sanitised, so valid UTF-8) takes; an upper bound where it has combining characters. */
size_t terminal_columns(const char *text);

/* Cuts TEXT, at a character's boundary, to at most COLUMNS. */
void terminal_clip(char *text, size_t columns);

#endif
