/* Starting the command of `awsflock run`.  SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_COMMAND_H
#define RUN_COMMAND_H

#include <sys/types.h>

#include "awsflock.h"
#include "run/run_state.h"

/* Starts the job's command in the launcher's process group, which dies with the calling thread.  Returns CLI_OK and
 * its id in *PID or, with the reason said, CLI_RUN_NOT_FOUND, CLI_RUN_CANNOT_EXECUTE or CLI_RUN_FAILED. */
int command_start(const struct run *run, const awsflock_lease *lease, pid_t *pid);

#endif
