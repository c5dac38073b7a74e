/* See lock_world.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock_world.h"

#include <string.h>

void world_init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	fake_runtime_init(&world->runtime);
	fake_store_init(&world->store, &world->runtime);
	world->store.step_arg = world;
}

void world_clear(struct world *world)
{
	lease_free(&world->lease);
	lease_free(&world->other);
	fake_store_clear(&world->store);
}

awsflock_code world_try_in(struct world *world, struct store *store, int64_t seconds, struct lease **out)
{
	struct lease_request request = { .lock = LOCK, .seconds = seconds, .owner = "me" };
	struct acquisition acquisition;

	acquisition_init(&acquisition, store, &request);
	awsflock_code code = acquisition_try(&acquisition, out, &world->error);

	if (code != AWSFLOCK_OK)
		pending_writes_give_back(&acquisition.pending, true);
	acquisition_clear(&acquisition);
	return code;
}

awsflock_code world_try(struct world *world, struct lease **out)
{
	return world_try_in(world, &world->store.store, LEASE_S, out);
}

void world_advance(struct world *world, int64_t seconds)
{
	world->runtime.boot_ns += seconds * NS_PER_S;
}

struct lock_item *world_item(struct world *world)
{
	return fake_store_item(&world->store, LOCK);
}
