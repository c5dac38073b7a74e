/* A wait that its person can leave.  SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_INTERRUPTIBLE_WAIT_H
#define DOOR_INTERRUPTIBLE_WAIT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* sudo only takes down that a signal came, and acts on it when its modules are done: without this nobody could
 * leave a wait under it but by killing it, and one that was stopped would stop with the lock. */
struct interruptible_wait {
	int fd; /* -1: no signal ends this wait */
	sigset_t before;
};

/* From here on the signals by which people end or stop a program stay pending, unless the host ignores or blocks them.
 * Each goes to the host's own handler, or ends it, with interruptible_wait_end(). */
void interruptible_wait_begin(struct interruptible_wait *wait);
void interruptible_wait_end(struct interruptible_wait *wait);

/* Waits for something to read from FD, for at most TIMEOUT_MS.  False where one of those signals came before. */
bool interruptible_wait_for(const struct interruptible_wait *wait, int fd, int64_t timeout_ms);

#endif
