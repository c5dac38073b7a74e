/* The one table: conditional writes on one item, each an atomic step; Date, and TTL.
 * SPDX-License-Identifier: Apache-2.0 */
#include "observer.h"
#include "world.h"

/* The server refuses what was signed further from its own time. */
#define SIGNATURE_GOOD_MS (300 * MS_PER_S)
/* How old an eventually consistent read may be. */
#define STALE_NS NS_PER_S
/* TTL leaves alone what is more than five years past. */
#define TTL_OLDEST_S (5 * INT64_C(365) * 86400)

int64_t server_ms(const struct world *world)
{
	return EPOCH_MS + world->now_ns / NS_PER_MS;
}

static void plan_ttl(struct world *world)
{
	int64_t expires_s = world->row.value[EXPIRATION_TIME], delay_ns = 0;

	world->ttl_ns = NEVER;
	if (!world->scenario->has_ttl || world->row.present == 0 || world->quiet ||
	    expires_s < server_ms(world) / MS_PER_S - TTL_OLDEST_S)
		return;
	if (!chance_hits(&world->chance, world->scenario->ttl))
		delay_ns = chance_skewed(&world->chance, 0, 600 * NS_PER_S);
	world->ttl_ns = (expires_s * MS_PER_S - EPOCH_MS) * NS_PER_MS;
	if (world->ttl_ns < world->now_ns)
		world->ttl_ns = world->now_ns;
	world->ttl_ns += delay_ns + 1;
}

/* The row has been changed from BEFORE. */
static void changed(struct world *world, const struct row *before, const struct request *request)
{
	world->row_before = *before;
	world->row_changed_ns = world->now_ns;
	world->changes++;
	observe_change(world, before, request);
	plan_ttl(world);
}

void table_expire(struct world *world)
{
	struct row before = world->row;

	world->ttl_ns = NEVER;
	if (world->quiet)
		return;
	world->counts.ttl_deletions++;
	world->row = (struct row){ 0 };
	changed(world, &before, NULL);
}

static bool allows(const struct world *world, const struct request *request)
{
	const struct row *row = &world->row;

	switch (request->kind) {
	case REQUEST_WRITE:
		return program_allows(request->program, row, request->slots);
	case REQUEST_PUT:
		if (request->put_if_absent)
			return row->present == 0;
		return row->present != 0 && row->value[LEASE_ID] == request->slots[SLOT_ACCEPTED];
	case REQUEST_REMOVE:
		return row->present != 0 && row->value[LEASE_ID] == request->slots[SLOT_ACCEPTED];
	default:
		return false;
	}
}

static void carry_out(struct world *world, const struct request *request)
{
	struct row before = world->row;

	if (request->kind == REQUEST_WRITE) {
		program_update(request->program, &world->row, request->slots);
		if (request->write_kind != STORE_BREAK && request->write_kind != STORE_SETTLE)
			world->row.lease = request->lease;
		else
			world->row.lease = before.lease;
	} else if (request->kind == REQUEST_PUT) {
		world->row = request->put;
		world->row.lease = request->lease;
	} else {
		world->row = (struct row){ 0 };
	}
	changed(world, &before, request);
}

static void trace_arrival(struct world *world, const struct message *message, bool done)
{
	static const char *const kinds[] = {
		"acquire", "reclaim", "renew", "release", "delete", "break", "settle"
	};
	static const char *const others[] = { "write", "read", "stale read", "Python's put", "Python's delete" };
	const struct request *request = &message->request;
	const struct row *row = &world->row;
	bool reads = request->kind == REQUEST_READ || request->kind == REQUEST_STALE_READ;

	if (!world->trace)
		return;
	trace(world, request->actor, "%s#%lld arrives%s: %s; item: %s lease #%lld expires %+.3f fence %+lld%s",
	      request->kind == REQUEST_WRITE ? kinds[request->write_kind] : others[request->kind],
	      (long long)request->slots[SLOT_LEASE_ID], message->attempt == 0 ? " (a late or second copy)" : "",
	      reads  ? "read"
	      : done ? "done"
		     : "refused",
	      row->present == 0  ? "none"
	      : row_is_live(row) ? "live"
				 : "tombstone",
	      (long long)row->value[LEASE_ID],
	      row->present ? (double)(row->value[EXPIRATION_TIME] * MS_PER_S - EPOCH_MS) / 1e3 : 0.0,
	      row_has(row, FENCE) ? (long long)(row->value[FENCE] - EPOCH_MS) : -1LL,
	      message->effect == EFFECT_ANSWER ? "" : " (it will not be answered well)");
}

void table_handle(struct world *world, struct message *message)
{
	const struct request *request = &message->request;
	struct answer *answer = &message->answer;
	int64_t off_ms = request->signed_ms - server_ms(world);
	bool reads = request->kind == REQUEST_READ || request->kind == REQUEST_STALE_READ;
	bool done = false;

	answer->date_s = server_ms(world) / MS_PER_S;
	answer->has_date = !message->drops_date;
	answer->skewed = world->scenario->checks_signature_time &&
			 (off_ms > SIGNATURE_GOOD_MS || off_ms < -SIGNATURE_GOOD_MS);
	answer->refused = !reads;
	if (answer->skewed || message->effect == EFFECT_ERROR || message->effect == EFFECT_THROTTLED)
		return;
	answer->row = world->row;
	if (request->kind == REQUEST_STALE_READ && world->now_ns - world->row_changed_ns < STALE_NS &&
	    chance_hits(&world->chance, 300))
		answer->row = world->row_before;
	if (allows(world, request)) {
		struct row before = world->row;

		done = true;
		answer->refused = false;
		if (message->attempt == 0)
			world->counts.late_copies++;
		carry_out(world, request);
		answer->row = world->row.present ? world->row : before;
	}
	if (message->attempt != 0 && message->effect == EFFECT_ANSWER)
		observe_reply(world, request);
	trace_arrival(world, message, done);
}
