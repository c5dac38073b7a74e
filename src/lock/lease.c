/* See lease.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/lease.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/runtime.h"
#include "lock/describe.h"

/* ---- A lease in memory ------------------------------------------------------------------------------------- */

static awsflock_code lease_new(struct store *store, const char *lock, const char *lease_id, int64_t seconds,
			       struct lease **out, awsflock_error *error)
{
	struct lease *lease = calloc(1, sizeof(*lease));

	if (!lease)
		return error_out_of_memory(error);
	lease->lock = strdup(lock);
	if (!lease->lock) {
		free(lease);
		return error_out_of_memory(error);
	}
	pthread_mutex_init(&lease->mutex, NULL);
	lease->store = store;
	lease->seconds = seconds;
	memcpy(lease->current_id, lease_id, sizeof(lease->current_id));
	lease_ids_set(&lease->ids, lease_id);
	lease->deadline_boot_ns = DEADLINE_UNKNOWN;
	lease->deadline_real_ns = DEADLINE_UNKNOWN;
	*out = lease;
	return AWSFLOCK_OK;
}

void lease_free(struct lease **lease)
{
	if (!lease || !*lease)
		return;
	pthread_mutex_destroy(&(*lease)->mutex);
	free((*lease)->lock);
	free(*lease);
	*lease = NULL;
}

static void lease_take_grant(struct lease *lease, const struct grant *grant, int64_t seconds)
{
	pthread_mutex_lock(&lease->mutex);
	memcpy(lease->current_id, grant->lease_id, sizeof(lease->current_id));
	lease_ids_set(&lease->ids, grant->lease_id);
	lease->fence = grant->fence;
	lease->expiration_time = grant->expiration_time;
	lease->deadline_boot_ns = grant->deadline_boot_ns;
	lease->deadline_real_ns = grant->deadline_real_ns;
	lease->sent_boot_ns = grant->sent_boot_ns;
	lease->seconds = seconds;
	pthread_mutex_unlock(&lease->mutex);
}

awsflock_code lease_from_grant(struct store *store, const char *lock, const struct grant *grant, int64_t seconds,
			       struct lease **out, awsflock_error *error)
{
	awsflock_code code = lease_new(store, lock, grant->lease_id, seconds, out, error);

	if (code == AWSFLOCK_OK)
		lease_take_grant(*out, grant, seconds);
	return code;
}

awsflock_code lease_adopt(struct store *store, const char *lock, const char *lease_id, int64_t seconds,
			  struct lease **out, awsflock_error *error)
{
	char id[AWSFLOCK_LEASE_ID_SIZE] = "";

	memcpy(id, lease_id, strnlen(lease_id, sizeof(id) - 1));
	return lease_new(store, lock, id, seconds, out, error);
}

int64_t lease_deadline_boot_ns(struct lease *lease)
{
	pthread_mutex_lock(&lease->mutex);
	int64_t deadline = lease->deadline_boot_ns;
	pthread_mutex_unlock(&lease->mutex);
	return deadline;
}

bool lease_is_past_deadline(struct lease *lease)
{
	struct runtime *runtime = lease->store->runtime;
	int64_t boot_ns = runtime_boot_ns(runtime);
	int64_t real_ns = runtime_real_ns(runtime);

	pthread_mutex_lock(&lease->mutex);
	bool past = lease->lost || boot_ns >= lease->deadline_boot_ns;

	/* A paused virtual machine's CLOCK_BOOTTIME may have stood still, and its CLOCK_REALTIME been set right.
	 * The local store was paused along with it. */
	if (!lease->store->local && lease->deadline_real_ns != DEADLINE_UNKNOWN &&
	    real_ns >= lease->deadline_real_ns)
		past = true;
	pthread_mutex_unlock(&lease->mutex);
	return past;
}

static void lease_mark_lost(struct lease *lease)
{
	pthread_mutex_lock(&lease->mutex);
	lease->lost = true;
	pthread_mutex_unlock(&lease->mutex);
}

/* ITEM stands where the lease should.  An eviction keeps the fence, which is this grant's alone: under the same one it
 * was this lease that was evicted, and nobody has the lock until that would have ended. */
static void note_eviction(struct lease *lease, const struct lock_item *item)
{
	if (!item->broken_by || item->released || lease->fence == 0 || item->fence != lease->fence ||
	    strlen(item->lease_id) >= sizeof(lease->eviction_id))
		return;
	pthread_mutex_lock(&lease->mutex);
	memcpy(lease->eviction_id, item->lease_id, strlen(item->lease_id) + 1);
	pthread_mutex_unlock(&lease->mutex);
}

bool lease_is_evicted(struct lease *lease)
{
	pthread_mutex_lock(&lease->mutex);
	bool evicted = lease->eviction_id[0] != '\0';
	pthread_mutex_unlock(&lease->mutex);
	return evicted;
}

static int64_t one_try_ends_boot_ns(const struct store *store)
{
	return runtime_boot_ns(store->runtime) + STORE_ONE_TRY_MS * NS_PER_MS;
}

/* ---- Renew ------------------------------------------------------------------------------------------------- */

static struct pending_writes pending_writes_of(struct lease *lease)
{
	struct pending_writes pending = pending_writes_on(lease->store, lease->lock, &lease->ids);

	pending.mutex = &lease->mutex;
	pending.on_id = lease->on_id;
	pending.on_id_arg = lease->on_id_arg;
	pending.highest_fence = lease->fence;
	return pending;
}

/* A renewal that would shorten the lease does so from the moment it is sent: it may be carried out unseen.  Whoever
 * gives up some time before the deadline then gives up as much earlier. */
static void shorten_deadline(struct lease *lease, struct pending_writes *pending, const struct operation *operation)
{
	int64_t latest = operation_latest_deadline(lease->store, operation);
	int64_t shortened_ns = 0;

	pthread_mutex_lock(&lease->mutex);
	if (lease->deadline_boot_ns != DEADLINE_UNKNOWN && latest < lease->deadline_boot_ns) {
		shortened_ns = lease->deadline_boot_ns - latest;
		lease->deadline_real_ns -= shortened_ns;
		lease->deadline_boot_ns = latest;
	}
	pthread_mutex_unlock(&lease->mutex);
	if (pending->gives_up_before_deadline)
		pending->give_up_boot_ns -= shortened_ns;
}

/* AWSFLOCK_OK with *GRANTED false: to be tried anew. */
static awsflock_code renew_once(struct lease *lease, struct pending_writes *pending, int64_t seconds,
				const char *owner, struct grant *grant, bool *granted, awsflock_error *error)
{
	struct store *store = lease->store;
	struct operation operation;
	struct store_reply reply = { 0 };
	/* While the server's time is not known, a wrong clock could write an expiry before the one that stands, and
	 * let others in while the holder, in another process, still believes in the old one. */
	struct store_write write = { .kind = STORE_RENEW, .owner = owner, .only_if_longer = !store->time.known };
	awsflock_code code = operation_begin(pending, seconds, &operation, error);

	*granted = false;
	if (code != AWSFLOCK_OK)
		return code;
	shorten_deadline(lease, pending, &operation);
	code = operation_send(pending, &operation, &write, &reply, error);
	if (code == AWSFLOCK_CLOCK_SKEW && !pending->skew_corrected) {
		pending->skew_corrected = true;
		code = AWSFLOCK_OK;
	} else if (code == AWSFLOCK_OK && operation_took_effect(&operation, &reply)) {
		code = operation_confirm(pending, &operation, &reply, grant, error);
		*granted = code == AWSFLOCK_OK;
		/* Written all the same: whoever knows only the old id could neither renew nor release any more. */
		if (code != AWSFLOCK_OK && code != AWSFLOCK_LOST && error)
			error->outcome_unknown = true;
	} else if (code == AWSFLOCK_OK && (!reply.has_item || reply.item.released ||
					   !lease_ids_contain(pending->ids, reply.item.lease_id))) {
		code = describe_lost_lease(store, lease->lock, lease->fence, reply.has_item ? &reply.item : NULL,
					   error);
	}
	if (code == AWSFLOCK_LOST && reply.has_item)
		note_eviction(lease, &reply.item);
	store_reply_clear(&reply);
	return code;
}

static awsflock_code deadline_passed(struct lease *lease, awsflock_error *error)
{
	lease_mark_lost(lease);
	return error_set(error, AWSFLOCK_LOST, "'%s': the lease was not renewed in time, its deadline has passed",
			 lease->lock);
}

awsflock_code lease_renew(struct lease *lease, int64_t seconds, const char *owner, int64_t give_up_boot_ns,
			  awsflock_error *error)
{
	struct pending_writes pending = pending_writes_of(lease);
	struct grant grant;
	bool granted = false;
	awsflock_code code = AWSFLOCK_OK;

	pending.gives_up_before_deadline = give_up_boot_ns != INT64_MAX;
	pending.give_up_boot_ns =
		pending.gives_up_before_deadline ? give_up_boot_ns : one_try_ends_boot_ns(lease->store);
	if (lease_is_past_deadline(lease))
		return deadline_passed(lease, error);
	for (int writes = 0; writes < WRITES_PER_TRY && code == AWSFLOCK_OK && !granted; writes++)
		code = renew_once(lease, &pending, seconds, owner, &grant, &granted, error);
	if (code == AWSFLOCK_OK && !granted)
		code = error_set(error, AWSFLOCK_PROTOCOL, "'%s': %s refuses a renewal that it shows as possible",
				 lease->lock, lease->store->where);
	if (code == AWSFLOCK_LOST)
		lease_mark_lost(lease);
	if (code != AWSFLOCK_OK)
		return code == AWSFLOCK_TIMED_OUT ? deadline_passed(lease, error) : code;
	/* Confirmed, but only after the holder had to stop: not a renewal any more. */
	if (lease_is_past_deadline(lease))
		return deadline_passed(lease, error);
	lease_take_grant(lease, &grant, seconds);
	return AWSFLOCK_OK;
}

/* ---- Release ----------------------------------------------------------------------------------------------- */

static awsflock_code judge_release(struct lease *lease, struct pending_writes *pending, bool delete_item,
				   const struct operation *operation, const struct store_reply *reply,
				   awsflock_error *error)
{
	if (!delete_item)
		pending_writes_settle(pending, operation, reply);
	if (reply->outcome == STORE_APPLIED)
		return AWSFLOCK_OK;
	/* Refused, but an earlier copy, or an earlier call whose answer never came, may have done it: either way
	 * this lease is gone. */
	if (reply->attempt_unknown || lease->release_unknown ||
	    (reply->has_item && strcmp(reply->item.lease_id, operation->lease_id) == 0))
		return AWSFLOCK_OK;
	return describe_lost(lease->store, lease->lock, reply->has_item ? &reply->item : NULL, error);
}

static awsflock_code release_once(struct lease *lease, struct pending_writes *pending, bool delete_item,
				  awsflock_error *error)
{
	struct operation operation;
	struct store_reply reply = { 0 };
	struct store_write write = { .kind = delete_item ? STORE_DELETE : STORE_RELEASE };
	const char *accepted[LEASE_IDS_MAX];
	awsflock_code code = operation_begin(pending, 0, &operation, error);

	if (code == AWSFLOCK_OK)
		code = operation_fence(pending, &operation, lease->fence, &write.fence, error);
	if (code != AWSFLOCK_OK)
		return code;
	write.accepted_count = lease_ids_list(&lease->ids, accepted);
	write.accepted = accepted;
	if (lease_is_evicted(lease)) { /* then none of its own ids can be valid */
		accepted[0] = lease->eviction_id;
		write.accepted_count = 1;
	}
	operation_make_tombstone(pending, &operation, lease->fence ? lease->fence : write.fence, &write);
	code = operation_send(pending, &operation, &write, &reply, error);
	if (code == AWSFLOCK_OK)
		code = judge_release(lease, pending, delete_item, &operation, &reply, error);
	else if (reply.maybe_applied)
		lease->release_unknown = true;
	if (code == AWSFLOCK_LOST && reply.has_item)
		note_eviction(lease, &reply.item);
	store_reply_clear(&reply);
	return code;
}

awsflock_code lease_release(struct lease *lease, bool delete_item, awsflock_error *error)
{
	struct pending_writes pending = pending_writes_of(lease);
	struct lease_ids tombstone_ids = { .count = 0 };

	pending.give_up_boot_ns = one_try_ends_boot_ns(lease->store);
	pending.ids = &tombstone_ids; /* a tombstone's id is nobody's lease */
	pending.mutex = NULL;
	pending.on_id = NULL;

	bool was_evicted = lease_is_evicted(lease);
	awsflock_code code = release_once(lease, &pending, delete_item, error);

	if (code == AWSFLOCK_CLOCK_SKEW)
		code = release_once(lease, &pending, delete_item, error);
	/* It was lost, which is told; but its work has ended, and nobody else needs to wait for its end. */
	if (code == AWSFLOCK_LOST && !was_evicted && lease_is_evicted(lease))
		release_once(lease, &pending, delete_item, NULL);
	if (code == AWSFLOCK_OK || code == AWSFLOCK_LOST)
		lease_mark_lost(lease);
	return code;
}

/* ---- Break ------------------------------------------------------------------------------------------------- */

static awsflock_code break_once(struct pending_writes *pending, const char *lease_id, const char *by, bool now,
				awsflock_error *error)
{
	struct operation operation;
	struct store_reply reply = { 0 };
	struct store_write write = {
		.kind = now ? STORE_RELEASE : STORE_BREAK,
		.accepted = &lease_id,
		.accepted_count = 1,
		.broken_by = by,
	};
	awsflock_code code = operation_begin(pending, 0, &operation, error);

	if (code == AWSFLOCK_OK)
		code = operation_fence(pending, &operation, 0, &write.fence, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (now)
		operation_make_tombstone(pending, &operation, write.fence, &write);
	code = operation_send(pending, &operation, &write, &reply, error);
	if (code == AWSFLOCK_OK && now)
		pending_writes_settle(pending, &operation, &reply);
	if (code == AWSFLOCK_OK && reply.outcome == STORE_REFUSED &&
	    !(reply.has_item && lease_ids_contain(pending->ids, reply.item.lease_id)))
		code = describe_lost(pending->store, pending->lock, reply.has_item ? &reply.item : NULL, error);
	store_reply_clear(&reply);
	return code;
}

awsflock_code lease_break(struct store *store, const char *lock, const char *lease_id, const char *by, bool now,
			  awsflock_error *error)
{
	struct lease_ids ids = { .count = 0 };
	struct pending_writes pending = pending_writes_on(store, lock, &ids);
	awsflock_code code;

	pending.give_up_boot_ns = one_try_ends_boot_ns(store);
	code = break_once(&pending, lease_id, by, now, error);

	if (code == AWSFLOCK_CLOCK_SKEW)
		code = break_once(&pending, lease_id, by, now, error);
	return code;
}
