/* Ending what is in a session's control group.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SESSION_KILL_H
#define KEEPER_SESSION_KILL_H

#include "keeper/progress.h"
#include "keeper/session_group.h"

/* To every member, and SIGCONT after it.  PROGRESS, which may be NULL, is stepped. */
void session_kill_signal(const struct session_group *session, int signal, struct progress *progress);
/* One step of killing every member but a host that runs; never waits for their end. */
void session_kill_members(struct session_group *session, struct progress *progress);
/* Kills the host, with all that is left in the group. */
void session_kill_host(struct session_group *session, struct progress *progress);

#endif
