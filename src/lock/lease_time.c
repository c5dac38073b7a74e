/* See lease_time.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/lease_time.h"

#include "base/lease_end.h"
#include "base/runtime.h"
#include "lock/operation.h"

/* The store's time is known to a second or two, so that a lease could seem to have more left than it lasts. */
#define STORE_TIME_WIDTH_MS INT64_C(3000)

_Static_assert(LEASE_END_SPARE_S *MS_PER_S == EXPIRY_MARGIN_MS + MS_PER_S,
	       "an expiration is rounded up to a second");

int64_t lease_grace_ms(const struct lock_item *item)
{
	int64_t drift_ms = item->lease_duration * MS_PER_S / RECLAIM_GRACE_DIVISOR;

	return drift_ms > RECLAIM_GRACE_MS ? drift_ms : RECLAIM_GRACE_MS;
}

bool lease_is_over(struct store *store, const struct lock_item *item)
{
	if (item->released)
		return true;
	if (!store->time.known)
		return false;
	return server_time_earliest_ms(&store->time, runtime_boot_ns(store->runtime)) >
	       item->expires_store_ms + lease_grace_ms(item);
}

int64_t lease_over_boot_ns(struct store *store, const struct lock_item *item)
{
	int64_t now_ns = runtime_boot_ns(store->runtime);

	if (!store->time.known)
		return INT64_MAX;

	int64_t left_ms =
		item->expires_store_ms + lease_grace_ms(item) - server_time_earliest_ms(&store->time, now_ns) + 1;

	if (item->released || left_ms <= 0)
		return now_ns;
	if (left_ms > (INT64_MAX - now_ns) / NS_PER_MS)
		return INT64_MAX;
	return now_ns + left_ms * NS_PER_MS;
}

int64_t lease_remaining_seconds(struct store *store, const struct lock_item *item)
{
	int64_t now_ns = runtime_boot_ns(store->runtime), real_ns = runtime_real_ns(store->runtime);
	int64_t left_ms = item->expires_store_ms - server_time_guess_ms(&store->time, now_ns, real_ns);
	/* What awsflock writes lies behind what the holder may use; 0.2.0, which knows no fence, uses all of it. */
	int64_t usable_ms = left_ms - (item->fence != 0 ? EXPIRY_MARGIN_MS : 0);
	int64_t surplus_ms = usable_ms - item->lease_duration * MS_PER_S;

	if (left_ms <= 0)
		return left_ms / MS_PER_S;
	if (usable_ms <= 0)
		return 0;
	return surplus_ms > 0 && surplus_ms <= STORE_TIME_WIDTH_MS ? item->lease_duration : usable_ms / MS_PER_S;
}
