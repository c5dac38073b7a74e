/* The protocol: renewing, giving back and evicting a lease, over a store and a clock; acquisition.h takes one.
 *
 * What every line here serves: at no moment two holders both believe they hold a lock, whatever the network loses,
 * delays or repeats, and however wrong a machine's clock is.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LEASE_H
#define LOCK_LEASE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "lock/operation.h"
#include "lock/store.h"

#define DEADLINE_UNKNOWN INT64_MAX

struct lease {
	struct store *store; /* outlives the lease */
	char *lock;
	lease_id_fn *on_id; /* may be NULL */
	void *on_id_arg;
	void (*on_renewed)(void *arg); /* may be NULL: told by heartbeat_keep() after each confirmed renewal */
	void *on_renewed_arg;
	char current_id[AWSFLOCK_LEASE_ID_SIZE]; /* the last confirmed one */
	pthread_mutex_t mutex;                   /* over what follows: another thread may look */
	int64_t seconds;
	struct lease_ids ids;     /* current_id and all that were sent since */
	uint64_t fence;           /* 0: not known */
	int64_t expiration_time;  /* epoch seconds; 0: not known */
	int64_t deadline_boot_ns; /* DEADLINE_UNKNOWN: an adopted lease */
	int64_t deadline_real_ns; /* the same moment by CLOCK_REALTIME, as it stood at the first send */
	int64_t sent_boot_ns;     /* the first send of the last confirmed operation */
	bool lost;
	bool release_unknown; /* a release of it may have been carried out unseen */
	/* The id that an administrator's eviction of this very lease left in the item; "": none is known. */
	char eviction_id[AWSFLOCK_LEASE_ID_SIZE];
};

/* Each makes a lease in memory, the caller's, by lease_free(): of what operation_confirm() gave, and of what the
 * user tells.  AWSFLOCK_MEMORY. */
awsflock_code lease_from_grant(struct store *store, const char *lock, const struct grant *grant, int64_t seconds,
			       struct lease **out, awsflock_error *error);
awsflock_code lease_adopt(struct store *store, const char *lock, const char *lease_id, int64_t seconds,
			  struct lease **out, awsflock_error *error);
/* OWNER NULL: as it is.  GIVE_UP_BOOT_NS: some time before the deadline, and with it; INT64_MAX: after one try.  What
 * awsflock_renew() promises. */
awsflock_code lease_renew(struct lease *lease, int64_t seconds, const char *owner, int64_t give_up_boot_ns,
			  awsflock_error *error);
/* What awsflock_release() promises. */
awsflock_code lease_release(struct lease *lease, bool delete_item, awsflock_error *error);
bool lease_is_evicted(struct lease *lease);
void lease_free(struct lease **lease);

/* The deadline has passed, by either clock, or the lease is known to be lost. */
bool lease_is_past_deadline(struct lease *lease);
int64_t lease_deadline_boot_ns(struct lease *lease);

/* An administrator's eviction, see awsflock_break(). */
awsflock_code lease_break(struct store *store, const char *lock, const char *lease_id, const char *by, bool now,
			  awsflock_error *error);

#endif
