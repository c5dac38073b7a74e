/* The protocol: taking a lock that may be held, over a store and a clock.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_ACQUISITION_H
#define LOCK_ACQUISITION_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "lock/lease.h"
#include "lock/operation.h"
#include "lock/store.h"

struct lease_request {
	const char *lock;
	int64_t seconds;
	const char *owner;
	const struct holder *holder;
	lease_id_fn *on_id; /* may be NULL; also for the lease that comes of it */
	void *on_id_arg;
};

/* A call that tries to take a lock, through all its tries: it remembers what it sent and saw. */
struct acquisition {
	const struct lease_request *request;
	struct lease_ids ids;
	struct pending_writes pending;
	bool has_seen;
	struct lock_item seen;                   /* the item as last seen */
	bool looked_again;                       /* in this try, since a reply's time contradicts this machine's */
	char watched_id[AWSFLOCK_LEASE_ID_SIZE]; /* the lease that was seen last, and since when */
	int64_t watched_since_boot_ns;
};

void acquisition_init(struct acquisition *acquisition, struct store *store, const struct lease_request *request);
void acquisition_clear(struct acquisition *acquisition);

/* One try: one request where nothing stands in the way, a few more where an expired lease or a wrong clock does.
 * AWSFLOCK_OK: *OUT is the caller's.  AWSFLOCK_HELD: acquisition->seen is who holds it.  AWSFLOCK_TIMED_OUT:
 * granted too late to be used, and given back, if there was time for it.  On any other code the outcome may be
 * unknown: end with pending_writes_give_back(). */
awsflock_code acquisition_try(struct acquisition *acquisition, struct lease **out, awsflock_error *error);

/* Takes what REPLY shows as the item last seen. */
void acquisition_see(struct acquisition *acquisition, struct store_reply *reply);

/* True where the item last seen, which there is, can be taken over: its lease is over, or it was watched for as
 * long as it lasts, and the grace, without being renewed.  Whoever wrote it sent it before it was first seen, so
 * that no clock but this machine's CLOCK_BOOTTIME counts: an expiry by a wrong clock, whose writer ended before it
 * could correct it, would otherwise stand for as long as that clock was wrong. */
bool acquisition_can_take_over(const struct acquisition *acquisition);
/* CLOCK_BOOTTIME at which that will turn true, as far as can be known. */
int64_t acquisition_over_boot_ns(const struct acquisition *acquisition);

#endif
