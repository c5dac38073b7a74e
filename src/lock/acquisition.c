/* See acquisition.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/acquisition.h"

#include <string.h>

#include "base/error.h"
#include "base/runtime.h"
#include "lock/describe.h"
#include "lock/lease_time.h"

/* Nobody watches a lease for a year. */
#define WATCHED_SECONDS_MAX INT64_C(31536000)

void acquisition_init(struct acquisition *acquisition, struct store *store, const struct lease_request *request)
{
	memset(acquisition, 0, sizeof(*acquisition));
	acquisition->request = request;
	acquisition->pending = pending_writes_on(store, request->lock, &acquisition->ids);
	acquisition->pending.on_id = request->on_id;
	acquisition->pending.on_id_arg = request->on_id_arg;
}

void acquisition_clear(struct acquisition *acquisition)
{
	lock_item_clear(&acquisition->seen);
	acquisition->has_seen = false;
}

/* Each renewal changes the lease id.  One that is no UUID is none of ours, and never watched for long. */
static void watch_lease(struct acquisition *acquisition, int64_t seen_boot_ns)
{
	const char *lease_id = acquisition->has_seen ? acquisition->seen.lease_id : "";
	size_t length = strlen(lease_id);

	if (length < sizeof(acquisition->watched_id) && strcmp(acquisition->watched_id, lease_id) == 0)
		return;
	if (length >= sizeof(acquisition->watched_id))
		length = 0;
	memcpy(acquisition->watched_id, lease_id, length);
	acquisition->watched_id[length] = '\0';
	acquisition->watched_since_boot_ns = seen_boot_ns;
}

static bool seen_is_ours(const struct acquisition *acquisition)
{
	return acquisition->has_seen && !acquisition->seen.released &&
	       lease_ids_contain(&acquisition->ids, acquisition->seen.lease_id);
}

void acquisition_see(struct acquisition *acquisition, struct store_reply *reply)
{
	lock_item_clear(&acquisition->seen);
	acquisition->has_seen = reply->has_item;
	acquisition->seen = reply->item;
	memset(&reply->item, 0, sizeof(reply->item));
	reply->has_item = false;
	if (seen_is_ours(acquisition))
		acquisition->pending.may_hold = true; /* a second copy of a refused try found it free */
	watch_lease(acquisition, reply->received_boot_ns);
}

/* Later than a right expiry comes, even if it was seen as soon as it was written.  A lease of Python 0.2.0, which
 * has no fence, is judged by that one's own rule. */
static int64_t outlasted_boot_ns(const struct acquisition *acquisition)
{
	const struct lock_item *seen = &acquisition->seen;

	if (acquisition->pending.store->local || seen->fence == 0 || seen->lease_duration <= 0 ||
	    seen->lease_duration > WATCHED_SECONDS_MAX)
		return INT64_MAX;

	int64_t lasts_ms = seen->lease_duration * MS_PER_S + EXPIRY_MARGIN_MS + MS_PER_S;

	return acquisition->watched_since_boot_ns + (lasts_ms + lease_grace_ms(seen)) * NS_PER_MS;
}

bool acquisition_can_take_over(const struct acquisition *acquisition)
{
	struct store *store = acquisition->pending.store;

	return lease_is_over(store, &acquisition->seen) ||
	       runtime_boot_ns(store->runtime) >= outlasted_boot_ns(acquisition);
}

int64_t acquisition_over_boot_ns(const struct acquisition *acquisition)
{
	int64_t over_ns = lease_over_boot_ns(acquisition->pending.store, &acquisition->seen);
	int64_t outlasted_ns = outlasted_boot_ns(acquisition);

	return over_ns < outlasted_ns ? over_ns : outlasted_ns;
}

/* A single reply with a wrong time would evict a holder.  Where this machine's own clock says that the lease runs,
 * another reply must agree with the first: bounds that contradict each other are joined, so that it can object. */
static bool reclaim_is_doubtful(const struct acquisition *acquisition)
{
	struct store *store = acquisition->pending.store;
	int64_t real_ms = runtime_real_ns(store->runtime) / NS_PER_MS;

	return !store->local && !acquisition->looked_again &&
	       real_ms <= acquisition->seen.expires_store_ms + lease_grace_ms(&acquisition->seen);
}

/* Fetches that other reply.  What it shows is judged by the next write. */
static awsflock_code look_again(struct acquisition *acquisition, awsflock_error *error)
{
	struct store *store = acquisition->pending.store;
	struct store_reply reply = { 0 };
	awsflock_code code = store->ops->read(store, acquisition->request->lock, true,
					      acquisition->pending.give_up_boot_ns, &reply, error);

	if (code == AWSFLOCK_OK && !reply.has_store_time)
		code = operation_no_store_time(store, error);
	if (code == AWSFLOCK_OK) {
		acquisition_see(acquisition, &reply);
		acquisition->looked_again = true;
	}
	store_reply_clear(&reply);
	return code;
}

/* Which write fits what was last seen, and the fence that it carries. */
static awsflock_code choose_write(struct acquisition *acquisition, const struct operation *operation,
				  const char **seen_id, struct store_write *write, awsflock_error *error)
{
	const struct lock_item *seen = acquisition->has_seen ? &acquisition->seen : NULL;
	/* A late copy of an earlier try may still come, even after it was given back: what this one leaves,
	 * released or not, keeps it out. */
	uint64_t above = acquisition->pending.highest_fence;

	*write = (struct store_write){
		.kind = STORE_ACQUIRE,
		.owner = acquisition->request->owner,
		.holder = acquisition->request->holder,
	};
	if (seen && seen->fence > above)
		above = seen->fence;
	if (seen_is_ours(acquisition)) {
		write->kind = STORE_RENEW; /* an earlier try whose answer was lost */
	} else if (seen && (!seen->released || seen->fence == 0) && acquisition_can_take_over(acquisition)) {
		write->kind = STORE_RECLAIM;
		*seen_id = seen->lease_id;
		write->accepted = seen_id;
		write->accepted_count = 1;
	}
	return operation_fence(&acquisition->pending, operation, above, &write->fence, error);
}

static awsflock_code grant_to_lease(struct acquisition *acquisition, struct operation *operation,
				    struct store_reply *reply, struct lease **out, awsflock_error *error)
{
	const struct lease_request *request = acquisition->request;
	struct grant grant;
	awsflock_code code = operation_confirm(&acquisition->pending, operation, reply, &grant, error);

	if (code == AWSFLOCK_OK)
		code = lease_from_grant(acquisition->pending.store, request->lock, &grant, request->seconds, out,
					error);
	if (code != AWSFLOCK_OK) {
		pending_writes_give_back(&acquisition->pending, false);
		if (code == AWSFLOCK_LOST) { /* a peer, or TTL, came in between the grant and its correction */
			acquisition_see(acquisition, reply);
			code = AWSFLOCK_OK;
		}
		return code;
	}
	(*out)->on_id = request->on_id;
	(*out)->on_id_arg = request->on_id_arg;
	acquisition->ids.count = 0;
	acquisition->pending.may_hold = false;
	return AWSFLOCK_OK;
}

/* AWSFLOCK_OK with *OUT NULL: refused, and acquisition->seen tells by whom. */
static awsflock_code try_one_write(struct acquisition *acquisition, struct lease **out, awsflock_error *error)
{
	struct pending_writes *pending = &acquisition->pending;
	struct store *store = pending->store;
	struct operation operation;
	struct store_write write;
	struct store_reply reply = { 0 };
	const char *seen_id = NULL;
	awsflock_code code = operation_begin(pending, acquisition->request->seconds, &operation, error);

	if (code == AWSFLOCK_OK)
		code = choose_write(acquisition, &operation, &seen_id, &write, error);
	if (code != AWSFLOCK_OK)
		return code;
	if (write.kind == STORE_RECLAIM && !acquisition->seen.released && reclaim_is_doubtful(acquisition))
		return look_again(acquisition, error);
	operation.is_grant = true;
	code = operation_send(pending, &operation, &write, &reply, error);
	if (code == AWSFLOCK_CLOCK_SKEW && !pending->skew_corrected) {
		pending->skew_corrected = true;
		code = AWSFLOCK_OK; /* the server's time is known now: a new operation */
	} else if (code == AWSFLOCK_OK && operation_took_effect(&operation, &reply)) {
		code = grant_to_lease(acquisition, &operation, &reply, out, error);
	} else if (code == AWSFLOCK_OK && !reply.has_store_time) {
		code = operation_no_store_time(store, error);
	} else if (code == AWSFLOCK_OK) {
		acquisition_see(acquisition, &reply);
	}
	store_reply_clear(&reply);
	return code;
}

awsflock_code acquisition_try(struct acquisition *acquisition, struct lease **out, awsflock_error *error)
{
	struct store *store = acquisition->pending.store;
	struct lease *lease = NULL;

	acquisition->looked_again = false;
	for (int writes = 0; writes < WRITES_PER_TRY; writes++) {
		awsflock_code code = try_one_write(acquisition, &lease, error);

		if (code == AWSFLOCK_HELD)
			break;
		if (code != AWSFLOCK_OK)
			return code;
		if (lease) {
			*out = lease;
			return AWSFLOCK_OK;
		}
		if (acquisition->has_seen && !seen_is_ours(acquisition) && !acquisition_can_take_over(acquisition))
			break;
	}
	if (!acquisition->has_seen)
		return error_set(error, AWSFLOCK_HELD,
				 "'%s' changes hands faster than it can be looked at: try again",
				 acquisition->request->lock);
	return describe_held(store, &acquisition->seen, error);
}
