/* How to wait for a lock: when to look again, when to try again.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_WAIT_H
#define LOCK_WAIT_H

#include "lock/acquisition.h"
#include "lock/owed.h"

#define WAIT_LAST_TRY_MS INT64_C(5000)

/* Called before each pause; HOLDER is who holds the lock. */
typedef void wait_notice_fn(void *arg, const struct lock_item *holder, int64_t waited_ms);

struct wait_options {
	int64_t wait_ms;          /* 0: one try; AWSFLOCK_WAIT_FOREVER */
	int64_t poll_interval_ms; /* the longest pause between two looks */
	wait_notice_fn *notice;   /* may be NULL */
	void *notice_arg;
	/* NULL: what a call that fails may have taken is given back before it returns.  Else that is told here, for
	 * owed_give_back(). */
	struct owed *owed;
};

/* Tries until it has the lock, the wait ends or it is told to stop; what awsflock_acquire() promises.  Whatever the
 * store does, it returns within WAIT_LAST_TRY_MS of the wait's end, and one try takes STORE_ONE_TRY_MS at the most; what
 * is given back before it returns takes up to ten seconds more. */
awsflock_code wait_acquire(struct store *store, const struct lease_request *request,
			   const struct wait_options *options, struct lease **out, awsflock_error *error);

#endif
