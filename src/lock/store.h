/* A store: conditional writes on one item, each of them one atomic step.  lease.c holds the protocol; a store only
 * carries it out.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_STORE_H
#define LOCK_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/runtime.h"
#include "base/servertime.h"
#include "lock/item.h"

/* What to do, and under which condition.  "ours" = the item's lease_id is one of accepted[], and it is no
 * tombstone. */
enum store_write_kind {
	/* SET everything, REMOVE released_time, broken_by, broken_time;
	 * if there is no item, or it is a tombstone whose fence is below FENCE. */
	STORE_ACQUIRE,
	/* The same; if the item's lease_id is accepted[0] (a tombstone or not). */
	STORE_RECLAIM,
	/* SET lease_id, lease_duration, expiration (and owner, fence where given); if ours.
	 * With only_if_longer also: and the item's expiration is not after the new one. */
	STORE_RENEW,
	/* SET lease_id, released_time = now, expiration, fence = (the item's, or FENCE where it has none) + 1, and
	 * broken_by, broken_time where given; REMOVE holder, acquired_time; if ours. */
	STORE_RELEASE,
	/* Remove the item; if ours. */
	STORE_DELETE,
	/* SET lease_id, broken_by, broken_time; if ours. */
	STORE_BREAK,
	/* SET expiration; if the item's lease_id is accepted[0].  Puts a tombstone's right. */
	STORE_SETTLE
};

struct store_write {
	enum store_write_kind kind;
	const char *lock;
	const char *lease_id;        /* the new one */
	const char *const *accepted; /* lease ids */
	size_t accepted_count;
	int64_t lease_duration;   /* seconds */
	int64_t expires_store_ms; /* the new expiration; DynamoDB: a whole number of seconds */
	int64_t expiration_time;  /* the same for people, epoch seconds */
	uint64_t fence;           /* 0 in STORE_RENEW: leave it */
	int64_t now_time;         /* epoch seconds: acquired_time, released_time, broken_time */
	const char *owner;        /* NULL in STORE_RENEW: leave it */
	const struct holder *holder;
	const char *broken_by;
	bool only_if_longer;
	int64_t give_up_boot_ns; /* no attempt goes on beyond this; INT64_MAX: the store's own timeouts */
};

/* How long people wait for one try, with all its attempts, whatever the store does. */
#define STORE_ONE_TRY_MS INT64_C(14000)

enum store_outcome {
	STORE_APPLIED, /* the write was made; item is what it left (STORE_DELETE: what it removed) */
	STORE_REFUSED  /* the condition did not hold; item is what stood in the way */
};

struct store_reply {
	enum store_outcome outcome;
	bool has_item;     /* false: there is none (or, where item_unknown, the server would not show it) */
	bool item_unknown; /* refused by a server that ignores ReturnValuesOnConditionCheckFailure */
	struct lock_item item;
	bool attempt_unknown; /* an attempt before the conclusive one, or that one's silent resend, may have been
			       * carried out unseen */
	bool sent;            /* set also when write() fails: some attempt left this machine */
	bool maybe_applied;   /* set also when write() fails: some attempt may have been carried out */
	/* When the first attempt was sent and the conclusive reply came, CLOCK_BOOTTIME. */
	int64_t first_sent_boot_ns, received_boot_ns;
	/* What that reply said the store's time was, cut (DynamoDB: the Date header). */
	bool has_store_time;
	int64_t store_time_ms;
};

/* Called for each item of a listing; false ends it.  DAMAGED not NULL: an entry that cannot be read, and why. */
typedef bool store_list_fn(void *arg, const struct lock_item *item, const char *damaged);

struct diagnosis;
struct store;

struct store_ops {
	/* One write, with the store's own retries: every attempt is the same write.  Not AWSFLOCK_OK: no conclusive
	 * answer, or one that no retry can help; reply->sent, maybe_applied and first_sent_boot_ns are valid all the
	 * same.  The caller clears reply->item. */
	awsflock_code (*write)(struct store *store, const struct store_write *write, struct store_reply *reply,
			       awsflock_error *error);
	/* Reads LOCK's item, not beyond GIVE_UP_BOOT_NS (as in struct store_write).  reply->has_item tells whether
	 * there is one; time fields as above. */
	awsflock_code (*read)(struct store *store, const char *lock, bool consistent, int64_t give_up_boot_ns,
			      struct store_reply *reply, awsflock_error *error);
	awsflock_code (*list)(struct store *store, const char *prefix, store_list_fn *each, void *arg,
			      awsflock_error *error);
	awsflock_code (*create)(struct store *store, const awsflock_table_options *options, awsflock_error *error);
	void (*free)(struct store *store);
	/* Tells each check of the store; SCRATCH is a lock's name that may be read.  False where a lock cannot be
	 * had after what was found. */
	bool (*diagnose)(struct store *store, const char *scratch, const struct diagnosis *diagnosis);
	/* Finds the credentials that the first request would need.  NULL: it needs none. */
	awsflock_code (*sign_in)(struct store *store, awsflock_error *error);
	/* Logs a warning where the credentials are going to end within SECONDS, and cannot be renewed from here: once
	 * for an end, and once more when it is nearer.  NULL: there are none. */
	void (*foresee)(struct store *store, int64_t seconds);
};

/* The head of every store. */
struct store {
	const struct store_ops *ops;
	struct runtime *runtime; /* the caller's, outlives the store */
	struct server_time time; /* the store keeps it up to date */
	/* The store's time is CLOCK_BOOTTIME here: expirations need no whole seconds, and a jump of CLOCK_REALTIME
	 * means nothing. */
	bool local;
	char *name;        /* the same in every process that works on the same store, see awsflock_store_name() */
	const char *where; /* for sentences: "table 'awsflock' in us-east-1", "/var/lib/awsflock"; owned */
};

void store_free(struct store **store);
/* As its operation says; nothing where the store has none. */
void store_foresee(struct store *store, int64_t seconds);
void store_reply_clear(struct store_reply *reply);

#endif
