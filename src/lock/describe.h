/* A holder in words.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DESCRIBE_H
#define LOCK_DESCRIBE_H

#include "lock/item.h"
#include "lock/store.h"

/* AWSFLOCK_HELD: "'ops' is held by alice@bastion-1 since 14:02:11 (ssh from 203.0.113.9), lease ends 14:19:00". */
awsflock_code describe_held(struct store *store, const struct lock_item *item, awsflock_error *error);

/* AWSFLOCK_LOST: what became of LOCK.  ITEM NULL: there is none (any more).  The first, of a lease whose FENCE is
 * known, can tell its own end from a later one's. */
awsflock_code describe_lost_lease(struct store *store, const char *lock, uint64_t fence,
				  const struct lock_item *item, awsflock_error *error);
awsflock_code describe_lost(struct store *store, const char *lock, const struct lock_item *item,
			    awsflock_error *error);

#endif
