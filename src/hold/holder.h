/* The process that holds a lock with a lease file, see hold.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_HOLDER_H
#define HOLD_HOLDER_H

#include <signal.h>

#include "hold/hold.h"

/* By which it is told to end; not those that were ignored from the start, as under nohup(1). */
void holder_signals(sigset_t *set);

/* Takes the lock, holds it until it is to end, and releases it; holder_signals() are blocked.  PARENT_FD is told by one byte
 * once it is held, and the caller's session is left then; -1: nobody waits.  Returns the exit code. */
int holder_run(const struct hold_job *job, int parent_fd);

#endif
