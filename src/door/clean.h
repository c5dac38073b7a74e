/* Making a fresh child of any host a clean process of root's.  SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_CLEAN_H
#define DOOR_CLEAN_H

#include <sys/types.h>

/* What the keeper finds open, beside /dev/null as 0, 1 and 2. */
enum {
	CLEAN_SOCKET = 3,
	CLEAN_HOST = 4,
	CLEAN_FIRST_CLOSED = 5
};

/* Leaves behind all that a caller of sudo or su could have prepared: user and groups (none is kept but TTY_GROUP),
 * limits, priorities, signals, timers' slack, cgroup, directory and descriptors.  SOCKET and HOST become
 * CLEAN_SOCKET and CLEAN_HOST, and all others are closed by the next execve().
 *
 * For a child alone in its process, between a bare clone() and exec: a thread of the host's that is not here may hold
 * any lock of libc's, so nothing is called that takes one (a test knows what that is).  Returns 0, or what errno was
 * at the first step that must not fail. */
int clean_process(int socket, int host, gid_t tty_group);

#endif
