/* SPDX-License-Identifier: Apache-2.0
 *
 * awsflock 0.2.0 in Python, as a peer on the same table.  Its rules: acquire is a consistent GetItem, and a PutItem
 * where there is no item, or where by its own clock the expiry is more than five seconds past (under the lease id
 * that it saw); renew is a PutItem under its own lease id; release is a DeleteItem. */
#include "observer.h"
#include "world.h"

#define TOLERANCE_MS INT64_C(5000)

static int64_t own_ms(const struct actor *actor)
{
	return machine_real_ns(actor) / NS_PER_MS;
}

static bool ask(struct actor *actor, struct request *request, struct answer *answer)
{
	struct store_reply reply = { 0 };

	return network_call(actor, request, INT64_MAX, &reply, answer, NULL) == AWSFLOCK_OK;
}

/* A PutItem of a fresh lease; the whole item is replaced. */
static bool put(struct actor *actor, struct request *request, int64_t seconds)
{
	struct world *world = actor->world;
	char id[AWSFLOCK_LEASE_ID_SIZE];
	struct answer answer = { 0 };
	int64_t expires_s = own_ms(actor) / MS_PER_S + seconds;

	if (runtime_uuid(&actor->runtime, id, NULL) != AWSFLOCK_OK)
		return false;
	request->kind = REQUEST_PUT;
	request->slots[SLOT_LEASE_ID] = serial_of(id);
	__builtin_memcpy(world->ids[serial_of(id)].text, id, sizeof(id));
	request->put = (struct row){ 0 };
	row_set(&request->put, LOCK_ID, 0);
	row_set(&request->put, LEASE_ID, serial_of(id));
	row_set(&request->put, LEASE_DURATION, seconds);
	row_set(&request->put, OWNER, actor->index);
	row_set(&request->put, EXPIRATION_TIME, expires_s);
	if (!ask(actor, request, &answer) || answer.refused)
		return false;
	actor->belief = (struct belief){ .active = true,
					 .lease_number = actor->call.lease,
					 .deadline_boot_ns = NEVER,
					 .deadline_real_ns = expires_s * NS_PER_S };
	request->slots[SLOT_ACCEPTED] = serial_of(id);
	request->put_if_absent = false;
	trace(world, actor->index, "holds the lock for %lld s", (long long)seconds);
	return true;
}

static bool acquire(struct actor *actor, struct request *request, int64_t seconds)
{
	struct world *world = actor->world;
	struct answer answer = { 0 };
	const struct row *row = &answer.row;

	request->kind = REQUEST_READ;
	if (!ask(actor, request, &answer))
		return false;
	request->put_if_absent = row->present == 0;
	request->slots[SLOT_ACCEPTED] = row->value[LEASE_ID];
	if (row->present != 0 && own_ms(actor) - row->value[EXPIRATION_TIME] * MS_PER_S <= TOLERANCE_MS) {
		if (!row_is_live(row) && !world->scenario->python_wrong)
			violated(world, "peers", "a released lock is held for Python");
		return false;
	}
	return put(actor, request, seconds);
}

static void hold(struct actor *actor, struct request *request, int64_t seconds)
{
	struct answer answer = { 0 };

	for (int i = (int)chance_between(&actor->chance, 0, 2); i > 0; i--) {
		runtime_sleep_until(&actor->runtime,
				    machine_boot_ns(actor) + chance_between(&actor->chance, 1, seconds) * NS_PER_S);
		if (!actor->world->leases[actor->call.lease].evicted && !put(actor, request, seconds))
			return;
	}
	runtime_sleep_until(&actor->runtime,
			    machine_boot_ns(actor) + chance_between(&actor->chance, 1, seconds) * NS_PER_S);
	actor->belief.active = false;
	if (chance_hits(&actor->chance, 200))
		return; /* leaves without a word */
	request->kind = REQUEST_REMOVE;
	ask(actor, request, &answer);
}

void python_script(struct actor *actor)
{
	struct world *world = actor->world;
	int rounds = (int)chance_between(&actor->chance, 1, 5);

	for (int i = 0; i < rounds && !world->quiet; i++) {
		int64_t seconds = chance_between(&actor->chance, 5, world->scenario->lease_most_s);
		struct request request = { .kind = REQUEST_READ };

		runtime_sleep_until(&actor->runtime,
				    machine_boot_ns(actor) + chance_skewed(&actor->chance, 0, 60 * NS_PER_S));
		actor->call.number = world->call_count++;
		if (world->lease_count == LEASES_MAX)
			break;
		actor->call.lease = world->lease_count;
		world->leases[world->lease_count++] =
			(struct lease_record){ .actor = actor->index, .fate = LEASE_MAYBE };
		if (acquire(actor, &request, seconds))
			hold(actor, &request, seconds);
		actor->belief.active = false;
	}
}
