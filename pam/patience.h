/* A wait that its person can leave.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PAM_PATIENCE_H
#define PAM_PATIENCE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* sudo only takes down that a signal came, and acts on it when its modules are done: without this nobody could
 * leave a wait under it but by killing it. */
struct patience {
	int fd; /* -1: no signal ends this wait */
	sigset_t before;
};

/* From here on the signals by which people end a program stay pending, unless the host ignores or blocks them. Each
 * goes to the host's own handler, or ends it, with patience_end(). */
void patience_begin(struct patience *patience);
void patience_end(struct patience *patience);

/* Waits for something to read from FD, for at most TIMEOUT_MS.  False where one of those signals came before. */
bool patience_wait(const struct patience *patience, int fd, int64_t timeout_ms);

#endif
