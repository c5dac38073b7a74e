/* What our clients do: a random life of acquiring, working, renewing once and in a keepalive, releasing, breaking, dying.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lock/heartbeat.h"
#include "lock/wait.h"
#include "observer.h"
#include "world.h"

#define HELD_IDS_MAX 4

/* What a client, or the script that calls the command line for it, knows of its lease. */
struct held {
	struct lease *lease; /* NULL for the command line between two commands */
	unsigned number;
	int64_t seconds;
	char ids[HELD_IDS_MAX][AWSFLOCK_LEASE_ID_SIZE];
	size_t id_count;
};

/* ---- Small things
 * --------------------------------------------------------------------------------------------- */

static struct chance *chance_of(struct actor *actor)
{
	return &actor->chance;
}

static int64_t draw_lease_s(struct actor *actor)
{
	int64_t most_s = actor->world->scenario->lease_most_s;

	return chance_hits(chance_of(actor), 300) ? chance_between(chance_of(actor), 3, 12)
						  : chance_between(chance_of(actor), 5, most_s);
}

static unsigned new_lease(struct actor *actor)
{
	struct world *world = actor->world;
	unsigned number = world->lease_count;

	if (number == LEASES_MAX) {
		world->exhausted = true;
		return number - 1;
	}
	world->lease_count++;
	world->leases[number] = (struct lease_record){ .actor = actor->index, .fate = LEASE_ASKED };
	return number;
}

/* Time passes for whoever uses the lock; a process may die of it, a script cannot. */
static void spend(struct actor *actor, int64_t ns)
{
	if (actor->command_line)
		machine_rest(actor, ns);
	else if (!runtime_sleep_until(&actor->runtime, machine_boot_ns(actor) + ns))
		actor->stop_boot_ns = NEVER;
}

static void plan_stop(struct actor *actor, int per_mille, int64_t most_ns)
{
	actor->stop_boot_ns = NEVER;
	if (!actor->world->scenario->is_calm && !actor->world->quiet && chance_hits(chance_of(actor), per_mille))
		actor->stop_boot_ns = machine_boot_ns(actor) + chance_between(chance_of(actor), 0, most_ns);
}

static void stop_believing(struct actor *actor)
{
	actor->belief.active = false;
	actor->belief.lease = NULL;
}

static void believe(struct actor *actor, const struct held *held, struct lease *lease)
{
	actor->belief = (struct belief){
		.active = true,
		.lease_number = held->number,
		.lease = actor->command_line ? NULL : lease,
		.deadline_boot_ns = lease->deadline_boot_ns,
		.deadline_real_ns = lease->deadline_real_ns,
	};
}

static void take_ids(struct held *held, const struct lease *lease)
{
	held->id_count = 0;
	for (size_t i = lease->ids.count; i > 0 && held->id_count < HELD_IDS_MAX; i--)
		memcpy(held->ids[held->id_count++], lease->ids.id[i - 1], AWSFLOCK_LEASE_ID_SIZE);
}

/* ---- Operations
 * ------------------------------------------------------------------------------------------------ */

static int64_t draw_wait_ms(struct actor *actor)
{
	int64_t drawn = chance_between(chance_of(actor), 0, 9);

	if (drawn < 3)
		return 0;
	if (drawn == 9 && !actor->world->scenario->is_calm)
		return AWSFLOCK_WAIT_FOREVER;
	return drawn < 6 ? chance_between(chance_of(actor), 100, 10000)
			 : chance_between(chance_of(actor), 10000, 120000);
}

/* What a process of its own would do. */
static void give_back(struct actor *actor, struct owed *owed)
{
	for (int tries = 0; owed->ids.count > 0 && tries < 3 && !actor->dead; tries++) {
		if (owed_give_back(owed, &actor->store.store, LOCK_NAME, NULL) == AWSFLOCK_OK)
			return;
		spend(actor, 5 * NS_PER_S);
	}
}

static bool acquire(struct actor *actor, struct held *held, int64_t wait_ms)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct lease_request request = { .lock = LOCK_NAME, .seconds = draw_lease_s(actor), .owner = "somebody" };
	struct wait_options options = { .wait_ms = wait_ms, .poll_interval_ms = 2000 };
	struct owed owed = { .ids = { .count = 0 } };
	struct lease *lease = NULL;
	awsflock_code code;

	if (chance_hits(chance_of(actor), 500))
		options.owed = &owed;
	*held = (struct held){ .number = new_lease(actor), .seconds = request.seconds };
	plan_stop(actor, wait_ms == AWSFLOCK_WAIT_FOREVER ? 1000 : 60, 60 * NS_PER_S);
	observe_call(actor, CALL_ACQUIRE, held->number, NULL);
	trace(actor->world, actor->index, "acquires for %lld s, waiting %lld ms: lease %u",
	      (long long)request.seconds, (long long)options.wait_ms, held->number);
	code = wait_acquire(&actor->store.store, &request, &options, &lease, &error);
	observe_answer_in_time(actor, options.wait_ms, options.owed != NULL);
	observe_acquired(actor, code, request.seconds, options.wait_ms, lease, &error);
	actor->stop_boot_ns = NEVER;
	give_back(actor, &owed);
	if (code != AWSFLOCK_OK)
		return false;
	take_ids(held, lease);
	if (!actor->dead)
		believe(actor, held, lease);
	if (actor->command_line || actor->dead)
		lease_free(&lease);
	held->lease = lease;
	return !actor->dead;
}

/* Another process takes the lease up by one of the ids that its user knows. */
static struct lease *take_up(struct actor *actor, struct held *held)
{
	struct lease *lease = NULL;
	size_t which = (size_t)chance_between(chance_of(actor), 0, (int64_t)held->id_count - 1);

	if (held->lease)
		return held->lease;
	machine_new_process(actor);
	if (lease_adopt(&actor->store.store, LOCK_NAME, held->ids[which], held->seconds, &lease, NULL) !=
	    AWSFLOCK_OK)
		return NULL;
	return lease;
}

static void put_down(struct actor *actor, struct held *held, struct lease *lease)
{
	actor->stop_boot_ns = NEVER;
	if (held->lease)
		return;
	lease_free(&lease);
	actor->dead = false; /* only this command was killed */
}

/* Whoever asks another process for a shorter lease may act no longer than that, whatever becomes of the request. */
static void shorten_belief(struct actor *actor, int64_t seconds)
{
	struct belief *belief = &actor->belief;
	int64_t latest_ns = machine_boot_ns(actor) + seconds * NS_PER_S - seconds * NS_PER_S / 2000;

	if (belief->lease || latest_ns >= belief->deadline_boot_ns)
		return;
	belief->deadline_real_ns -= belief->deadline_boot_ns - latest_ns;
	belief->deadline_boot_ns = latest_ns;
}

static void renew(struct actor *actor, struct held *held)
{
	int64_t seconds = chance_hits(chance_of(actor), 400) ? held->seconds : draw_lease_s(actor);
	struct lease *lease = take_up(actor, held);
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t deadline_ns = lease->deadline_boot_ns;
	bool past = held->lease && !believes(actor) && !actor->world->leases[held->number].evicted;
	awsflock_code code;

	plan_stop(actor, 40, 10 * NS_PER_S);
	shorten_belief(actor, seconds);
	observe_call(actor, CALL_RENEW, held->number, lease);
	trace(actor->world, actor->index, "renews lease %u for %lld s", held->number, (long long)seconds);
	code = lease_renew(lease, seconds, NULL, INT64_MAX, &error);
	observe_renewed(actor, code, seconds, lease, deadline_ns, past, &error);
	if (code == AWSFLOCK_OK && !actor->dead) {
		held->seconds = seconds;
		believe(actor, held, lease);
	}
	if (code == AWSFLOCK_LOST && !held->lease)
		stop_believing(actor);
	if (!actor->dead && code != AWSFLOCK_LOST)
		take_ids(held, lease);
	put_down(actor, held, lease);
}

static void keep(struct actor *actor, struct held *held)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t stop_ms = chance_between(chance_of(actor), 0, held->lease->seconds * MS_PER_S / 3);
	int64_t keep_ns = chance_between(chance_of(actor), 1, 3 * held->lease->seconds) * NS_PER_S;
	awsflock_code code;

	actor->stop_boot_ns = machine_boot_ns(actor) + keep_ns;
	observe_call(actor, CALL_KEEP, held->number, held->lease);
	trace(actor->world, actor->index, "keeps lease %u for %.1f s", held->number, (double)keep_ns / 1e9);
	code = heartbeat_keep(held->lease, stop_ms, &error);
	observe_kept(actor, code, stop_ms, held->lease, &error);
	actor->stop_boot_ns = NEVER;
}

static awsflock_code release(struct actor *actor, struct held *held, bool delete_item)
{
	struct lease *lease = take_up(actor, held);
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;

	actor->belief.active = false;
	plan_stop(actor, 30, 10 * NS_PER_S);
	observe_call(actor, CALL_RELEASE, held->number, lease);
	trace(actor->world, actor->index, "%s lease %u", delete_item ? "deletes" : "releases", held->number);
	code = lease_release(lease, delete_item, &error);
	observe_released(actor, code, &error);
	put_down(actor, held, lease);
	return code;
}

/* Somebody takes the id that the item of a released lock shows for a lease's. */
static void renew_tombstone(struct actor *actor, const char *id)
{
	struct held held = { .number = new_lease(actor), .seconds = 10, .id_count = 1 };
	bool command_line = actor->command_line;

	memcpy(held.ids[0], id, AWSFLOCK_LEASE_ID_SIZE);
	actor->command_line = true;
	renew(actor, &held);
	actor->command_line = command_line;
	stop_believing(actor);
}

static void break_somebody(struct actor *actor)
{
	struct store *store = &actor->store.store;
	bool now = chance_hits(chance_of(actor), actor->world->scenario->breaks_now);
	struct store_reply reply = { 0 };
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;

	observe_call(actor, CALL_BREAK, new_lease(actor), NULL);
	code = store->ops->read(store, LOCK_NAME, true, INT64_MAX, &reply, &error);
	if (code == AWSFLOCK_OK && reply.has_item && !reply.item.released) {
		trace(actor->world, actor->index, "breaks lease id #%lld%s",
		      (long long)serial_of(reply.item.lease_id), now ? " now" : "");
		code = lease_break(store, LOCK_NAME, reply.item.lease_id, "an administrator", now, &error);
		observe_broken(actor, code, &error);
	} else if (code == AWSFLOCK_OK && reply.has_item && !actor->dead) {
		renew_tombstone(actor, reply.item.lease_id);
	}
	actor->call.kind = CALL_NONE;
	store_reply_clear(&reply);
}

/* ---- A life
 * ---------------------------------------------------------------------------------------------------- */

static void work(struct actor *actor, struct held *held)
{
	/* Now and then for longer than the lease lasts. */
	int64_t ns = chance_skewed(chance_of(actor), NS_PER_MS, held->seconds * 4 * NS_PER_S);

	spend(actor, ns);
}

static void end_lease(struct actor *actor, struct held *held)
{
	int64_t drawn = chance_between(chance_of(actor), 0, 99);
	bool delete_item = chance_hits(chance_of(actor), actor->world->scenario->deletes * 5);
	awsflock_code code;

	if (drawn < 85) {
		code = release(actor, held, delete_item);
		if (!actor->dead && code != AWSFLOCK_OK && code != AWSFLOCK_LOST && drawn < 60)
			release(actor, held, delete_item);
		else if (!actor->dead && code == AWSFLOCK_OK && drawn < 3)
			release(actor, held, delete_item);
	}
	stop_believing(actor);
	actor->world->leases[held->number].fate = LEASE_OVER;
	lease_free(&held->lease);
}

static void hold(struct actor *actor, struct held *held)
{
	int rounds = (int)chance_between(chance_of(actor), 0, 4);

	for (int i = 0; i < rounds && !actor->dead && !actor->world->quiet; i++) {
		int64_t drawn = chance_between(chance_of(actor), 0, 9);

		if (drawn < 4)
			work(actor, held);
		else if (drawn < 8 || actor->command_line)
			renew(actor, held);
		else
			keep(actor, held);
	}
	if (actor->dead || actor->world->quiet)
		stop_believing(actor);
	if (actor->dead)
		actor->world->leases[held->number].fate = LEASE_MAYBE;
	if (actor->dead || actor->world->quiet)
		lease_free(&held->lease);
	else
		end_lease(actor, held);
}

void client_script(struct actor *actor)
{
	const struct scenario *scenario = actor->world->scenario;
	int rounds = (int)chance_between(chance_of(actor), 1, 3);

	for (int i = 0; i < rounds && !actor->world->quiet; i++) {
		struct held held;

		spend(actor, chance_skewed(chance_of(actor), 0, 60 * NS_PER_S));
		if (!actor->dead && chance_hits(chance_of(actor), scenario->breaks))
			break_somebody(actor);
		else if (!actor->dead && acquire(actor, &held, draw_wait_ms(actor)))
			hold(actor, &held);
		stop_believing(actor);
		if (actor->world->quiet)
			break;
		if (actor->dead)
			machine_rest(actor, chance_skewed(chance_of(actor), 0, 30 * NS_PER_S));
		if (actor->dead || actor->command_line || chance_hits(chance_of(actor), 200))
			machine_new_process(actor);
	}
}

void client_last_script(struct actor *actor)
{
	struct held held;

	machine_new_process(actor);
	trace(actor->world, actor->index, "everybody has ended: the lock must be free");
	if (!acquire(actor, &held, 0))
		violated(actor->world, "the lock becomes free again",
			 "after every lease and its grace it could not be acquired");
	stop_believing(actor);
	lease_free(&held.lease);
}
