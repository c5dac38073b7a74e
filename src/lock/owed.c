/* SPDX-License-Identifier: Apache-2.0
 *
 * See owed.h. */
#include "lock/owed.h"

#include "base/error.h"

void owed_take_over(struct owed *owed, struct pending_writes *pending)
{
	*owed = (struct owed){ .ids = { .count = 0 } };
	if (!pending->may_hold)
		return;
	owed->ids = *pending->ids;
	owed->highest_fence = pending->highest_fence;
	owed->until_boot_ns = pending->may_hold_until_boot_ns;
	pending->ids->count = 0;
	pending->may_hold = false;
}

awsflock_code owed_give_back(struct owed *owed, struct store *store, const char *lock, awsflock_error *error)
{
	struct pending_writes pending = pending_writes_on(store, lock, &owed->ids);

	pending.may_hold = owed->ids.count > 0;
	pending.highest_fence = owed->highest_fence;
	pending_writes_give_back(&pending, true);
	if (pending.may_hold)
		return error_set(error, AWSFLOCK_UNREACHABLE, "'%s' could not be given back to %s", lock,
				 store->where);
	return AWSFLOCK_OK;
}
