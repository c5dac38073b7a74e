/* The protocol's writes on a local record.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/change.h"

#include <stdlib.h>
#include <string.h>

static bool is_accepted(const struct lock_item *item, const struct store_write *write, size_t count)
{
	for (size_t i = 0; i < count && i < write->accepted_count; i++)
		if (strcmp(item->lease_id, write->accepted[i]) == 0)
			return true;
	return false;
}

bool local_change_may(const struct lock_item *item, const struct store_write *write)
{
	bool ours = item && !item->released && is_accepted(item, write, write->accepted_count);

	switch (write->kind) {
	case STORE_ACQUIRE:
		return !item || (item->released && item->fence < write->fence);
	case STORE_RECLAIM:
	case STORE_SETTLE:
		return item && is_accepted(item, write, 1);
	case STORE_RENEW:
		return ours && (!write->only_if_longer || item->expires_store_ms <= write->expires_store_ms);
	case STORE_RELEASE:
	case STORE_DELETE:
	case STORE_BREAK:
		return ours;
	}
	return false;
}

/* False where memory ran out. */
static bool set_text(char **out, const char *text)
{
	char *copy = NULL;

	if (text) {
		copy = strdup(text);
		if (!copy)
			return false;
	}
	free(*out);
	*out = copy;
	return true;
}

static void set_expiry(struct lock_item *item, const struct store_write *write)
{
	item->expires_store_ms = write->expires_store_ms;
	item->expiration_time = write->expiration_time;
}

static bool set_broken(struct lock_item *item, const struct store_write *write)
{
	item->broken_time = write->now_time;
	return set_text(&item->broken_by, write->broken_by);
}

static bool make_granted(struct local_record *record, const struct store_write *write)
{
	struct lock_item *item = &record->item;

	local_record_clear(record);
	set_expiry(item, write);
	item->lease_duration = write->lease_duration;
	item->fence = write->fence;
	item->acquired_time = write->now_time;
	return set_text(&item->lock_id, write->lock) && set_text(&item->lease_id, write->lease_id) &&
	       set_text(&item->owner, write->owner) &&
	       (!write->holder || holder_copy(write->holder, &item->holder, NULL) == AWSFLOCK_OK);
}

static bool make_renewed(struct lock_item *item, const struct store_write *write)
{
	set_expiry(item, write);
	item->lease_duration = write->lease_duration;
	if (write->fence != 0)
		item->fence = write->fence;
	return set_text(&item->lease_id, write->lease_id) &&
	       (!write->owner || set_text(&item->owner, write->owner));
}

static bool make_released(struct local_record *record, const struct store_write *write)
{
	struct lock_item *item = &record->item;

	set_expiry(item, write);
	item->fence = (item->fence != 0 ? item->fence : write->fence) + 1;
	item->released = true;
	record->released_time = write->now_time;
	item->acquired_time = 0;
	holder_clear(&item->holder);
	return set_text(&item->lease_id, write->lease_id) && (!write->broken_by || set_broken(item, write));
}

bool local_change_apply(struct local_record *record, const struct store_write *write)
{
	switch (write->kind) {
	case STORE_ACQUIRE:
	case STORE_RECLAIM:
		return make_granted(record, write);
	case STORE_RENEW:
		return make_renewed(&record->item, write);
	case STORE_RELEASE:
		return make_released(record, write);
	case STORE_BREAK:
		return set_text(&record->item.lease_id, write->lease_id) && set_broken(&record->item, write);
	case STORE_SETTLE:
		set_expiry(&record->item, write);
		return true;
	case STORE_DELETE:
		break;
	}
	return true;
}
