/* The public functions that look at locks.  SPDX-License-Identifier: Apache-2.0 */
#include "lib/status.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/store_opening.h"
#include "lock/lease_time.h"

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

awsflock_status status_of_item(struct store *store, const struct lock_item *item)
{
	const struct holder *holder = &item->holder;

	return (awsflock_status){
		.lock = or_empty(item->lock_id),
		.held = !lease_is_over(store, item),
		.lease_id = item->released ? "" : or_empty(item->lease_id),
		.owner = or_empty(item->owner),
		.fence = item->fence,
		.lease_duration = item->lease_duration,
		.expiration_time = item->expiration_time,
		.acquired_time = item->acquired_time,
		.remaining_seconds = lease_remaining_seconds(store, item),
		.user = or_empty(holder->user),
		.host = or_empty(holder->host),
		.tty = or_empty(holder->tty),
		.service = or_empty(holder->service),
		.rhost = or_empty(holder->rhost),
		.purpose = or_empty(holder->purpose),
		.pid = holder->pid,
		.broken_by = or_empty(item->broken_by),
		.broken_time = item->broken_time,
	};
}

/* What awsflock_inspect() hands out: the view, and what it looks at.  The view comes first, so that its address is
 * the whole's. */
struct owned_status {
	awsflock_status status;
	struct lock_item item;
};

awsflock_code awsflock_inspect(awsflock *context, const char *lock, awsflock_status **out, awsflock_error *error)
{
	struct owned_status *owned = NULL;
	struct store_reply reply = { 0 };
	int64_t give_up_ns = runtime_boot_ns(&context->runtime) + STORE_ONE_TRY_MS * NS_PER_MS;
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code == AWSFLOCK_OK)
		code = context->store->ops->read(context->store, lock, true, give_up_ns, &reply, error);
	if (code != AWSFLOCK_OK)
		return code;
	owned = calloc(1, sizeof(*owned));
	if (!owned)
		goto no_memory;
	owned->item = reply.item;
	memset(&reply.item, 0, sizeof(reply.item));
	if (!reply.has_item) {
		owned->item.released = true;
		owned->item.lock_id = strdup(lock);
		if (!owned->item.lock_id)
			goto no_memory;
	}
	owned->status = status_of_item(context->store, &owned->item);
	*out = (awsflock_status *)owned;
	return AWSFLOCK_OK;

no_memory:
	store_reply_clear(&reply);
	free(owned);
	return error_out_of_memory(error);
}

void awsflock_status_free(awsflock_status **status)
{
	struct owned_status *owned;

	if (!status || !*status)
		return;
	owned = (struct owned_status *)*status;
	lock_item_clear(&owned->item);
	free(owned);
	*status = NULL;
}

struct listing {
	awsflock *context;
	awsflock_list_fn *each;
	void *arg;
	size_t damaged_count;
};

static bool list_one(void *arg, const struct lock_item *item, const char *damaged)
{
	struct listing *listing = arg;

	if (damaged) {
		listing->damaged_count++;
		runtime_log(&listing->context->runtime, AWSFLOCK_LOG_WARNING, "%s", damaged);
		return true;
	}

	awsflock_status status = status_of_item(listing->context->store, item);

	return listing->each(listing->arg, &status);
}

awsflock_code awsflock_list(awsflock *context, const char *prefix, awsflock_list_fn *each, void *arg,
			    awsflock_error *error)
{
	struct listing listing = { .context = context, .each = each, .arg = arg };
	awsflock_code code = AWSFLOCK_OK;

	error_clear(error);
	if (prefix && *prefix)
		code = text_check_lock_name(prefix, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code == AWSFLOCK_OK)
		code = context->store->ops->list(context->store, prefix ? prefix : "", list_one, &listing, error);
	if (code == AWSFLOCK_OK && listing.damaged_count > 0)
		code = error_set(error, AWSFLOCK_BAD_ITEM, "%zu of the entries in %s cannot be read",
				 listing.damaged_count, context->store->where);
	return code;
}
