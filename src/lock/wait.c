/* See wait.h.
 *
 * A failed conditional write costs a whole write unit, an eventually consistent read half a read unit: so the first
 * look is a write, the following ones are reads, and a write comes again when the lock looks free, its lease and
 * the grace have run out, or the wait is at its end.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/wait.h"

#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"
#include "lock/describe.h"

#define SHORTEST_PAUSE_MS INT64_C(250)

struct wait {
	struct store *store;
	const struct wait_options *options;
	struct acquisition acquisition;
	int64_t started_boot_ns, end_boot_ns;
	int64_t pause_ms;
	bool answered; /* the store has answered once: trouble after that is weathered, before it is reported */
};

static bool is_passing_trouble(awsflock_code code)
{
	return code == AWSFLOCK_UNREACHABLE || code == AWSFLOCK_THROTTLED;
}

/* Decorrelated jitter: a random pause between the shortest and three times the last, up to the poll interval.
 * (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.) */
static int64_t next_pause_ms(struct wait *wait)
{
	int64_t longest = wait->options->poll_interval_ms;
	int64_t shortest = SHORTEST_PAUSE_MS < longest ? SHORTEST_PAUSE_MS : longest;
	int64_t high = wait->pause_ms * 3;

	if (high > longest)
		high = longest;
	if (high < shortest)
		high = shortest;
	wait->pause_ms = runtime_random_between(wait->store->runtime, shortest, high);
	return wait->pause_ms;
}

static bool at_end(const struct wait *wait)
{
	return runtime_boot_ns(wait->store->runtime) >= wait->end_boot_ns;
}

static void notify(struct wait *wait)
{
	int64_t waited_ns = runtime_boot_ns(wait->store->runtime) - wait->started_boot_ns;

	if (wait->options->notice && wait->acquisition.has_seen)
		wait->options->notice(wait->options->notice_arg, &wait->acquisition.seen, waited_ns / NS_PER_MS);
}

/* AWSFLOCK_HELD where the lock is still held, AWSFLOCK_OK where a try is worth its price. */
static awsflock_code look_at_holder(struct wait *wait, awsflock_error *error)
{
	struct store *store = wait->store;
	struct acquisition *acquisition = &wait->acquisition;
	struct store_reply reply = { 0 };
	awsflock_code code =
		store->ops->read(store, acquisition->request->lock, false, wait->end_boot_ns, &reply, error);

	if (code == AWSFLOCK_OK && !reply.has_store_time)
		code = operation_no_store_time(store, error);
	if (code == AWSFLOCK_OK) {
		acquisition_see(acquisition, &reply);
		if (acquisition->has_seen && !acquisition_can_take_over(acquisition))
			code = AWSFLOCK_HELD;
	} else if (is_passing_trouble(code) || (at_end(wait) && code != AWSFLOCK_CANCELLED)) {
		runtime_log(store->runtime, AWSFLOCK_LOG_NOTICE, "still waiting: %s", error->message);
		code = AWSFLOCK_HELD;
	}
	store_reply_clear(&reply);
	return code;
}

/* Sleeps and looks until a try is worth its price or the wait is at its end. */
static awsflock_code pause_until_worth_a_try(struct wait *wait, awsflock_error *error)
{
	struct runtime *runtime = wait->store->runtime;
	struct acquisition *acquisition = &wait->acquisition;
	awsflock_code code = AWSFLOCK_HELD;

	while (code == AWSFLOCK_HELD) {
		int64_t now_ns = runtime_boot_ns(runtime);
		int64_t wake = now_ns + next_pause_ms(wait) * NS_PER_MS;
		int64_t over = acquisition->has_seen ? acquisition_over_boot_ns(acquisition) : now_ns;

		notify(wait);
		if (over > now_ns && over < wake) /* it was over before: then a try has just failed */
			wake = over;
		if (wait->end_boot_ns < wake)
			wake = wait->end_boot_ns;
		if (!runtime_sleep_until(runtime, wake))
			return error_set(error, AWSFLOCK_CANCELLED, "cancelled while waiting for '%s'",
					 acquisition->request->lock);
		if (at_end(wait) || (acquisition->has_seen && acquisition_can_take_over(acquisition)))
			return AWSFLOCK_OK;
		code = look_at_holder(wait, error);
	}
	return code;
}

static awsflock_code wait_is_over(struct wait *wait, awsflock_error *error)
{
	char held[AWSFLOCK_ERROR_MESSAGE_SIZE] = "it is still held";
	char waited[40];
	awsflock_error holder;

	if (wait->acquisition.has_seen) {
		describe_held(wait->store, &wait->acquisition.seen, &holder);
		text_sanitise(holder.message, held, sizeof(held));
	}
	text_duration((wait->options->wait_ms + MS_PER_S - 1) / MS_PER_S, waited, sizeof(waited));
	return error_set(error, AWSFLOCK_TIMED_OUT, "not acquired within %s: %s", waited, held);
}

/* What to do after a try: AWSFLOCK_OK to go on waiting, anything else to end with it. */
static awsflock_code judge_try(struct wait *wait, awsflock_code code, bool was_last, awsflock_error *error)
{
	switch (code) {
	case AWSFLOCK_HELD:
		wait->answered = true;
		if (wait->options->wait_ms == 0)
			return AWSFLOCK_HELD;
		return was_last ? wait_is_over(wait, error) : AWSFLOCK_OK;
	case AWSFLOCK_TIMED_OUT: /* granted too late, and given back */
		wait->answered = true;
		return was_last ? AWSFLOCK_TIMED_OUT : AWSFLOCK_OK;
	default:
		if (!is_passing_trouble(code) || !wait->answered || was_last)
			return code;
		runtime_log(wait->store->runtime, AWSFLOCK_LOG_NOTICE, "still waiting: %s", error->message);
		return AWSFLOCK_OK;
	}
}

/* A try in the middle of a wait that never ends may take what time the store's own timeouts allow; in one that ends it
 * leaves the last try its time.  The first one has to connect, and may have to find credentials. */
static int64_t try_ends_boot_ns(const struct wait *wait, bool is_last)
{
	if (wait->end_boot_ns == INT64_MAX)
		return INT64_MAX;
	if (wait->options->wait_ms == 0)
		return wait->end_boot_ns + STORE_ONE_TRY_MS * NS_PER_MS;
	return wait->end_boot_ns + (is_last || !wait->answered ? WAIT_LAST_TRY_MS * NS_PER_MS : 0);
}

/* Something may be left of a call that fails. */
static void leave(struct wait *wait, awsflock_error *error)
{
	struct pending_writes *pending = &wait->acquisition.pending;

	error->outcome_unknown = pending->left_behind || (wait->options->owed && pending->may_hold);
	if (wait->options->owed) {
		owed_take_over(wait->options->owed, pending);
		return;
	}
	pending->give_up_boot_ns = INT64_MAX;
	pending_writes_give_back(pending, true);
	error->outcome_unknown = pending->left_behind;
}

awsflock_code wait_acquire(struct store *store, const struct lease_request *request,
			   const struct wait_options *options, struct lease **out, awsflock_error *error)
{
	struct wait wait = { .store = store, .options = options, .end_boot_ns = INT64_MAX };
	awsflock_error own_error;
	awsflock_code code = AWSFLOCK_OK;

	if (!error)
		error = &own_error; /* its text goes to the log */
	acquisition_init(&wait.acquisition, store, request);
	wait.started_boot_ns = runtime_boot_ns(store->runtime);
	if (options->wait_ms != AWSFLOCK_WAIT_FOREVER)
		wait.end_boot_ns = wait.started_boot_ns + options->wait_ms * NS_PER_MS;
	while (code == AWSFLOCK_OK) {
		bool last = at_end(&wait);

		wait.acquisition.pending.give_up_boot_ns = try_ends_boot_ns(&wait, last);
		code = acquisition_try(&wait.acquisition, out, error);
		if (code == AWSFLOCK_OK)
			break;
		code = judge_try(&wait, code, last, error);
		if (code == AWSFLOCK_OK)
			code = pause_until_worth_a_try(&wait, error);
	}
	if (code != AWSFLOCK_OK)
		leave(&wait, error);
	acquisition_clear(&wait.acquisition);
	return code;
}
