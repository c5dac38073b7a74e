/* SPDX-License-Identifier: Apache-2.0
 *
 * Who belongs to a session, as the kernel keeps it: all that is in a control group (cgroup v2) of the session's own.
 *
 * The group is made where the host stands, or above what a user may write to, and the host is moved into it before it
 * starts anything.  Where another module of its PAM stack moves the host afterwards (pam_systemd does, to a scope that
 * logind makes for that one session), the session is followed there.  It stays in the group until it closes the session;
 * then it is moved back to where it came from: what is left in the group is the session's. */
#ifndef KEEPER_MEMBERSHIP_CGROUP_H
#define KEEPER_MEMBERSHIP_CGROUP_H

#include "keeper/membership.h"
#include "keeper/session_group.h"
#include "keeper/strays.h"

struct membership_cgroup {
	struct membership members;
	struct strays strays;
	bool ends_person;
	size_t count;
	struct session_group session; /* last, as what is large is in struct guardian */
};

/* Makes the group of the session ID, and moves this process out of every such group; the host is not in it yet.  PERSON:
 * who opens it; ENDS_PERSON: all that this user runs is to end with it, once it has begun.  HOST_IS_LOGIN_SERVICE: see
 * membership_looks_init().  A sweep is waited for until UNTIL_NS (CLOCK_BOOTTIME).  False where that is not possible; WHY
 * is a sentence then.  Ended by members.ops->free(). */
bool membership_cgroup_init(struct membership_cgroup *cgroup, int host_pidfd, const char *id, uid_t person,
			    bool host_is_login_service, bool ends_person, int64_t until_ns, char *why,
			    size_t why_size);

#endif
