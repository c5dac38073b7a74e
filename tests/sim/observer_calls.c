/* The promises that a single call makes: what it tells is true, in time, and costs what it should.
 * SPDX-License-Identifier: Apache-2.0 */
#include "observer.h"

#include <string.h>

/* ---- Calls
 * ---------------------------------------------------------------------------------------------------- */

void observe_call(struct actor *actor, enum call_kind kind, unsigned lease, struct lease *known)
{
	struct world *world = actor->world;
	struct call *call = &actor->call;

	call->kind = kind;
	call->number = world->call_count++;
	call->lease = lease;
	call->started_ns = world->now_ns;
	call->started_boot_ns = machine_boot_ns(actor);
	call->row_at_start = world->row;
	call->changes_at_start = world->changes;
	call->losses_at_start = world->fence_losses;
	call->known_count = 0;
	call->foreign_seen = call->not_ours_seen = call->applied = call->disturbed = false;
	call->doubled = call->copy_unseen = call->frees_eviction = false;
	call->faults = call->faults_at_release = 0;
	call->requests = 0;
	call->deadline_most_ns = known ? known->deadline_boot_ns : 0;
	call->left_ms = known ? (known->deadline_boot_ns - call->started_boot_ns) / NS_PER_MS : 0;
	for (size_t i = 0; known && i < known->ids.count; i++)
		call->known[call->known_count++] = serial_of(known->ids.id[i]);
	call_notes(actor);
}

static bool ends_call(struct actor *actor)
{
	actor->call.kind = CALL_NONE;
	return actor->dead || actor->world->violated;
}

static const char *name_of(enum call_kind kind)
{
	static const char *const names[] = { "nothing", "acquire", "renew", "release", "keep", "break" };

	return names[kind];
}

static const char *told_as(awsflock_code code)
{
	static const char *const names[] = { "OK", "HELD", "LOST", "TIMED_OUT", "CANCELLED" };

	if (code <= AWSFLOCK_CANCELLED)
		return names[code];
	switch (code) {
	case AWSFLOCK_UNREACHABLE:
		return "UNREACHABLE";
	case AWSFLOCK_THROTTLED:
		return "THROTTLED";
	case AWSFLOCK_CLOCK_SKEW:
		return "CLOCK_SKEW";
	case AWSFLOCK_PROTOCOL:
		return "PROTOCOL";
	default:
		return "an unexpected failure";
	}
}

static void check_code(struct actor *actor, enum call_kind kind, awsflock_code code, const awsflock_error *error)
{
	const struct scenario *scenario = actor->world->scenario;
	bool possible = code <= AWSFLOCK_CANCELLED;

	if (code == AWSFLOCK_UNREACHABLE || code == AWSFLOCK_THROTTLED)
		possible = !scenario->is_calm;
	if (code == AWSFLOCK_PROTOCOL)
		possible = scenario->no_date != 0;
	if (code == AWSFLOCK_CLOCK_SKEW)
		possible = scenario->no_date != 0;
	if (code == AWSFLOCK_CANCELLED)
		possible = actor->dead || actor->stop_boot_ns != NEVER;
	if (code == AWSFLOCK_TIMED_OUT)
		possible = kind == CALL_ACQUIRE;
	if (code == AWSFLOCK_HELD)
		possible = kind == CALL_ACQUIRE;
	trace(actor->world, actor->index, "%s ends: %s%s%s", name_of(kind), told_as(code),
	      error && code != AWSFLOCK_OK ? ": " : "", error && code != AWSFLOCK_OK ? error->message : "");
	if (!possible)
		violated(actor->world, "outcomes are told truly", "%s of %d ends with %s", name_of(kind),
			 actor->index, told_as(code));
}

/* In calm weather nothing costs more requests than promised. */
static void check_requests(struct actor *actor, enum call_kind kind, int most)
{
	if (actor->world->scenario->is_calm && actor->call.requests > most)
		violated(actor->world, "one request", "%s of %d took %d requests instead of %d", name_of(kind),
			 actor->index, actor->call.requests, most);
}

/* ---- Acquire
 * -------------------------------------------------------------------------------------------------- */

static void check_fence(struct actor *actor, const struct lease *lease)
{
	struct world *world = actor->world;
	struct lease_record *mine = &world->leases[actor->call.lease];
	int64_t made_ns = world->ids[serial_of(lease->current_id)].made_ns;
	int64_t floor_ms = EPOCH_MS + (mine->chosen_ns - (world->now_ns - made_ns)) / NS_PER_MS - 2010;

	mine->told_fence = lease->fence;
	if (mine->granted_fence != lease->fence)
		violated(world, "fences", "%d was told a fence that was not granted", actor->index);
	if (world->scenario->freeze == 0 && (int64_t)lease->fence < floor_ms)
		violated(world, "fences", "the fence of %d lies %.3f s behind the server's time", actor->index,
			 (double)(floor_ms - (int64_t)lease->fence) / 1e3);
	for (unsigned i = 1; i < world->lease_count; i++) {
		const struct lease_record *other = &world->leases[i];

		if (i == actor->call.lease || other->told_fence == 0 || other->losses != mine->losses)
			continue;
		if ((other->granted_ns < mine->granted_ns) != (other->told_fence < mine->told_fence))
			violated(world, "fences", "leases %u and %u have fences that do not rise", i,
				 actor->call.lease);
	}
}

static void check_grant(struct actor *actor, int64_t seconds, int64_t wait_ms, struct lease *lease)
{
	struct world *world = actor->world;
	const struct call *call = &actor->call;
	const struct row *row = &call->row_at_start;
	int64_t most_ms =
		server_ms(world) + seconds * MS_PER_S + 4000 + (world->scenario->is_calm ? 0 : MISJUDGED_MS);
	bool alone = world->changes - call->changes_at_start <= 1;
	bool free_before = row->present == 0 ||
			   (!row_is_live(row) && row->value[FENCE] < EPOCH_MS + call->started_ns / NS_PER_MS);

	world->counts.grants++;
	check_fence(actor, lease);
	if (call->answered_boot_ns >= lease->deadline_boot_ns)
		violated(world, "late success", "%d was told of a grant after its deadline", actor->index);
	if (lease->expiration_time * MS_PER_S > most_ms)
		violated(world, "no zombies", "%d holds an expiry %.3f s too late", actor->index,
			 (double)(lease->expiration_time * MS_PER_S - most_ms) / 1e3);
	if (world->ids[serial_of(lease->current_id)].lease != call->lease)
		violated(world, "outcomes are told truly", "%d was given an id of another call", actor->index);
	if (alone && free_before && wait_ms == 0)
		check_requests(actor, CALL_ACQUIRE, 1);
}

static void check_refusal(struct actor *actor)
{
	struct world *world = actor->world;
	const struct call *call = &actor->call;
	bool unchanged = world->changes == call->changes_at_start;

	world->counts.refusals++;
	if (!call->foreign_seen && world->changes - call->changes_at_start <= 2)
		violated(world, "outcomes are told truly", "%d was told that the lock is held, and nobody held it",
			 actor->index);
	if (unchanged && row_over_ms(&call->row_at_start) > server_ms(world))
		check_requests(actor, CALL_ACQUIRE, 1);
}

/* Giving back takes ten seconds more. */
void observe_answer_in_time(struct actor *actor, int64_t wait_ms, bool gave_back_later)
{
	int64_t took_ms = (machine_boot_ns(actor) - actor->call.started_boot_ns) / NS_PER_MS;
	int64_t most_ms = wait_ms == 0 ? 15000 : wait_ms + 6000;

	if (wait_ms == AWSFLOCK_WAIT_FOREVER || actor->call.disturbed)
		return;
	if (took_ms > most_ms + (gave_back_later ? 0 : 10000))
		violated(actor->world, "time that is promised", "%d was answered after %lld ms instead of %lld",
			 actor->index, (long long)took_ms, (long long)most_ms);
}

void observe_acquired(struct actor *actor, awsflock_code code, int64_t seconds, int64_t wait_ms,
		      struct lease *lease, const awsflock_error *error)
{
	struct world *world = actor->world;
	struct lease_record *record = &world->leases[actor->call.lease];
	int64_t waited_ms = (machine_boot_ns(actor) - actor->call.started_boot_ns) / NS_PER_MS;

	record->fate = code == AWSFLOCK_OK                     ? LEASE_HELD
		       : error->outcome_unknown || actor->dead ? LEASE_MAYBE
							       : LEASE_REFUSED;
	if (ends_call(actor))
		return;
	check_code(actor, CALL_ACQUIRE, code, error);
	/* Where a proxy's second copy was refused for load, nobody can tell what the first one did, nor where one came
	 * after the last look: known limits. */
	bool is_certain = !actor->call.doubled ||
			  (!actor->call.copy_unseen && (code == AWSFLOCK_HELD || code == AWSFLOCK_TIMED_OUT));

	if (record->fate == LEASE_REFUSED && is_certain && row_is_live(&world->row) &&
	    world->row.lease == actor->call.lease && !row_has(&world->row, BROKEN_BY))
		violated(world, "a call that fails says what may be left of it",
			 "%d was told %s for certain, and the lock is taken for it", actor->index, told_as(code));
	if (code == AWSFLOCK_OK)
		check_grant(actor, seconds, wait_ms, lease);
	else if (code == AWSFLOCK_HELD)
		check_refusal(actor);
	if (code == AWSFLOCK_HELD && wait_ms != 0)
		violated(world, "waiting", "%d waits, and is told that the lock is held", actor->index);
	if (world->scenario->is_calm && wait_ms >= 0 && waited_ms > wait_ms + 1000)
		violated(world, "waiting", "%d waited %lld ms instead of %lld", actor->index, (long long)waited_ms,
			 (long long)wait_ms);
}

/* ---- Renew, release, keep, break
 * -------------------------------------------------------------------------------- */

void observe_renewed(struct actor *actor, awsflock_code code, int64_t seconds, struct lease *lease,
		     int64_t deadline_before_ns, bool past_before, const awsflock_error *error)
{
	struct world *world = actor->world;
	const struct call *call = &actor->call;
	int64_t most_ms =
		server_ms(world) + seconds * MS_PER_S + 4000 + (world->scenario->is_calm ? 0 : MISJUDGED_MS);
	bool adopted = deadline_before_ns == DEADLINE_UNKNOWN;
	bool lengthens = call->row_at_start.value[EXPIRATION_TIME] <= server_ms(world) / MS_PER_S + seconds + 1;

	if (ends_call(actor))
		return;
	check_code(actor, CALL_RENEW, code, error);
	if (code == AWSFLOCK_OK) {
		world->counts.renewals++;
		if (call->answered_boot_ns >= deadline_before_ns || (past_before && !call->disturbed))
			violated(world, "late success", "%d renewed after its deadline", actor->index);
		if (lease->expiration_time * MS_PER_S > most_ms)
			violated(world, "no zombies", "%d holds an expiry %.3f s too late", actor->index,
				 (double)(lease->expiration_time * MS_PER_S - most_ms) / 1e3);
		if (!call->applied)
			violated(world, "outcomes are told truly", "%d was told of a renewal that was not made",
				 actor->index);
		check_requests(actor, CALL_RENEW, !adopted || lengthens ? 1 : 2);
	} else if (code == AWSFLOCK_LOST) {
		world->counts.losses++;
		if (!call->not_ours_seen && !past_before &&
		    (adopted || !lease_is_past_deadline(lease) || lease->lost) &&
		    machine_boot_ns(actor) < deadline_before_ns && !call->disturbed &&
		    !(error && strstr(error->message, "deadline")))
			violated(world, "outcomes are told truly", "%d was told that it lost what it holds",
				 actor->index);
	}
}

/* Python 0.2.0, whose clock may be an hour off, must be able to take what was released. */
static void check_tombstone(struct actor *actor)
{
	struct world *world = actor->world;
	const struct row *row = &world->row;
	const struct call *call = &actor->call;
	bool is_of_call =
		row->present != 0 && !row_is_live(row) && world->ids[row->value[LEASE_ID]].call == call->number;

	/* Told to stop, or with its reply lost, it is left as it is: that is logged. */
	if (is_of_call && call->faults == call->faults_at_release && !runtime_stop_requested(&actor->runtime) &&
	    row->value[EXPIRATION_TIME] * MS_PER_S > server_ms(world) - 3600 * MS_PER_S)
		violated(world, "a released lock is free for everybody",
			 "the tombstone that %d left expires %lld s from now", actor->index,
			 (long long)(row->value[EXPIRATION_TIME] - server_ms(world) / MS_PER_S));
}

void observe_released(struct actor *actor, awsflock_code code, const awsflock_error *error)
{
	struct world *world = actor->world;
	const struct call *call = &actor->call;
	const struct row *row = &call->row_at_start;
	bool fence_behind = row_has(row, FENCE) && row->value[FENCE] < EPOCH_MS + call->started_ns / NS_PER_MS;
	int64_t id = world->row.value[LEASE_ID];
	/* Of two ids, after a renewal of unknown outcome, a user may take the one that becomes valid too late. */
	bool renewed_late = actor->command_line && world->changes != call->changes_at_start;

	if (ends_call(actor))
		return;
	check_code(actor, CALL_RELEASE, code, error);
	if (code == AWSFLOCK_OK) {
		world->counts.releases++;
		if (!renewed_late && row_is_live(&world->row) && call_knows(call, id) &&
		    world->fence_losses == call->losses_at_start)
			violated(world, "outcomes are told truly",
				 "%d was told that the lock is released, and it stands under its id", actor->index);
		check_tombstone(actor);
		check_requests(actor, CALL_RELEASE, fence_behind ? 1 : 2);
	} else if (code == AWSFLOCK_LOST) {
		world->counts.losses++;
		/* A release of which a proxy delivers two copies is told as a loss where the lock was taken by somebody
		 * else between the two, or deleted by the first: a known limit. */
		if (!call->not_ours_seen || (call->applied && !call->doubled && !call->frees_eviction))
			violated(world, "outcomes are told truly",
				 "%d was told that it held nothing, and it has just released the lock",
				 actor->index);
	}
}

void observe_kept(struct actor *actor, awsflock_code code, int64_t stop_ms, struct lease *lease,
		  const awsflock_error *error)
{
	struct world *world = actor->world;
	bool disturbed = actor->call.disturbed;
	int64_t left_ms;

	if (ends_call(actor))
		return;
	check_code(actor, CALL_KEEP, code, error);
	if (code == AWSFLOCK_OK)
		violated(world, "outcomes are told truly", "a keepalive ended by itself");
	if (code != AWSFLOCK_LOST)
		return;
	world->counts.losses++;
	/* A confirmation may move the deadline back: it goes by the later Date. */
	left_ms = (actor->call.deadline_most_ns - machine_boot_ns(actor)) / NS_PER_MS;
	if (!disturbed && !world->scenario->hides_items && !lease->lost && actor->call.left_ms > stop_ms &&
	    left_ms < stop_ms - 5)
		violated(world, "the deadline", "%d is told %lld ms before its deadline, and needs %lld",
			 actor->index, (long long)left_ms, (long long)stop_ms);
}

void observe_broken(struct actor *actor, awsflock_code code, const awsflock_error *error)
{
	if (ends_call(actor))
		return;
	check_code(actor, CALL_BREAK, code, error);
	if (code == AWSFLOCK_OK)
		check_tombstone(actor);
}
