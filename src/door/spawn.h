/* Starting awsflock-keeper from inside any host.  SPDX-License-Identifier: Apache-2.0 */
#ifndef DOOR_SPAWN_H
#define DOOR_SPAWN_H

#include <sys/types.h>

/* Given by the build (libexecdir): nothing that a caller could change says which program is run as root. */
#ifndef KEEPER_PATH
#define KEEPER_PATH "/usr/libexec/awsflock-keeper"
#endif

/* Starts KEEPER_PATH as nobody's child, with the constant environment, a clean process (see clean.h) and two
 * descriptors: its end of the socket and a pidfd of this process.  The host's children, signals and mask are as
 * they were.  Returns 0 and this side's end in *SOCKET (close-on-exec, the caller closes it), or an errno: that of
 * the keeper's execve() where that failed. */
int spawn_keeper(gid_t tty_group, int *socket);

#endif
