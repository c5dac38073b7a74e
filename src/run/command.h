/* The process of the command of `awsflock run`.  SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_COMMAND_H
#define RUN_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "awsflock.h"
#include "run/run_state.h"

struct command {
	pid_t pid; /* 0: it has ended */
	int socket;
};

/* Makes a process in the caller's group and session that waits to become the job's command, and dies with the calling
 * thread.  False, with errno, where there can be none. */
bool command_prepare(const struct run *run, struct command *command);

/* Lets it become the command.  Returns CLI_OK or, with the reason said and the process ended, CLI_RUN_NOT_FOUND,
 * CLI_RUN_CANNOT_EXECUTE, or CLI_RUN_LOST where LEASE ran out meanwhile. */
int command_start(const struct run *run, const awsflock_lease *lease, struct command *command);

/* Ends a process that has not become the command, if there is one. */
void command_discard(struct command *command);

#endif
