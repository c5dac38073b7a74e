/* One write of the protocol: the values that are written, and what its reply is worth.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_OPERATION_H
#define LOCK_OPERATION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/lease_ids.h"
#include "lock/store.h"

/* What is written goes beyond what is believed by this much: it pays for the cut of Date to whole seconds, and
 * keeps TTL, which knows no grace, from deleting a lease that is still believed. */
#define EXPIRY_MARGIN_MS INT64_C(2000)
/* What a holder stops earlier, as a part of the lease: the drift of two clocks. */
#define DEADLINE_DRIFT_DIVISOR 2000
/* A lease may come out this much shorter than asked for before it is written anew. */
#define LEASE_LOSS_TOLERATED_MS INT64_C(1000)

/* Writes that one try may take: an expired lease costs two, a tombstone ahead two, a wrong clock two more.  Beyond
 * that others are at it at the same time, and the lock counts as held. */
#define WRITES_PER_TRY 5

/* Told each lease id before a request that could make it the valid one. */
typedef void lease_id_fn(void *arg, const char *lease_id);

/* What a call has sent to the store about one lock, and does not know the outcome of yet. */
struct pending_writes {
	struct store *store;
	const char *lock;
	struct lease_ids *ids;  /* sent, and not known to be without effect */
	pthread_mutex_t *mutex; /* over *ids; NULL: nobody else looks */
	lease_id_fn *on_id;     /* may be NULL */
	void *on_id_arg;
	uint64_t highest_fence;         /* of all that were sent */
	bool may_hold;                  /* the lock may stand under one of the ids, for all that the replies tell */
	bool left_behind;               /* the lock may remain held without a holder */
	int64_t may_hold_until_boot_ns; /* when the last of what was sent has run out, by a right clock */
	int64_t give_up_boot_ns;
	bool gives_up_before_deadline; /* give_up_boot_ns is counted back from the lease's deadline */
	bool skew_corrected;           /* the server refused our time once, and has told its own */
};

/* One operation: a retry inside the store is the same operation, a new try is a new one with a new lease id. */
struct operation {
	char lease_id[AWSFLOCK_LEASE_ID_SIZE];
	int64_t seconds;
	int64_t sent_boot_ns, sent_real_ns; /* the moment before the first send */
	int64_t expires_store_ms, expiration_time, now_time;
	int64_t time_width_ms; /* how uncertain the store's time was then, where it was known at all */
	bool is_grant;         /* it takes the lock: its fence must not lie behind the server's time */
	int64_t fence_boot_ns; /* when that fence was chosen */
};

/* What a confirmed operation gives. */
struct grant {
	char lease_id[AWSFLOCK_LEASE_ID_SIZE];
	int64_t sent_boot_ns;
	int64_t deadline_boot_ns, deadline_real_ns;
	int64_t expiration_time;
	uint64_t fence;
};

/* The writes to LOCK, none yet, whose ids are kept in IDS; all three are the caller's and outlive them.  They never
 * give up. */
struct pending_writes pending_writes_on(struct store *store, const char *lock, struct lease_ids *ids);

/* A fresh lease id, and the values for a lease of SECONDS that starts now. */
awsflock_code operation_begin(struct pending_writes *pending, int64_t seconds, struct operation *operation,
			      awsflock_error *error);

/* A fencing token for OPERATION: milliseconds of server time, or one more than ABOVE, whichever is greater.
 * AWSFLOCK_BAD_ITEM where there is none left. */
awsflock_code operation_fence(struct pending_writes *pending, const struct operation *operation, uint64_t above,
			      uint64_t *fence, awsflock_error *error);

/* Makes WRITE leave a tombstone: a fence of at least FENCE where the item has none, and an old expiration, by which
 * Python 0.2.0 may reclaim at once and TTL cleans up; or one that TTL leaves alone where FENCE lies ahead of the
 * server's time, since the number must not be forgotten before that time has come. */
void operation_make_tombstone(struct pending_writes *pending, struct operation *operation, uint64_t fence,
			      struct store_write *write);

/* The expiration_time that TTL leaves alone: it deletes nothing that is more than five years past (Amazon DynamoDB
 * Developer Guide, "Using time to live"). */
#define TOMBSTONE_KEPT_TIME INT64_C(1)

/* The deadline that OPERATION gives at the most, if it is carried out unseen: what it writes may be early by as
 * much as the store's time is uncertain. */
int64_t operation_latest_deadline(const struct store *store, const struct operation *operation);

/* Sends it as KIND; WRITE comes with what is special to the kind and is completed here.  The store's code and
 * reply; a refusal without an item is looked up.  outcome_unknown is set in ERROR. */
awsflock_code operation_send(struct pending_writes *pending, const struct operation *operation,
			     struct store_write *write, struct store_reply *reply, awsflock_error *error);

/* True where REPLY says that the lock stands under OPERATION's own id, also where it was "refused": the reply to an
 * earlier copy of the same request was lost. */
bool operation_took_effect(const struct operation *operation, const struct store_reply *reply);

/* Judges the times in the reply to an operation that took effect, and corrects what is wrong by a further renewal.
 * AWSFLOCK_OK: *GRANT.  AWSFLOCK_TIMED_OUT: too late to be used.  Otherwise not confirmed; what was taken is still
 * to be given back.  REPLY is used up. */
awsflock_code operation_confirm(struct pending_writes *pending, struct operation *operation,
				struct store_reply *reply, struct grant *grant, awsflock_error *error);

/* AWSFLOCK_PROTOCOL: a reply that does not tell the server's time. */
awsflock_code operation_no_store_time(const struct store *store, awsflock_error *error);

/* Writes the expiration of OPERATION's tombstone anew, where RELEASED shows one that turns out to be wrong: TTL would
 * forget a fence that lies ahead of the server's time, and Python 0.2.0 would take one that is not past for a lease.
 * Only the reply tells, where the time or the fence was not known before.  Failure is logged. */
void pending_writes_settle(struct pending_writes *pending, const struct operation *operation,
			   const struct store_reply *released);

/* One release for all ids of the pending writes, if the lock may stand under any.  Failure is noted in left_behind,
 * and the ids stay known.  AT_LAST: nobody will try again, so that failure is logged, and an order to stop means
 * nothing. */
void pending_writes_give_back(struct pending_writes *pending, bool at_last);

#endif
