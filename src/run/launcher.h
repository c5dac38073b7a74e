/* The launcher of `awsflock run`, see supervise.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_LAUNCHER_H
#define RUN_LAUNCHER_H

#include "run/run_state.h"

/* Watches over SUPERVISOR, its child, to its end, and does the work left undone where that ends or stalls before
 * its time.  All signals of launcher_signals() are blocked.  Returns the exit code. */
int launcher_run(struct run *run, pid_t supervisor);

/* The signals that the launcher takes by itself. */
void launcher_signals(sigset_t *set);

#endif
