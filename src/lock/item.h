/* One lock as a store holds it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_ITEM_H
#define LOCK_ITEM_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"

struct holder {
	char *user, *host, *tty, *service, *rhost, *purpose; /* each NULL or UTF-8 */
	int64_t pid;                                         /* 0: unknown */
};

struct lock_item {
	char *lock_id;
	char *lease_id;         /* never NULL in an item that a store hands out */
	char *owner;            /* NULL: none */
	int64_t lease_duration; /* seconds */
	/* When the lease ends in the store's time (milliseconds, see base/servertime.h), and for people (epoch
	 * seconds). For DynamoDB the same moment; the local store counts on CLOCK_BOOTTIME and tells people the
	 * epoch. */
	int64_t expires_store_ms;
	int64_t expiration_time;
	uint64_t fence;        /* 0: none, or none that can be used */
	int64_t acquired_time; /* epoch seconds; 0: none */
	bool released;         /* a tombstone */
	char *broken_by;       /* NULL: none */
	int64_t broken_time;
	struct holder holder;
};

void lock_item_clear(struct lock_item *item); /* frees what it owns, leaves it all zero */
/* A deep copy; OUT is overwritten, not freed.  AWSFLOCK_MEMORY leaves OUT all zero. */
awsflock_code lock_item_copy(const struct lock_item *item, struct lock_item *out, awsflock_error *error);

void holder_clear(struct holder *holder);
awsflock_code holder_copy(const struct holder *holder, struct holder *out, awsflock_error *error);

#endif
