/* What tests of the protocol stand on: one lock, a table in memory, and a clock that the test moves.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_LOCK_WORLD_H
#define TESTS_UNIT_LOCK_WORLD_H

#include "fake_store.h"
#include "lock/acquisition.h"
#include "lock/lease.h"

#define LOCK "prod-deploy"
#define LEASE_S 60

struct world {
	struct fake_runtime runtime;
	struct fake_store store;
	struct lease *lease, *other; /* freed with the world */
	awsflock_error error;
	int64_t start;
	unsigned notices;
	int64_t free_at_boot_ns; /* when the other lease's holder gives it back, if ever */
};

void world_init(struct world *world);
void world_clear(struct world *world);

/* One try at the lock in STORE, which gives back what it may have taken unseen. */
awsflock_code world_try_in(struct world *world, struct store *store, int64_t seconds, struct lease **out);
awsflock_code world_try(struct world *world, struct lease **out);

void world_advance(struct world *world, int64_t seconds);
/* The lock's item, or NULL. */
struct lock_item *world_item(struct world *world);

#endif
