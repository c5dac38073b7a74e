/* A line on the terminals of a session.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_TERMINALS_H
#define KEEPER_TERMINALS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "awsflock.h"
#include "proc/process.h"

/* A session with more terminals than this has been told often enough. */
#define TERMINALS_MAX 64

/* Each terminal is told once.  None is waited for, and none is taken for the keeper's own. */
struct terminals {
	char text[AWSFLOCK_ERROR_MESSAGE_SIZE + 16];
	dev_t told[TERMINALS_MAX];
	size_t told_count;
};

/* Sanitises LINE, and tells nobody yet. */
void terminals_init(struct terminals *terminals, const char *line);
/* Writes the line to the terminal of PROCESS, where it has one that belongs to its user. */
void terminals_tell(struct terminals *terminals, const struct process *process);
/* The same to TTY, as PAM names it; "" for none. */
void terminals_tell_tty(struct terminals *terminals, const char *tty);

#endif
