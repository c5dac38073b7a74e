/* The store that the real code gets: its writes and reads travel over a network that loses, delays and repeats
 * them. What a reply is worth is told as src/aws/dynamodb/reply.c tells it; the retries are those of
 * src/aws/retry.c. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "observer.h"
#include "world.h"

#define TIMEOUT_MS INT64_C(10000)
#define CONNECT_TIMEOUT_NS (5 * NS_PER_S)

/* ---- An attempt ---------------------------------------------------------------------------------------------- */

struct attempt {
	struct actor *actor;
	const struct request *request;
	int64_t sent_boot_ns, until_boot_ns;
	bool on_kept_connection, sent, resent, unknown;
	enum retry_cause cause;
	awsflock_error *error;
};

enum ending {
	ENDING_ANSWERED,
	ENDING_TIMED_OUT,
	ENDING_STOPPED
};

static enum ending await(struct actor *actor, int64_t until_boot_ns)
{
	for (;;) {
		int64_t until_ns, stop_ns = NEVER;

		machine_step(actor);
		if (actor->dead || runtime_stop_requested(&actor->runtime))
			return ENDING_STOPPED;
		if (actor->answered)
			return ENDING_ANSWERED;
		if (machine_boot_ns(actor) >= until_boot_ns)
			return ENDING_TIMED_OUT;
		until_ns = machine_when(actor, until_boot_ns);
		if (!actor->runtime.stop_ignored)
			stop_ns = machine_when(actor, actor->stop_boot_ns);
		actor_yield(actor, stop_ns < until_ns ? stop_ns : until_ns);
	}
}

static int64_t draw_way_ns(struct actor *actor)
{
	const struct scenario *scenario = actor->world->scenario;

	if (actor->world->quiet)
		return chance_between(&actor->chance, 1, 40) * NS_PER_MS;
	if (chance_hits(&actor->chance, scenario->slow))
		return chance_between(&actor->chance, 0, scenario->slow_ms) * NS_PER_MS;
	return NS_PER_MS + chance_skewed(&actor->chance, 0, scenario->latency_ms * NS_PER_MS);
}

static int64_t draw_late_ns(struct actor *actor)
{
	return chance_skewed(&actor->chance, 0, (actor->world->scenario->late_ms + 1000) * NS_PER_MS);
}

static bool draw_effect(struct actor *actor, struct message *message)
{
	const struct scenario *scenario = actor->world->scenario;
	int drawn = (int)chance_between(&actor->chance, 0, 999);

	message->effect = EFFECT_ANSWER;
	if (actor->world->quiet)
		return true;
	if ((drawn -= scenario->lost_request) < 0)
		return false;
	if ((drawn -= scenario->late_request) < 0) {
		message->at_ns += TIMEOUT_MS * NS_PER_MS / 2 + draw_late_ns(actor);
		message->effect = EFFECT_SILENCE;
		message->attempt = 0;
	} else if ((drawn -= scenario->lost_reply) < 0) {
		message->effect = EFFECT_SILENCE;
	} else if ((drawn -= scenario->reset_reply) < 0) {
		message->effect = EFFECT_RESET;
	} else if ((drawn -= scenario->server_error) < 0) {
		message->effect = chance_hits(&actor->chance, 500) ? EFFECT_ERROR : EFFECT_ERROR_DONE;
	} else if ((drawn -= scenario->throttled) < 0) {
		message->effect = EFFECT_THROTTLED;
	} else {
		return true;
	}
	return true;
}

/* libcurl's: the first copy goes on a kept connection that dies, the second is the one that is answered. */
static void resend(struct attempt *attempt, const struct message *message)
{
	struct message copy = *message;

	attempt->resent = true;
	copy.attempt = 0;
	copy.effect = EFFECT_SILENCE;
	if (chance_hits(&attempt->actor->chance, 300))
		copy.at_ns += draw_late_ns(attempt->actor);
	world_send(attempt->actor->world, &copy);
}

/* A proxy's: it tries again where it has heard nothing, and hands on the answer to its second try. */
static void deliver_twice(struct attempt *attempt, const struct message *message)
{
	struct message copy = *message;

	attempt->actor->call.doubled = true;
	copy.attempt = 0;
	copy.effect = EFFECT_SILENCE;
	copy.request.doubled = true;
	if (chance_hits(&attempt->actor->chance, 200))
		copy.at_ns += draw_late_ns(attempt->actor);
	world_send(attempt->actor->world, &copy);
}

static void note_fault(struct actor *actor)
{
	actor->world->counts.faults++;
	actor->call.faults++;
}

static void post(struct attempt *attempt)
{
	struct actor *actor = attempt->actor;
	struct world *world = actor->world;
	struct message message = { .at_ns = world->now_ns + draw_way_ns(actor), .back_ns = draw_way_ns(actor) };
	bool goes;

	message.attempt = ++actor->attempt;
	message.request = *attempt->request;
	message.request.signed_ms =
		server_time_guess_ms(&actor->store.store.time, machine_boot_ns(actor), machine_real_ns(actor));
	message.drops_date = !world->quiet && chance_hits(&actor->chance, world->scenario->no_date);
	actor->answered = false;
	actor->call.requests++;
	world->counts.requests++;
	goes = draw_effect(actor, &message);
	if (!goes || message.effect != EFFECT_ANSWER)
		note_fault(actor);
	if (goes && attempt->on_kept_connection && !world->quiet &&
	    chance_hits(&actor->chance, world->scenario->resent)) {
		note_fault(actor);
		resend(attempt, &message);
		message.at_ns += draw_way_ns(actor);
	}
	if (goes && !world->quiet && chance_hits(&actor->chance, world->scenario->doubled)) {
		note_fault(actor);
		deliver_twice(attempt, &message);
		message.at_ns += draw_way_ns(actor);
	}
	if (goes)
		world_send(world, &message);
	else
		trace(world, actor->index, "a request is lost");
}

static awsflock_code fail(struct attempt *attempt, awsflock_code code, enum retry_cause cause, bool unknown)
{
	attempt->cause = cause;
	attempt->unknown = unknown;
	return error_set(attempt->error, code, "a fault of the simulation");
}

static awsflock_code judge(struct attempt *attempt, struct answer *answer)
{
	const struct message *inbox = &attempt->actor->inbox;

	*answer = inbox->answer;
	if (answer->has_date)
		server_time_observe(&attempt->actor->store.store.time, answer->date_s, attempt->sent_boot_ns,
				    attempt->actor->call.answered_boot_ns);
	switch (inbox->effect) {
	case EFFECT_ERROR:
	case EFFECT_ERROR_DONE:
		return fail(attempt, AWSFLOCK_UNREACHABLE, RETRY_TRANSIENT, true);
	case EFFECT_THROTTLED:
		return fail(attempt, AWSFLOCK_THROTTLED, RETRY_THROTTLED, attempt->resent);
	default:
		break;
	}
	if (answer->skewed)
		return fail(attempt, AWSFLOCK_CLOCK_SKEW, RETRY_CLOCK_SKEW, attempt->resent);
	attempt->unknown = attempt->resent;
	return AWSFLOCK_OK;
}

static awsflock_code try_once(struct attempt *attempt, int64_t give_up_boot_ns, struct answer *answer)
{
	struct actor *actor = attempt->actor;
	struct world *world = actor->world;
	enum ending ending;
	int64_t refused_ns;

	attempt->on_kept_connection = actor->store.connected;
	attempt->sent_boot_ns = machine_boot_ns(actor);
	attempt->until_boot_ns =
		attempt->sent_boot_ns +
		retry_attempt_ms(&actor->store.retry, &actor->runtime, TIMEOUT_MS, give_up_boot_ns) * NS_PER_MS;
	if (attempt->until_boot_ns <= attempt->sent_boot_ns)
		return fail(attempt, AWSFLOCK_UNREACHABLE, RETRY_NOT, false);
	if (!world->quiet && chance_hits(&actor->chance, world->scenario->not_sent)) {
		note_fault(actor);
		actor->attempt++;
		actor->answered = false;
		refused_ns = attempt->sent_boot_ns + chance_skewed(&actor->chance, 0, CONNECT_TIMEOUT_NS);
		await(actor, refused_ns < attempt->until_boot_ns ? refused_ns : attempt->until_boot_ns);
		return fail(attempt, AWSFLOCK_UNREACHABLE, RETRY_TRANSIENT, false);
	}
	attempt->sent = true;
	post(attempt);
	ending = await(actor, attempt->until_boot_ns);
	actor->store.connected = ending == ENDING_ANSWERED && actor->inbox.effect != EFFECT_RESET &&
				 !chance_hits(&actor->chance, 100);
	actor->call.answered_boot_ns = machine_boot_ns(actor);
	if (ending == ENDING_STOPPED)
		return fail(attempt, AWSFLOCK_CANCELLED, RETRY_NOT, true);
	if (ending == ENDING_TIMED_OUT || actor->inbox.effect == EFFECT_RESET)
		return fail(attempt, AWSFLOCK_UNREACHABLE, RETRY_TRANSIENT, true);
	return judge(attempt, answer);
}

awsflock_code network_call(struct actor *actor, struct request *request, int64_t give_up_boot_ns,
			   struct store_reply *reply, struct answer *answer, awsflock_error *error)
{
	struct retry *retry = &actor->store.retry;
	awsflock_code code = AWSFLOCK_OK;
	bool again = true;

	if (actor->dead || runtime_stop_requested(&actor->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "told to stop");
	request->actor = actor->index;
	request->call = actor->call.number;
	request->lease = actor->call.lease;
	request->breaks = actor->call.kind == CALL_BREAK;
	request->time_was_known = actor->store.store.time.known;
	request->wall_error_ms = actor->real_error_ns / NS_PER_MS;
	reply->first_sent_boot_ns = machine_boot_ns(actor);
	retry_begin(retry);
	while (again) {
		struct attempt attempt = { .actor = actor, .request = request, .error = error };

		code = try_once(&attempt, give_up_boot_ns, answer);
		reply->sent = reply->sent || attempt.sent;
		reply->attempt_unknown = reply->attempt_unknown || attempt.unknown;
		reply->maybe_applied = reply->maybe_applied || attempt.unknown;
		again = code != AWSFLOCK_OK && retry_again(retry, &actor->runtime, attempt.cause, give_up_boot_ns);
	}
	if (code == AWSFLOCK_OK)
		retry_succeeded(retry);
	else if (actor->dead || runtime_stop_requested(&actor->runtime))
		code = error_set(error, AWSFLOCK_CANCELLED, "told to stop");
	reply->received_boot_ns = actor->call.answered_boot_ns;
	reply->has_store_time = code == AWSFLOCK_OK && answer->has_date;
	reply->store_time_ms = answer->date_s * MS_PER_S;
	return code;
}

/* ---- The store ----------------------------------------------------------------------------------------------- */

static void take_item(struct world *world, const struct row *row, struct store_reply *reply)
{
	struct lock_item *item = &reply->item;

	reply->has_item = row->present != 0;
	if (!reply->has_item)
		return;
	item->lock_id = strdup(LOCK_NAME);
	item->lease_id = strdup(world->ids[row->value[LEASE_ID]].text);
	item->owner = strdup("somebody");
	item->lease_duration = row->value[LEASE_DURATION];
	item->expiration_time = row->value[EXPIRATION_TIME];
	item->expires_store_ms = item->expiration_time * MS_PER_S;
	item->fence = row_has(row, FENCE) && row->value[FENCE] > 0 ? (uint64_t)row->value[FENCE] : 0;
	item->acquired_time = row_has(row, ACQUIRED_TIME) ? row->value[ACQUIRED_TIME] : 0;
	item->released = row_has(row, RELEASED_TIME);
	if (row_has(row, BROKEN_BY))
		item->broken_by = strdup("an administrator");
	if (!item->lock_id || !item->lease_id || !item->owner)
		abort();
}

static void make_slots(struct world *world, const struct store_write *write, struct request *request)
{
	int64_t serial = serial_of(write->lease_id);

	memcpy(world->ids[serial].text, write->lease_id, AWSFLOCK_LEASE_ID_SIZE);
	request->slots[SLOT_LEASE_ID] = serial;
	request->slots[SLOT_LEASE_DURATION] = write->lease_duration;
	request->slots[SLOT_EXPIRATION_TIME] = write->expiration_time;
	request->slots[SLOT_FENCE] = (int64_t)write->fence;
	request->slots[SLOT_NOW] = write->now_time;
	request->slots[SLOT_ONE] = 1;
	request->accepted_count = (int)write->accepted_count;
	for (size_t i = 0; i < write->accepted_count; i++)
		request->slots[SLOT_ACCEPTED + i] = serial_of(write->accepted[i]);
}

static awsflock_code simulated_write(struct store *store, const struct store_write *write,
				     struct store_reply *reply, awsflock_error *error)
{
	struct actor *actor = (struct actor *)store->runtime;
	struct world *world = actor->world;
	struct request request = { .kind = REQUEST_WRITE, .write_kind = write->kind };
	struct answer answer = { 0 };
	awsflock_code code;

	*reply = (struct store_reply){ 0 };
	if (write->kind != STORE_ACQUIRE && write->accepted_count == 0)
		return error_set(error, AWSFLOCK_INTERNAL, "a write under no lease id");
	make_slots(world, write, &request);
	request.program = program_for(write, request.slots);
	code = network_call(actor, &request, write->give_up_boot_ns, reply, &answer, error);
	if (code != AWSFLOCK_OK)
		return code;
	reply->outcome = answer.refused ? STORE_REFUSED : STORE_APPLIED;
	if (!answer.refused)
		reply->maybe_applied = true;
	if (answer.refused && world->scenario->hides_items)
		reply->item_unknown = true;
	else
		take_item(world, &answer.row, reply);
	return AWSFLOCK_OK;
}

static awsflock_code simulated_read(struct store *store, const char *lock, bool consistent, int64_t give_up_boot_ns,
				    struct store_reply *reply, awsflock_error *error)
{
	struct actor *actor = (struct actor *)store->runtime;
	struct request request = { .kind = consistent ? REQUEST_READ : REQUEST_STALE_READ };
	struct answer answer = { 0 };
	awsflock_code code;

	(void)lock;
	*reply = (struct store_reply){ 0 };
	code = network_call(actor, &request, give_up_boot_ns, reply, &answer, error);
	if (code == AWSFLOCK_CLOCK_SKEW && answer.has_date) {
		*reply = (struct store_reply){ 0 };
		code = network_call(actor, &request, give_up_boot_ns, reply, &answer, error);
	}
	reply->attempt_unknown = reply->maybe_applied = false;
	if (code == AWSFLOCK_OK)
		take_item(actor->world, &answer.row, reply);
	return code;
}

static const struct store_ops simulated_ops = { .write = simulated_write, .read = simulated_read };

void network_init_store(struct actor *actor)
{
	static char where[] = "the simulated table";

	actor->store = (struct simulated_store){
		.store = { .ops = &simulated_ops, .runtime = &actor->runtime, .where = where },
	};
	server_time_init(&actor->store.store.time);
	retry_init(&actor->store.retry);
}
