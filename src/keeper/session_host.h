/* The host in its session's control group: put there, followed and let go again.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SESSION_HOST_H
#define KEEPER_SESSION_HOST_H

#include "keeper/session_group.h"

bool session_host_runs(const struct session_group *session);
/* Its pidfd has become that of a child of its own, which stands where it stood. */
void session_host_renew(struct session_group *session);
/* The group that it stands in; false where it has ended. */
bool session_host_read_group(const struct session_group *session, char group[PATH_MAX]);

bool session_host_is_inside(const struct session_group *session);

/* Is PID in the group of a session that is neither this one nor around it?  That one's own keepers look for it there. */
bool session_host_is_anothers(const struct session_group *session, pid_t pid);

/* Moves it into the session's group.  What it has started before it opens the session belongs as well. */
bool session_host_enclose(struct session_group *session);
/* Takes the session along where root has moved the host: pam_systemd, most often.  Back to where it came from, or above
 * that, it is moved when it closes: by another guard of the same host, too.  Out of a group that a user may fill it is
 * put back: a su has its caller's real user, whose service manager may move it.  False where somebody may still be left
 * where the session was before. */
bool session_host_follow(struct session_group *session);
/* It closes, and is moved to where it came from, or near: what it starts from then on is its own. */
void session_host_let_go(struct session_group *session);
/* The same where it is still there when the keepers leave. */
void session_host_put_back(const struct session_group *session);

#endif
