/* Who belongs to a session, by looking at the machine's processes: see watch.h for the rules.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_MEMBERSHIP_LOOKS_H
#define KEEPER_MEMBERSHIP_LOOKS_H

#include "keeper/membership.h"
#include "keeper/watch.h"

struct membership_looks {
	struct membership members;
	struct watch watch;
};

/* As watch_init(); false without memory.  Ended by members.ops->free(). */
bool membership_looks_init(struct membership_looks *looks, int host_pidfd, bool host_is_login_service,
			   const char *session);

#endif
