/* Whose a process is.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_OWNERSHIP_H
#define PROC_OWNERSHIP_H

#include <stdbool.h>
#include <sys/types.h>

/* Does USER run PID: by its real user, which a set-user-ID program leaves as it is; or since it is in a user namespace that
 * USER has made, or in one within such a one, where it may be any user that /etc/subuid gives to USER? */
bool process_is_run_by(pid_t pid, uid_t user);

#endif
