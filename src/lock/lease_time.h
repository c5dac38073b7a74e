/* SPDX-License-Identifier: Apache-2.0
 *
 * How much time the lease in an item has left, to those who look at it. */
#ifndef LOCK_LEASE_TIME_H
#define LOCK_LEASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "lock/store.h"

/* What an observer waits beyond a written expiry before it reclaims: the larger of this and a thousandth of the
 * lease, which pays for the drift of two clocks. */
#define RECLAIM_GRACE_MS INT64_C(5000)
#define RECLAIM_GRACE_DIVISOR 1000

/* True where nobody can believe in ITEM's lease any more, by the earliest that the store's time can be. */
bool lease_is_over(struct store *store, const struct lock_item *item);
/* The seconds of ITEM's lease that its holder may still use, no more than the lease lasts unless a wrong clock wrote its
 * end; 0 in those that it has to spare; negative once its expiration has passed. */
int64_t lease_remaining_seconds(struct store *store, const struct lock_item *item);
/* CLOCK_BOOTTIME at which lease_is_over() will turn true, as far as can be known; INT64_MAX: not before a reply. */
int64_t lease_over_boot_ns(struct store *store, const struct lock_item *item);

/* What an observer waits beyond ITEM's written expiry. */
int64_t lease_grace_ms(const struct lock_item *item);

#endif
