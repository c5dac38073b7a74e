/* The front of `awsflock run`, see supervise.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_FRONT_H
#define CLI_FRONT_H

#include "run/run_state.h"

/* Watches over SUPERVISOR, its child, to its end, and does the work left undone where that ends or stalls before
 * its time.  All signals of front_signals() are blocked.  Returns the exit code. */
int front_run(struct run *run, pid_t supervisor);

/* The signals that the front takes by itself. */
void front_signals(sigset_t *set);

#endif
