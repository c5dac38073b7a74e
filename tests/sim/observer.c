/* See observer.h.  SPDX-License-Identifier: Apache-2.0 */
#include "observer.h"

#include <stdarg.h>
#include <string.h>

#define GRACE_MS INT64_C(5000)

void trace(struct world *world, int actor, const char *format, ...)
{
	va_list arguments;

	if (!world->trace)
		return;
	fprintf(world->trace, "%10.3f ", (double)world->now_ns / 1e9);
	if (actor == NOBODY)
		fputs("table     ", world->trace);
	else
		fprintf(world->trace, "%s %d%s ", world->actors[actor].is_python ? "python" : "client", actor,
			world->actors[actor].command_line ? "c" : " ");
	va_start(arguments, format);
	vfprintf(world->trace, format, arguments);
	va_end(arguments);
	fputc('\n', world->trace);
}

void violated(struct world *world, const char *promise, const char *format, ...)
{
	char story[400];
	va_list arguments;

	if (world->violated || world->exhausted)
		return;
	world->violated = true;
	va_start(arguments, format);
	vsnprintf(story, sizeof(story), format, arguments);
	va_end(arguments);
	snprintf(world->violation, sizeof(world->violation), "%s: %s", promise, story);
	trace(world, NOBODY, "VIOLATED: %s", world->violation);
}

/* ---- Rows ---------------------------------------------------------------------------------------------------- */

bool row_is_live(const struct row *row)
{
	return row->present != 0 && !row_has(row, RELEASED_TIME);
}

int64_t row_over_ms(const struct row *row)
{
	int64_t grace_ms = row->value[LEASE_DURATION];

	return row->value[EXPIRATION_TIME] * MS_PER_S + (grace_ms > GRACE_MS ? grace_ms : GRACE_MS);
}

bool call_knows(const struct call *call, int64_t id)
{
	for (int i = 0; i < call->known_count; i++) {
		if (call->known[i] == id)
			return true;
	}
	return false;
}

/* What the item is now, as the calls under way will have to tell it. */
void call_notes(struct actor *actor)
{
	struct world *world = actor->world;
	struct call *call = &actor->call;
	int64_t id = world->row.value[LEASE_ID];
	bool live = row_is_live(&world->row);
	bool ours = live && (world->ids[id].call == call->number || call_knows(call, id));

	if (call->kind == CALL_NONE)
		return;
	if (!ours)
		call->not_ours_seen = true;
	if (live && !ours)
		call->foreign_seen = true;
}

/* ---- Belief -------------------------------------------------------------------------------------------------- */

bool believes(struct actor *actor)
{
	const struct belief *belief = &actor->belief;
	bool past;

	if (!belief->active || actor->world->leases[belief->lease_number].evicted)
		return false;
	if (!belief->lease)
		return machine_boot_ns(actor) < belief->deadline_boot_ns &&
		       machine_real_ns(actor) < belief->deadline_real_ns;
	actor->world->observing = true;
	past = lease_is_past_deadline(belief->lease);
	actor->world->observing = false;
	return !past;
}

static bool is_beyond_us(const struct actor *actor)
{
	return actor->is_python && actor->world->scenario->python_wrong;
}

/* What is believed must stand in the item until the belief ends, or TTL may delete it. */
static void check_cover(struct actor *actor)
{
	struct world *world = actor->world;
	const struct belief *belief = &actor->belief;
	int64_t boot_ns = belief->lease ? belief->lease->deadline_boot_ns : belief->deadline_boot_ns;
	int64_t real_ns = belief->lease ? belief->lease->deadline_real_ns : belief->deadline_real_ns;
	int64_t until_ns = machine_when(actor, boot_ns), expires_ms = world->row.value[EXPIRATION_TIME] * MS_PER_S;

	if (actor->is_python)
		return;
	if (!row_is_live(&world->row) || world->row.lease != belief->lease_number) {
		violated(world, "exclusion", "client %d believes in lease %u, and the item is not its own",
			 actor->index, belief->lease_number);
		return;
	}
	if (real_ns != DEADLINE_UNKNOWN && real_ns - machine_real_ns(actor) < until_ns - world->now_ns)
		until_ns = world->now_ns + real_ns - machine_real_ns(actor);
	if (world->scenario->freeze != 0)
		until_ns = world->now_ns;
	if (EPOCH_MS + until_ns / NS_PER_MS > expires_ms)
		violated(world, "exclusion",
			 "client %d believes in its lease for %.3f s after the written expiry, when TTL may delete "
			 "it",
			 actor->index, (double)(EPOCH_MS + until_ns / NS_PER_MS - expires_ms) / 1e3);
}

void observe_step(struct actor *actor)
{
	struct world *world = actor->world;

	if (actor->call.kind == CALL_KEEP && actor->belief.lease &&
	    actor->belief.lease->deadline_boot_ns > actor->call.deadline_most_ns)
		actor->call.deadline_most_ns = actor->belief.lease->deadline_boot_ns;
	if (world->violated || !believes(actor) || is_beyond_us(actor))
		return;
	for (int i = 0; i < world->actor_count; i++) {
		struct actor *other = &world->actors[i];

		if (other != actor && !is_beyond_us(other) && believes(other))
			violated(world, "exclusion", "%d and %d both believe that they hold the lock", actor->index,
				 i);
	}
	check_cover(actor);
}

/* ---- Changes of the item
 * -------------------------------------------------------------------------------------- */

/* Whether it is nobody's fault that the lease of OWNER ends before its deadline. */
static bool may_evict(struct world *world, const struct actor *owner, const struct request *request)
{
	if (!request)
		return owner->is_python; /* TTL goes by the server's clock, Python by its own */
	if (request->kind == REQUEST_WRITE && request->write_kind == STORE_RELEASE && request->breaks)
		return true;
	return world->scenario->python_wrong && (owner->is_python || world->actors[request->actor].is_python);
}

static void note_eviction(struct world *world, const struct row *before, const struct request *request)
{
	struct lease_record *lease = &world->leases[before->lease];
	bool kept = row_is_live(&world->row) && world->row.lease == before->lease;

	if (!row_is_live(before) || kept || lease->evicted ||
	    !may_evict(world, &world->actors[lease->actor], request))
		return;
	trace(world, lease->actor, "may be evicted from lease %u: only its fence protects", before->lease);
	world->counts.evictions++;
	lease->evicted = true;
}

static void check_not_freed_early(struct actor *actor, const struct row *before, const struct request *request)
{
	struct world *world = actor->world;
	bool kept = row_is_live(&world->row) && world->row.lease == before->lease;

	if (!row_is_live(before) || before->lease != actor->belief.lease_number || !believes(actor))
		return;
	if (!kept)
		violated(world, "nothing is freed early",
			 "the item of lease %u, in which %d believes, went by %s %d", before->lease, actor->index,
			 request ? "a request of" : "TTL", request ? request->actor : 0);
	else
		check_cover(actor);
}

/* A write that comes after its call is over must not take the lock without a holder, but for what is documented. */
static void check_revival(struct world *world, const struct request *request)
{
	const struct lease_record *lease = &world->leases[request->lease];

	/* Of a copy that a proxy made nobody can tell: a known limit. */
	if (lease->fate == LEASE_REFUSED && !request->doubled)
		violated(world, "a call that fails says what may be left of it",
			 "lease %u was told as not acquired for certain, and takes the lock now", request->lease);
	if ((lease->fate == LEASE_OVER || lease->fate == LEASE_HELD) && lease->losses == world->fence_losses)
		violated(world, "no zombies", "a late copy of the acquire of lease %u takes a released lock",
			 request->lease);
}

/* No item stands for longer than its lease, by a clock that the server accepts. */
static void check_expiry(struct world *world, const struct request *request)
{
	const struct scenario *scenario = world->scenario;
	int64_t error_ms = MISJUDGED_MS;
	int64_t most_ms = server_ms(world) + request->slots[SLOT_LEASE_DURATION] * MS_PER_S + 3000;

	if (!request->time_was_known && request->wall_error_ms > error_ms)
		error_ms = request->wall_error_ms + 1000;
	if (scenario->jump != 0)
		error_ms += scenario->jump_ms;
	if (scenario->checks_signature_time && scenario->jump == 0 && error_ms > 302000)
		error_ms = 302000;
	if (request->slots[SLOT_EXPIRATION_TIME] * MS_PER_S > most_ms + error_ms)
		violated(world, "no zombies", "an expiry was written %.3f s too late",
			 (double)(request->slots[SLOT_EXPIRATION_TIME] * MS_PER_S - most_ms) / 1e3);
}

static void note_grant(struct world *world, const struct request *request)
{
	struct lease_record *lease = &world->leases[request->lease];
	bool takes = request->write_kind == STORE_ACQUIRE || request->write_kind == STORE_RECLAIM;

	if (!takes && request->write_kind != STORE_RENEW)
		return;
	check_expiry(world, request);
	if (takes)
		check_revival(world, request);
	if (request->slots[SLOT_FENCE] == 0 || lease->told_fence != 0)
		return;
	lease->granted_ns = world->now_ns;
	lease->chosen_ns = world->ids[request->slots[SLOT_LEASE_ID]].made_ns;
	lease->granted_fence = (uint64_t)request->slots[SLOT_FENCE];
	lease->losses = world->fence_losses;
}

static void note_applied(struct call *call, const struct row *before, const struct request *request)
{
	call->applied = true;
	if (request->doubled)
		call->copy_unseen = true;
	if (row_has(before, BROKEN_BY) && before->lease == request->lease)
		call->frees_eviction = true;
	if (request->kind == REQUEST_WRITE && request->write_kind == STORE_RELEASE)
		call->faults_at_release = call->faults;
}

void observe_reply(struct world *world, const struct request *request)
{
	struct call *call = &world->actors[request->actor].call;

	if (request->call == call->number && request->kind != REQUEST_STALE_READ)
		call->copy_unseen = false;
}

void observe_change(struct world *world, const struct row *before, const struct request *request)
{
	if (!request)
		trace(world, NOBODY, "TTL deletes the item of lease #%lld", (long long)before->value[LEASE_ID]);
	if (row_has(before, FENCE) && !row_has(&world->row, FENCE))
		world->fence_losses++;
	if (request && request->kind == REQUEST_WRITE)
		note_grant(world, request);
	if (request && request->write_kind == STORE_RENEW && row_has(before, RELEASED_TIME))
		violated(world, "no zombies", "%d renews a released lock", request->actor);
	if (request && request->call == world->actors[request->actor].call.number)
		note_applied(&world->actors[request->actor].call, before, request);
	note_eviction(world, before, request);
	for (int i = 0; i < world->actor_count; i++) {
		call_notes(&world->actors[i]);
		check_not_freed_early(&world->actors[i], before, request);
	}
}
