/* The lease ids that were sent since the last confirmed one: under any of them the lock may stand as ours, and whoever
 * renews it next must know them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LEASE_IDS_H
#define BASE_LEASE_IDS_H

#include <stdbool.h>
#include <stddef.h>

#include "awsflock.h"

/* DynamoDB's IN takes at most 100 operands.  Tries are spaced so that this many hardly ever come together. */
#define LEASE_IDS_MAX 96

struct lease_ids {
	size_t count;
	char id[LEASE_IDS_MAX][AWSFLOCK_LEASE_ID_SIZE]; /* oldest first */
};

/* Where there is no more room the oldest but one goes: the first is the one that is known to be good.  What is no id is
 * passed over, here and in lease_ids_set(). */
void lease_ids_add(struct lease_ids *ids, const char *id);
void lease_ids_drop(struct lease_ids *ids, const char *id);
void lease_ids_set(struct lease_ids *ids, const char *id); /* ID alone */
bool lease_ids_contain(const struct lease_ids *ids, const char *id);
/* Pointers into IDS, for store_write.accepted. */
size_t lease_ids_list(const struct lease_ids *ids, const char *list[LEASE_IDS_MAX]);

#endif
