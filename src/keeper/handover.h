/* The ids under which a lease may stand in the store: what whoever renews it next must know.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_HANDOVER_H
#define KEEPER_HANDOVER_H

#include <stddef.h>

#include "awsflock.h"

/* As many as the library sends between two confirmed renewals. */
#define HANDOVER_IDS_MAX 96

struct handover {
	char ids[HANDOVER_IDS_MAX][AWSFLOCK_LEASE_ID_SIZE]; /* oldest first */
	size_t count;
};

/* The next request may make ID the lease's.  Where there is no more room the oldest but one goes: the first is the one
 * that was confirmed.  What is no id is passed over. */
void handover_expect(struct handover *handover, const char *id);
/* It is the lease's, and no other. */
void handover_confirm(struct handover *handover, const char *id);

#endif
