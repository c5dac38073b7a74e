/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has to be gone with a session that ends all that its person runs (ends = user): the session's own, as another
 * membership tells, and every process of this machine that the person runs: the user manager and its services, jobs of cron
 * and at, other logins.  Never the host, init or a keeper.
 *
 * It remembers nobody, so a standby needs to know nothing: whoever still runs is found by whose it is. */
#ifndef KEEPER_MEMBERSHIP_PERSON_H
#define KEEPER_MEMBERSHIP_PERSON_H

#include "keeper/membership.h"
#include "proc/selection.h"

struct membership_person {
	struct membership members;
	struct membership *session;
	int host_pidfd;
	uid_t person;
	struct process_list found; /* as of the last look */
};

/* SESSION is freed with it; HOST_PIDFD remains the caller's. */
void membership_person_init(struct membership_person *person, struct membership *session, int host_pidfd,
			    uid_t uid);

#endif
