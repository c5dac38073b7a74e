/* Waiting for a lock.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <string.h>

#include "lock/wait.h"
#include "lock_world.h"

static void count_notice(void *arg, const struct lock_item *holder, int64_t waited_ms)
{
	struct world *world = arg;

	(void)waited_ms;
	assert_string_equal(holder->lock_id, LOCK);
	world->notices++;
	/* The moment at which somebody else would give the lock back. */
	if (world->free_at_boot_ns && world->runtime.boot_ns >= world->free_at_boot_ns && world->other) {
		assert_int_equal(lease_release(world->other, false, &world->error), AWSFLOCK_OK);
		lease_free(&world->other);
	}
}

static awsflock_code acquire(struct world *world, int64_t wait_ms, int64_t seconds, struct lease **out)
{
	struct lease_request request = { .lock = LOCK, .seconds = seconds, .owner = "me" };
	struct wait_options options = {
		.wait_ms = wait_ms,
		.poll_interval_ms = 2000,
		.notice = count_notice,
		.notice_arg = world,
	};

	return wait_acquire(&world->store.store, &request, &options, out, &world->error);
}

static void hold(struct world *world, int64_t seconds)
{
	assert_int_equal(acquire(world, 0, seconds, &world->other), AWSFLOCK_OK);
}

static void one_try_without_a_wait_never_sleeps(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 60);
	assert_int_equal(acquire(&world, 0, 60, &world.lease), AWSFLOCK_HELD);
	assert_int_equal(world.runtime.sleeps, 0);
	assert_int_equal(world.notices, 0);
	world_clear(&world);
}

static void a_wait_ends_when_it_was_asked_to(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 600);

	int64_t start = world.runtime.boot_ns;

	assert_int_equal(acquire(&world, 30000, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_true(world.runtime.boot_ns == start + 30 * NS_PER_S);
	assert_non_null(strstr(world.error.message, "30s"));
	assert_non_null(strstr(world.error.message, "held by me"));
	world_clear(&world);
}

static void waiting_reads_between_a_first_and_a_last_write(void **state)
{
	struct world world;
	unsigned writes;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	writes = world.store.writes;
	assert_int_equal(acquire(&world, 30000, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_int_equal(world.store.writes - writes, 2);
	assert_in_range(world.store.reads, 14, 60);
	world_clear(&world);
}

static void a_lock_that_becomes_free_is_taken_within_the_poll_interval(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	world.free_at_boot_ns = world.runtime.boot_ns + 10 * NS_PER_S;
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_true(world.runtime.boot_ns <= world.free_at_boot_ns + 4 * NS_PER_S);
	world_clear(&world);
}

static void the_lease_counts_from_the_grant_not_from_the_start_of_the_wait(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	world.free_at_boot_ns = world.runtime.boot_ns + 100 * NS_PER_S;
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_true(lease_deadline_boot_ns(world.lease) > world.runtime.boot_ns + 58 * NS_PER_S);
	world_clear(&world);
}

static void a_crashed_holders_lock_is_taken_when_its_lease_and_the_grace_are_over(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 60);

	int64_t start = world.runtime.boot_ns;

	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_in_range(world.runtime.boot_ns, start + 67 * NS_PER_S, start + 69 * NS_PER_S);
	assert_true(world.lease->fence > world.other->fence);
	world_clear(&world);
}

/* Its writer's clock was two days fast, and it ended before it could correct what it had written. */
static void a_lease_with_an_expiry_far_ahead_is_taken_once_it_was_watched_for_its_duration(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 60);
	fake_store_item(&world.store, LOCK)->expiration_time += 2 * 86400;
	fake_store_item(&world.store, LOCK)->expires_store_ms += 2 * 86400 * MS_PER_S;

	int64_t start = world.runtime.boot_ns;

	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_in_range(world.runtime.boot_ns, start + 67 * NS_PER_S, start + 72 * NS_PER_S);
	assert_true(world.lease->fence > world.other->fence);
	world_clear(&world);
}

/* It has no fence by which a holder that goes on could be told from its successor: its expiration alone counts. */
static void a_lease_of_python_that_expires_later_than_its_duration_is_not_taken_by_watching(void **state)
{
	static const char id[] = "11111111-1111-4111-8111-111111111111";
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_put_python(&world.store, LOCK, id, FAKE_EPOCH_START_S + 3600);
	fake_store_item(&world.store, LOCK)->lease_duration = 60;
	assert_int_equal(acquire(&world, 600 * MS_PER_S, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, id);
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_true(fake_server_now_s(&world.store) > FAKE_EPOCH_START_S + 3600);
	world_clear(&world);
}

/* The replies to the looks of the wait come from a server whose clock is a day fast, those to second looks do not. */
static const struct store_ops *ops_of_fake;
static unsigned second_looks;

static awsflock_code read_by_two_clocks(struct store *store, const char *lock, bool consistent,
					int64_t give_up_boot_ns, struct store_reply *reply, awsflock_error *error)
{
	((struct fake_store *)store)->server_offset_ns = consistent ? 0 : 86400 * NS_PER_S;
	second_looks += consistent;
	return ops_of_fake->read(store, lock, consistent, give_up_boot_ns, reply, error);
}

static void each_doubtful_reclaim_of_one_wait_gets_a_second_look(void **state)
{
	struct world world;
	struct store_ops ops;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	ops_of_fake = world.store.store.ops;
	ops = *ops_of_fake;
	ops.read = read_by_two_clocks;
	world.store.store.ops = &ops;
	second_looks = 0;
	assert_int_equal(acquire(&world, 30 * MS_PER_S, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, world.other->current_id);
	assert_true(second_looks > 5);
	world.store.store.ops = ops_of_fake;
	world_clear(&world);
}

static void renew_in_time(void *arg, const struct lock_item *holder, int64_t waited_ms)
{
	struct world *world = arg;

	(void)holder;
	(void)waited_ms;
	if (lease_deadline_boot_ns(world->other) - world->runtime.boot_ns < 20 * NS_PER_S)
		assert_int_equal(lease_renew(world->other, 60, NULL, INT64_MAX, &world->error), AWSFLOCK_OK);
}

static void a_lease_that_is_renewed_is_never_watched_for_its_duration(void **state)
{
	struct world world;
	struct lease_request request = { .lock = LOCK, .seconds = 60, .owner = "me" };
	struct wait_options options = {
		.wait_ms = 600 * MS_PER_S, .poll_interval_ms = 2000, .notice = renew_in_time, .notice_arg = &world
	};

	(void)state;
	world_init(&world);
	hold(&world, 60);
	assert_int_equal(wait_acquire(&world.store.store, &request, &options, &world.lease, &world.error),
			 AWSFLOCK_TIMED_OUT);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, world.other->current_id);
	world_clear(&world);
}

/* ---- Time that is promised ----------------------------------------------------------------------------------- */

static void reads_that_stall_end_with_the_wait_and_the_last_try_is_made(void **state)
{
	struct world world;
	int64_t start;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	world.store.reads_stall = true;
	start = world.runtime.boot_ns;
	assert_int_equal(acquire(&world, 5000, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_true(world.runtime.boot_ns == start + 5 * NS_PER_S);
	assert_int_equal(world.store.writes, 3);
	world_clear(&world);
}

static void a_look_that_fails_at_the_end_of_the_wait_does_not_cost_the_last_try(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 3);
	world.store.reads_stall = true;
	assert_int_equal(acquire(&world, 12000, 60, &world.lease), AWSFLOCK_OK);
	world_clear(&world);
}

static awsflock_code acquire_owing(struct world *world, int64_t wait_ms, struct owed *owed)
{
	struct lease_request request = { .lock = LOCK, .seconds = 60, .owner = "me" };
	struct wait_options options = { .wait_ms = wait_ms, .poll_interval_ms = 2000, .owed = owed };

	return wait_acquire(&world->store.store, &request, &options, &world->lease, &world->error);
}

static void a_store_that_never_answers_is_given_up_in_time(void **state)
{
	static const int64_t waits_ms[] = { 0, 1, 1000, 5000, 30000, 3600 * MS_PER_S };

	(void)state;
	for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); i++) {
		int64_t most_ms = waits_ms[i] == 0 ? STORE_ONE_TRY_MS : waits_ms[i] + WAIT_LAST_TRY_MS;
		struct world world;
		struct owed owed;
		int64_t start;

		world_init(&world);
		world.store.reads_stall = world.store.writes_stall = true;
		start = world.runtime.boot_ns;
		assert_int_equal(acquire_owing(&world, waits_ms[i], &owed), AWSFLOCK_UNREACHABLE);
		assert_in_range(world.runtime.boot_ns - start, 0, most_ms * NS_PER_MS);
		assert_true(world.error.outcome_unknown);
		assert_int_equal(owed.ids.count, 1);
		world_clear(&world);
	}
}

static void stop_answering(struct store *store, void *arg)
{
	struct world *world = arg;

	(void)store;
	world->store.reads_stall = world->store.writes_stall = true;
}

static void a_store_that_stops_answering_during_a_wait_is_given_up_in_time(void **state)
{
	static const int64_t leases_s[] = { 1, 20, 600 };

	(void)state;
	for (size_t i = 0; i < sizeof(leases_s) / sizeof(leases_s[0]); i++) {
		struct world world;
		struct owed owed;
		int64_t start;

		world_init(&world);
		hold(&world, leases_s[i]);
		fake_store_plan(&world.store, FAULT_NONE)->after = stop_answering;
		start = world.runtime.boot_ns;
		assert_int_equal(acquire_owing(&world, 30000, &owed), AWSFLOCK_UNREACHABLE);
		assert_in_range(world.runtime.boot_ns - start, 0, 35 * NS_PER_S);
		world_clear(&world);
	}
}

/* The lease of whoever held it is over in the middle of the wait; the try then gets no answer. */
static void a_try_in_the_middle_of_a_wait_leaves_the_last_one_its_time(void **state)
{
	struct world world;
	struct owed owed;

	(void)state;
	world_init(&world);
	hold(&world, 1);
	fake_store_plan(&world.store, FAULT_NONE);
	fake_store_plan(&world.store, FAULT_LOST_REQUEST)->request_ns = 21 * NS_PER_S;
	assert_int_equal(acquire_owing(&world, 30000, &owed), AWSFLOCK_OK);
	assert_true(world.store.give_up_boot_ns > FAKE_BOOT_START_NS + 30 * NS_PER_S);
	world_clear(&world);
}

static void what_is_owed_is_given_back_later(void **state)
{
	struct world world;
	struct owed owed;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_LOST_REPLY);
	assert_int_equal(acquire_owing(&world, 0, &owed), AWSFLOCK_UNREACHABLE);
	assert_false(fake_store_item(&world.store, LOCK)->released);
	assert_in_range(owed.until_boot_ns, FAKE_BOOT_START_NS + 60 * NS_PER_S, FAKE_BOOT_START_NS + 63 * NS_PER_S);
	fake_store_plan(&world.store, FAULT_NOT_SENT);
	assert_int_equal(owed_give_back(&owed, &world.store.store, LOCK, &world.error), AWSFLOCK_UNREACHABLE);
	assert_int_equal(owed_give_back(&owed, &world.store.store, LOCK, &world.error), AWSFLOCK_OK);
	assert_true(fake_store_item(&world.store, LOCK)->released);
	assert_int_equal(owed.ids.count, 0);
	world_clear(&world);
}

static void a_refusal_owes_nothing(void **state)
{
	struct world world;
	struct owed owed;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	assert_int_equal(acquire_owing(&world, 5000, &owed), AWSFLOCK_TIMED_OUT);
	assert_false(world.error.outcome_unknown);
	assert_int_equal(owed.ids.count, 0);
	world_clear(&world);
}

static void a_grant_that_comes_too_late_is_given_back_within_the_time_of_the_answer(void **state)
{
	struct world world;
	struct owed owed;
	int64_t start;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NO_DATE)->after = stop_answering;
	start = world.runtime.boot_ns;
	assert_int_equal(acquire_owing(&world, 0, &owed), AWSFLOCK_PROTOCOL);
	assert_in_range(world.runtime.boot_ns - start, 0, STORE_ONE_TRY_MS * NS_PER_MS);
	assert_int_not_equal(owed.ids.count, 0);
	world_clear(&world);
}

static void an_order_to_stop_ends_the_wait_and_leaves_nothing(void **state)
{
	struct world world;
	char id[AWSFLOCK_LEASE_ID_SIZE];

	(void)state;
	world_init(&world);
	hold(&world, 600);
	memcpy(id, world.other->current_id, sizeof(id));
	world.runtime.stop_at_boot_ns = world.runtime.boot_ns + 3 * NS_PER_S;
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_CANCELLED);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, id);
	world_clear(&world);
}

static void trouble_before_the_first_answer_is_told_at_once(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NOT_SENT);
	assert_int_equal(acquire(&world, 60000, 60, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_int_equal(world.runtime.sleeps, 0);
	world_clear(&world);
}

static void trouble_after_the_first_answer_is_weathered(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 10);
	fake_store_plan(&world.store, FAULT_NONE);
	fake_store_plan(&world.store, FAULT_NOT_SENT);
	fake_store_plan(&world.store, FAULT_THROTTLED);
	assert_int_equal(acquire(&world, 60000, 60, &world.lease), AWSFLOCK_OK);
	world_clear(&world);
}

static void trouble_at_a_lock_that_looks_free_is_not_hammered(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 10);
	fake_store_plan(&world.store, FAULT_NONE);
	for (int i = 0; i < 20; i++)
		fake_store_plan(&world.store, FAULT_NOT_SENT);

	int64_t start = world.runtime.boot_ns;

	assert_int_equal(acquire(&world, 60000, 60, &world.lease), AWSFLOCK_OK);
	assert_true(world.runtime.boot_ns >= start + 17 * NS_PER_S + 20 * 250 * NS_PER_MS);
	world_clear(&world);
}

static void a_try_taken_unseen_during_the_wait_is_found_to_be_ours(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 10);
	fake_store_plan(&world.store, FAULT_NONE);       /* held */
	fake_store_plan(&world.store, FAULT_LOST_REPLY); /* the reclaim, carried out unseen */
	assert_int_equal(acquire(&world, 60000, 60, &world.lease), AWSFLOCK_OK);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void stop_now(struct store *store, void *arg)
{
	struct world *world = arg;

	(void)store;
	world->runtime.stop_at_boot_ns = world->runtime.boot_ns;
}

static void a_wait_that_fails_gives_back_what_it_may_have_taken(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 10);
	fake_store_plan(&world.store, FAULT_NONE);
	fake_store_plan(&world.store, FAULT_LOST_REPLY)->after = stop_now;
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_CANCELLED);
	assert_true(fake_store_item(&world.store, LOCK)->released);
	world_clear(&world);
}

static void a_call_that_cannot_give_back_says_that_something_may_be_left(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = 61 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_NOT_SENT);
	assert_int_not_equal(acquire(&world, 0, 60, &world.lease), AWSFLOCK_OK);
	assert_true(world.error.outcome_unknown);
	world_clear(&world);
}

static void a_try_of_unknown_outcome_is_not_forgotten_at_the_end_of_the_wait(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	hold(&world, 600);
	fake_store_plan(&world.store, FAULT_NONE);
	fake_store_plan(&world.store, FAULT_LOST_REQUEST);
	assert_int_equal(acquire(&world, 5000, 60, &world.lease), AWSFLOCK_UNREACHABLE);
	assert_true(world.error.outcome_unknown);
	fake_store_plan(&world.store, FAULT_RETRIED);
	assert_int_equal(acquire(&world, 5000, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_true(world.error.outcome_unknown);
	assert_int_equal(acquire(&world, 5000, 60, &world.lease), AWSFLOCK_TIMED_OUT);
	assert_false(world.error.outcome_unknown);
	world_clear(&world);
}

static void a_lock_granted_too_late_is_given_back_and_tried_again(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	fake_store_plan(&world.store, FAULT_NONE)->reply_ns = 61 * NS_PER_S;
	assert_int_equal(acquire(&world, AWSFLOCK_WAIT_FOREVER, 60, &world.lease), AWSFLOCK_OK);
	assert_true(lease_deadline_boot_ns(world.lease) > world.runtime.boot_ns);
	world_clear(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_try_without_a_wait_never_sleeps),
		cmocka_unit_test(a_wait_ends_when_it_was_asked_to),
		cmocka_unit_test(waiting_reads_between_a_first_and_a_last_write),
		cmocka_unit_test(a_lock_that_becomes_free_is_taken_within_the_poll_interval),
		cmocka_unit_test(the_lease_counts_from_the_grant_not_from_the_start_of_the_wait),
		cmocka_unit_test(a_crashed_holders_lock_is_taken_when_its_lease_and_the_grace_are_over),
		cmocka_unit_test(a_lease_with_an_expiry_far_ahead_is_taken_once_it_was_watched_for_its_duration),
		cmocka_unit_test(a_lease_of_python_that_expires_later_than_its_duration_is_not_taken_by_watching),
		cmocka_unit_test(each_doubtful_reclaim_of_one_wait_gets_a_second_look),
		cmocka_unit_test(a_lease_that_is_renewed_is_never_watched_for_its_duration),
		cmocka_unit_test(reads_that_stall_end_with_the_wait_and_the_last_try_is_made),
		cmocka_unit_test(a_look_that_fails_at_the_end_of_the_wait_does_not_cost_the_last_try),
		cmocka_unit_test(a_store_that_never_answers_is_given_up_in_time),
		cmocka_unit_test(a_store_that_stops_answering_during_a_wait_is_given_up_in_time),
		cmocka_unit_test(a_try_in_the_middle_of_a_wait_leaves_the_last_one_its_time),
		cmocka_unit_test(what_is_owed_is_given_back_later),
		cmocka_unit_test(a_refusal_owes_nothing),
		cmocka_unit_test(a_grant_that_comes_too_late_is_given_back_within_the_time_of_the_answer),
		cmocka_unit_test(an_order_to_stop_ends_the_wait_and_leaves_nothing),
		cmocka_unit_test(trouble_before_the_first_answer_is_told_at_once),
		cmocka_unit_test(trouble_after_the_first_answer_is_weathered),
		cmocka_unit_test(trouble_at_a_lock_that_looks_free_is_not_hammered),
		cmocka_unit_test(a_try_taken_unseen_during_the_wait_is_found_to_be_ours),
		cmocka_unit_test(a_wait_that_fails_gives_back_what_it_may_have_taken),
		cmocka_unit_test(a_call_that_cannot_give_back_says_that_something_may_be_left),
		cmocka_unit_test(a_try_of_unknown_outcome_is_not_forgotten_at_the_end_of_the_wait),
		cmocka_unit_test(a_lock_granted_too_late_is_given_back_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
