/* See operation.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/operation.h"

#include <string.h>

#include "base/error.h"
#include "base/runtime.h"
#include "lock/describe.h"

/* An ordinary clock's error must not cost a second request.  Only matters where an item was deleted meanwhile. */
#define FENCE_LAG_TOLERATED_MS INT64_C(1000)
#define SECONDS_OF_A_DAY INT64_C(86400)
#define FENCE_MAX ((uint64_t)INT64_MAX)

/* How long giving back may take: it happens when somebody waits for the program to end. */
#define GIVE_BACK_NS (10 * NS_PER_S)
/* A wrong clock is corrected once, and once more where one reply told a wrong time or this machine stood still
 * meanwhile.  After that it can only be a server whose own times contradict each other. */
#define CORRECTIONS_MAX 3

struct pending_writes pending_writes_on(struct store *store, const char *lock, struct lease_ids *ids)
{
	return (struct pending_writes){
		.store = store,
		.lock = lock,
		.ids = ids,
		.give_up_boot_ns = INT64_MAX,
	};
}

static int64_t store_now_ms(const struct store *store, const struct operation *operation)
{
	return server_time_guess_ms(&store->time, operation->sent_boot_ns, operation->sent_real_ns);
}

static int64_t round_up(int64_t value, int64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

awsflock_code operation_begin(struct pending_writes *pending, int64_t seconds, struct operation *operation,
			      awsflock_error *error)
{
	struct store *store = pending->store;
	awsflock_code code = runtime_uuid(store->runtime, operation->lease_id, error);

	if (code != AWSFLOCK_OK)
		return code;
	operation->is_grant = false;
	operation->seconds = seconds;
	operation->sent_boot_ns = runtime_boot_ns(store->runtime);
	operation->fence_boot_ns = operation->sent_boot_ns;
	operation->sent_real_ns = runtime_real_ns(store->runtime);

	int64_t margin_ms = seconds * MS_PER_S + EXPIRY_MARGIN_MS;
	int64_t epoch_ms = operation->sent_real_ns / NS_PER_MS;

	operation->expires_store_ms = store_now_ms(store, operation) + margin_ms;
	operation->time_width_ms = 0;
	if (store->time.known)
		operation->time_width_ms = server_time_latest_ms(&store->time, operation->sent_boot_ns) -
					   server_time_earliest_ms(&store->time, operation->sent_boot_ns);
	if (!store->local) {
		operation->expires_store_ms = round_up(operation->expires_store_ms, MS_PER_S);
		epoch_ms = store_now_ms(store, operation);
	}
	operation->now_time = epoch_ms / MS_PER_S;
	operation->expiration_time = round_up(epoch_ms + margin_ms, MS_PER_S) / MS_PER_S;
	return AWSFLOCK_OK;
}

/* Tokens start from the milliseconds of the epoch, so that they go on rising where an item was deleted. */
static uint64_t fence_seed(const struct store *store, const struct operation *operation)
{
	int64_t ms = store->local ? operation->sent_real_ns / NS_PER_MS : store_now_ms(store, operation);

	return ms > 0 ? (uint64_t)ms : 1;
}

awsflock_code operation_fence(struct pending_writes *pending, const struct operation *operation, uint64_t above,
			      uint64_t *fence, awsflock_error *error)
{
	uint64_t seed = fence_seed(pending->store, operation);

	if (above >= FENCE_MAX - 1)
		return error_set(
			error, AWSFLOCK_BAD_ITEM,
			"lock '%s' has a fence that leaves no greater one: an administrator must delete it",
			pending->lock);
	*fence = seed > above ? seed : above + 1;
	return AWSFLOCK_OK;
}

/* True where a tombstone's FENCE lies ahead of the store's time. */
static bool fence_is_ahead(struct pending_writes *pending, uint64_t fence)
{
	struct runtime *runtime = pending->store->runtime;
	int64_t now_ms = runtime_real_ns(runtime) / NS_PER_MS;

	if (!pending->store->local)
		now_ms = server_time_guess_ms(&pending->store->time, runtime_boot_ns(runtime),
					      runtime_real_ns(runtime));
	return now_ms < 0 || fence > (uint64_t)now_ms + MS_PER_S;
}

void operation_make_tombstone(struct pending_writes *pending, struct operation *operation, uint64_t fence,
			      struct store_write *write)
{
	write->fence = fence;
	operation->expires_store_ms -= SECONDS_OF_A_DAY * MS_PER_S;
	operation->expiration_time = operation->now_time - SECONDS_OF_A_DAY;
	if (fence_is_ahead(pending, fence)) {
		operation->expiration_time = TOMBSTONE_KEPT_TIME;
		operation->expires_store_ms = TOMBSTONE_KEPT_TIME * MS_PER_S;
	}
}

static int64_t drift_ns(int64_t seconds)
{
	return seconds * NS_PER_S / DEADLINE_DRIFT_DIVISOR;
}

int64_t operation_latest_deadline(const struct store *store, const struct operation *operation)
{
	int64_t lasts_ms = operation->seconds * MS_PER_S;

	if (store->time.known) {
		int64_t latest_ms = server_time_latest_ms(&store->time, operation->sent_boot_ns);
		int64_t written_ms = operation->expires_store_ms - EXPIRY_MARGIN_MS - latest_ms;

		if (written_ms < lasts_ms)
			lasts_ms = written_ms;
	}
	return operation->sent_boot_ns + lasts_ms * NS_PER_MS - drift_ns(operation->seconds);
}

static void remember(struct pending_writes *pending, const char *lease_id)
{
	if (pending->mutex)
		pthread_mutex_lock(pending->mutex);
	lease_ids_add(pending->ids, lease_id);
	if (pending->mutex)
		pthread_mutex_unlock(pending->mutex);
	if (pending->on_id)
		pending->on_id(pending->on_id_arg, lease_id);
}

static void forget(struct pending_writes *pending, const char *lease_id)
{
	if (pending->mutex)
		pthread_mutex_lock(pending->mutex);
	lease_ids_drop(pending->ids, lease_id);
	if (pending->mutex)
		pthread_mutex_unlock(pending->mutex);
}

/* Some servers (dynalite) do not show the item with a failed condition. */
static awsflock_code look_up_item(struct pending_writes *pending, struct store_reply *reply, awsflock_error *error)
{
	struct store_reply looked = { 0 };
	struct store *store = pending->store;
	awsflock_code code = store->ops->read(store, pending->lock, true, pending->give_up_boot_ns, &looked, error);

	if (code == AWSFLOCK_OK) {
		lock_item_clear(&reply->item);
		reply->item = looked.item;
		reply->has_item = looked.has_item;
		reply->item_unknown = false;
		reply->received_boot_ns = looked.received_boot_ns;
		reply->has_store_time = looked.has_store_time;
		reply->store_time_ms = looked.store_time_ms;
		return AWSFLOCK_OK;
	}
	store_reply_clear(&looked);
	return code;
}

static void fill_in(struct pending_writes *pending, const struct operation *operation, struct store_write *write)
{
	write->lock = pending->lock;
	write->lease_id = operation->lease_id;
	write->lease_duration = operation->seconds;
	write->expires_store_ms = operation->expires_store_ms;
	write->expiration_time = operation->expiration_time;
	write->now_time = operation->now_time;
	write->give_up_boot_ns = pending->give_up_boot_ns;
	if (write->fence > pending->highest_fence)
		pending->highest_fence = write->fence;

	int64_t until_ns = operation->sent_boot_ns + operation->seconds * NS_PER_S + EXPIRY_MARGIN_MS * NS_PER_MS;

	if (until_ns > pending->may_hold_until_boot_ns)
		pending->may_hold_until_boot_ns = until_ns;
}

static bool shows_own_id(const struct operation *operation, const struct store_reply *reply)
{
	return reply->has_item && strcmp(reply->item.lease_id, operation->lease_id) == 0;
}

/* Whether the lock can never stand under OPERATION's id.  A proxy may deliver a request twice and hand on the answer
 * to the second copy, so that no answer tells what the first one did; but what was renewed or reclaimed under
 * another id, which never comes back, cannot be any more.  A second copy of an acquire may find the lock free. */
static bool is_without_effect(const struct operation *operation, const struct store_write *write,
			      const struct store_reply *reply, awsflock_code code)
{
	if (!reply->sent)
		return true;
	return code == AWSFLOCK_OK && reply->outcome == STORE_REFUSED && !reply->attempt_unknown &&
	       write->kind != STORE_ACQUIRE && !shows_own_id(operation, reply);
}

static void note_outcome(struct pending_writes *pending, const struct operation *operation,
			 const struct store_write *write, const struct store_reply *reply, awsflock_code code)
{
	bool unknown = code != AWSFLOCK_OK ? reply->maybe_applied : reply->attempt_unknown;

	if (is_without_effect(operation, write, reply, code))
		forget(pending, operation->lease_id);
	/* A copy that is still on its way comes after anything that gives it back. */
	if (unknown)
		pending->left_behind = true;
	if (unknown || reply->item_unknown || shows_own_id(operation, reply))
		pending->may_hold = true;
}

awsflock_code operation_send(struct pending_writes *pending, const struct operation *operation,
			     struct store_write *write, struct store_reply *reply, awsflock_error *error)
{
	struct store *store = pending->store;
	const char *accepted[LEASE_IDS_MAX];

	if (!write->accepted) {
		write->accepted_count = lease_ids_list(pending->ids, accepted);
		write->accepted = accepted;
	}
	remember(pending, operation->lease_id);
	fill_in(pending, operation, write);

	awsflock_code code = store->ops->write(store, write, reply, error);

	if (write->accepted == accepted)
		write->accepted = NULL;
	if (code == AWSFLOCK_OK && reply->outcome == STORE_REFUSED && reply->item_unknown)
		code = look_up_item(pending, reply, error);
	note_outcome(pending, operation, write, reply, code);
	if (code != AWSFLOCK_OK && error)
		error->outcome_unknown = reply->maybe_applied;
	return code;
}

bool operation_took_effect(const struct operation *operation, const struct store_reply *reply)
{
	return shows_own_id(operation, reply) && !reply->item.released;
}

static int64_t granted_ms(const struct operation *operation, const struct store_reply *reply)
{
	int64_t asked_ms = operation->seconds * MS_PER_S;
	int64_t left_ms = reply->item.expires_store_ms - EXPIRY_MARGIN_MS - reply->store_time_ms;

	return left_ms < asked_ms ? left_ms : asked_ms;
}

/* The written expiry lies outside of what a right clock would have written, whichever time of the interval is the
 * true one.  Too early, a peer could reclaim a lease that is still believed; too late, a crash would keep the lock
 * for longer than was asked for. */
static bool expiry_is_wrong(const struct store *store, const struct operation *operation,
			    const struct store_reply *reply)
{
	int64_t asked_ms = operation->seconds * MS_PER_S + EXPIRY_MARGIN_MS;
	int64_t earliest_ms = server_time_earliest_ms(&store->time, operation->sent_boot_ns);
	int64_t latest_ms = server_time_latest_ms(&store->time, operation->sent_boot_ns);

	return reply->item.expires_store_ms < earliest_ms + asked_ms ||
	       reply->item.expires_store_ms > latest_ms + asked_ms + MS_PER_S;
}

/* The lease lost no more than its reply took, and than the time was uncertain by when it was written, give or take
 * the second that Date is cut to. */
static bool network_explains(const struct operation *operation, const struct store_reply *reply)
{
	int64_t took_ms = (reply->received_boot_ns - operation->sent_boot_ns) / NS_PER_MS;

	return granted_ms(operation, reply) >= operation->seconds * MS_PER_S - LEASE_LOSS_TOLERATED_MS - MS_PER_S -
						       took_ms - operation->time_width_ms;
}

/* A grant whose token lies behind the server's time, as it was when the token was chosen, could be overtaken by one
 * of a right clock that was deleted meanwhile.  An item without a token has lost it to Python 0.2.0's renewal. */
static bool fence_lags(const struct store *store, const struct operation *operation,
		       const struct store_reply *reply)
{
	int64_t earliest_ms = server_time_earliest_ms(&store->time, operation->fence_boot_ns);

	if (reply->item.fence == 0)
		return true;
	earliest_ms -= FENCE_LAG_TOLERATED_MS;
	return operation->is_grant && !store->local && earliest_ms > 0 && reply->item.fence < (uint64_t)earliest_ms;
}

static void grant_from(const struct operation *operation, const struct store_reply *reply, struct grant *grant)
{
	int64_t lasts_ns = granted_ms(operation, reply) * NS_PER_MS - drift_ns(operation->seconds);

	memcpy(grant->lease_id, operation->lease_id, sizeof(grant->lease_id));
	grant->sent_boot_ns = operation->sent_boot_ns;
	grant->deadline_boot_ns = operation->sent_boot_ns + lasts_ns;
	grant->deadline_real_ns = operation->sent_real_ns + lasts_ns;
	grant->expiration_time = reply->item.expiration_time;
	grant->fence = reply->item.fence;
}

awsflock_code operation_no_store_time(const struct store *store, awsflock_error *error)
{
	return error_set(
		error, AWSFLOCK_PROTOCOL,
		"the reply of %s has no Date header, without which no lease can be judged: check what stands "
		"between this machine and DynamoDB",
		store->where);
}

/* A fence that cannot lag behind the server's time whatever that is, and is above ABOVE. */
static awsflock_code leading_fence(struct pending_writes *pending, const struct operation *operation,
				   uint64_t above, uint64_t *fence, awsflock_error *error)
{
	const struct store *store = pending->store;
	int64_t latest_ms = server_time_latest_ms(&store->time, operation->sent_boot_ns);

	if (!store->local && latest_ms > 0 && (uint64_t)latest_ms > above)
		above = (uint64_t)latest_ms;
	return operation_fence(pending, operation, above, fence, error);
}

/* Writes the times anew, now that the server has told its own, and a fence where that lagged. */
static awsflock_code correct(struct pending_writes *pending, struct operation *operation, bool new_fence,
			     struct store_reply *reply, awsflock_error *error)
{
	struct store_write write = { .kind = STORE_RENEW };
	uint64_t above = pending->highest_fence;
	bool is_grant = operation->is_grant;
	int64_t fence_boot_ns = operation->fence_boot_ns;
	awsflock_code code;

	if (reply->item.fence > above)
		above = reply->item.fence;
	code = operation_begin(pending, operation->seconds, operation, error);
	operation->is_grant = is_grant;
	if (!new_fence)
		operation->fence_boot_ns = fence_boot_ns;
	if (code == AWSFLOCK_OK && new_fence)
		code = leading_fence(pending, operation, above, &write.fence, error);
	if (code != AWSFLOCK_OK)
		return code;
	store_reply_clear(reply);
	code = operation_send(pending, operation, &write, reply, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (!operation_took_effect(operation, reply))
		return describe_lost(pending->store, pending->lock, reply->has_item ? &reply->item : NULL, error);
	return AWSFLOCK_OK;
}

awsflock_code operation_confirm(struct pending_writes *pending, struct operation *operation,
				struct store_reply *reply, struct grant *grant, awsflock_error *error)
{
	struct store *store = pending->store;
	awsflock_code code = AWSFLOCK_OK;

	for (int corrections = 0; code == AWSFLOCK_OK; corrections++) {
		if (!reply->has_store_time)
			return operation_no_store_time(store, error);

		bool lags = fence_lags(store, operation, reply);
		bool first = corrections == 0;
		bool wrong = expiry_is_wrong(store, operation, reply);
		bool short_lease =
			granted_ms(operation, reply) < operation->seconds * MS_PER_S - LEASE_LOSS_TOLERATED_MS;
		bool unexplained = short_lease && !network_explains(operation, reply);

		/* What was written by the server's own time is at worst imprecise: by as much as the network is
		 * slow, as it would be again, and the deadline goes by what was written.  Unless a reply told a
		 * wrong time, which the next one contradicts. */
		if (!lags && !(first && (wrong || short_lease)) && !(corrections == 1 && unexplained))
			break;
		if (corrections == CORRECTIONS_MAX)
			return error_set(
				error, AWSFLOCK_PROTOCOL,
				"%s answers with times that contradict each other: no lease can be trusted to it",
				store->where);
		code = correct(pending, operation, lags, reply, error);
	}
	if (code != AWSFLOCK_OK)
		return code;
	grant_from(operation, reply, grant);
	if (runtime_boot_ns(store->runtime) >= grant->deadline_boot_ns)
		return error_set(
			error, AWSFLOCK_TIMED_OUT,
			"'%s' was granted too late to be used: the answer took longer than the lease lasts",
			pending->lock);
	return AWSFLOCK_OK;
}

/* The expiration that TOMBSTONE must have: out of TTL's reach while its fence lies ahead of the server's time, else a
 * day old, give or take half of one for the clock that it was written by. */
static int64_t settled_expiration_time(struct pending_writes *pending, const struct lock_item *tombstone)
{
	struct runtime *runtime = pending->store->runtime;
	int64_t now_s =
		server_time_guess_ms(&pending->store->time, runtime_boot_ns(runtime), runtime_real_ns(runtime)) /
		MS_PER_S;

	if (fence_is_ahead(pending, tombstone->fence))
		return TOMBSTONE_KEPT_TIME;
	if (tombstone->expiration_time > now_s - SECONDS_OF_A_DAY / 2)
		return now_s - SECONDS_OF_A_DAY;
	return tombstone->expiration_time;
}

void pending_writes_settle(struct pending_writes *pending, const struct operation *operation,
			   const struct store_reply *released)
{
	struct store *store = pending->store;
	const char *tombstone_id = released->item.lease_id;
	struct store_write write = {
		.kind = STORE_SETTLE,
		.lock = pending->lock,
		.lease_id = tombstone_id,
		.accepted = &tombstone_id,
		.accepted_count = 1,
		.give_up_boot_ns = pending->give_up_boot_ns,
	};
	struct store_reply reply = { 0 };
	awsflock_error error;

	if (!shows_own_id(operation, released) || store->local)
		return;
	write.expiration_time = settled_expiration_time(pending, &released->item);
	write.expires_store_ms = write.expiration_time * MS_PER_S;
	if (released->item.expiration_time == write.expiration_time)
		return;
	if (store->ops->write(store, &write, &reply, &error) != AWSFLOCK_OK)
		runtime_log(store->runtime, AWSFLOCK_LOG_NOTICE,
			    "'%s' was released, but its tombstone keeps a wrong expiration: %s", pending->lock,
			    error.message);
	store_reply_clear(&reply);
}

void pending_writes_give_back(struct pending_writes *pending, bool at_last)
{
	struct store *store = pending->store;
	struct runtime *runtime = store->runtime;
	struct store_reply reply = { 0 };
	struct operation operation;
	struct store_write write = { .kind = STORE_RELEASE };
	struct lease_ids tombstone_ids = { .count = 0 };
	const char *accepted[LEASE_IDS_MAX];
	struct pending_writes last = *pending;
	awsflock_error error;
	bool was_ignored = runtime->stop_ignored;

	if (!pending->may_hold)
		return;
	runtime->stop_ignored = was_ignored || at_last;
	write.accepted_count = lease_ids_list(pending->ids, accepted);
	write.accepted = accepted;
	last.ids = &tombstone_ids; /* the tombstone's id is nobody's lease */
	last.mutex = NULL;
	last.on_id = NULL;
	last.give_up_boot_ns = runtime_boot_ns(runtime) + GIVE_BACK_NS;
	if (pending->give_up_boot_ns < last.give_up_boot_ns)
		last.give_up_boot_ns = pending->give_up_boot_ns;

	awsflock_code code = operation_begin(&last, 0, &operation, &error);

	if (code == AWSFLOCK_OK)
		code = operation_fence(&last, &operation, pending->highest_fence, &write.fence, &error);
	if (code == AWSFLOCK_OK) {
		operation_make_tombstone(&last, &operation, write.fence, &write);
		code = operation_send(&last, &operation, &write, &reply, &error);
	}
	if (code == AWSFLOCK_OK) {
		pending_writes_settle(&last, &operation, &reply);
		pending->ids->count = 0;
		pending->may_hold = false;
	} else {
		pending->left_behind = true;
		if (at_last)
			runtime_log(runtime, AWSFLOCK_LOG_WARNING,
				    "'%s' may remain held without a holder until its lease expires: cannot release "
				    "it: %s",
				    pending->lock, error.message);
	}
	store_reply_clear(&reply);
	runtime->stop_ignored = was_ignored;
}
