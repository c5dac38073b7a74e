/* A line on the terminals of a session.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_TERMINALS_H
#define KEEPER_TERMINALS_H

#include <stddef.h>

#include "keeper/watch.h"

/* Writes LINE, sanitised, to every terminal that a member of WATCH has, and to TTY (as PAM names it; "" for none).
 * It never waits for a terminal, and never takes one for its own.  Returns how many took it. */
size_t terminals_write(const struct watch *watch, const char *tty, const char *line);

#endif
