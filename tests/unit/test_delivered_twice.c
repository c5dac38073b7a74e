/* SPDX-License-Identifier: Apache-2.0
 *
 * A proxy delivers a write twice and hands on the answer to the second copy alone, so that no attempt looks as if its
 * outcome were unknown.  What the first copy did is this operation's own success. */
#include "cmocka_all.h"

#include <string.h>

#include "lock_world.h"

/* Another process, with a clock of its own, that knows the lease by its id. */
static void adopt_with_clock(struct world *world, int64_t clock_error_s)
{
	assert_int_equal(lease_adopt(&world->store.store, LOCK, world->lease->current_id, LEASE_S, &world->other,
				     &world->error),
			 AWSFLOCK_OK);
	server_time_init(&world->store.store.time);
	world->runtime.real_offset_ns += clock_error_s * NS_PER_S;
}

static void an_acquire_is_ours_however_wrong_the_clock_was(void **state)
{
	static const int64_t clock_errors_s[] = { 0, -3, 3, -90, 90, -86400, 86400 };

	(void)state;
	for (size_t i = 0; i < sizeof(clock_errors_s) / sizeof(clock_errors_s[0]); i++) {
		struct world world;

		world_init(&world);
		world.runtime.real_offset_ns += clock_errors_s[i] * NS_PER_S;
		fake_store_plan(&world.store, FAULT_TWICE);
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
		assert_in_range(world_item(&world)->expiration_time, FAKE_EPOCH_START_S + LEASE_S,
				FAKE_EPOCH_START_S + LEASE_S + 4);
		world_clear(&world);
	}
}

static void a_correction_that_comes_twice_is_ours_too(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.runtime.real_offset_ns -= 90 * NS_PER_S;
	fake_store_plan(&world.store, FAULT_TWICE);
	fake_store_plan(&world.store, FAULT_TWICE);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void a_renewal_by_a_wrong_clock_is_told_as_done(void **state)
{
	static const int64_t clock_errors_s[] = { 0, -2, 2, 4, -90, 90 };

	(void)state;
	for (size_t i = 0; i < sizeof(clock_errors_s) / sizeof(clock_errors_s[0]); i++) {
		struct world world;

		world_init(&world);
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		adopt_with_clock(&world, clock_errors_s[i]);
		fake_store_plan(&world.store, FAULT_TWICE);
		assert_int_equal(lease_renew(world.other, 3600, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
		assert_string_equal(world_item(&world)->lease_id, world.other->current_id);
		world_clear(&world);
	}
}

static void a_release_is_told_as_done(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_TWICE);
	assert_int_equal(lease_release(world.lease, false, &world.error), AWSFLOCK_OK);
	assert_true(world_item(&world)->released);
	world_clear(&world);
}

static void an_eviction_is_told_as_done(void **state)
{
	(void)state;
	for (int now = 0; now <= 1; now++) {
		struct world world;

		world_init(&world);
		assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
		fake_store_plan(&world.store, FAULT_TWICE);
		assert_int_equal(lease_break(&world.store.store, LOCK, world.lease->current_id, "root@host",
					     now == 1, &world.error),
				 AWSFLOCK_OK);
		assert_int_equal(world_item(&world)->released, now);
		world_clear(&world);
	}
}

/* Refused for load, the second copy says nothing of the first. */
static void a_renewal_whose_second_copy_is_throttled_leaves_both_ids_good(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_OK);
	fake_store_plan(&world.store, FAULT_TWICE_THEN_THROTTLED);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_THROTTLED);
	assert_int_equal(lease_renew(world.lease, LEASE_S, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	world_clear(&world);
}

/* The first try is refused; its second copy comes when the holder has released the lock, and takes it. */
static void a_late_copy_of_a_refused_try_is_known_as_ours(void **state)
{
	struct world world;
	struct lease_request request = { .lock = LOCK, .seconds = LEASE_S, .owner = "me" };
	struct acquisition acquisition;
	struct store_reply reply;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	world.runtime.boot_ns += 5 * NS_PER_S;
	acquisition_init(&acquisition, &world.store.store, &request);
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_HELD);

	struct store_write copy = {
		.kind = STORE_ACQUIRE,
		.lock = LOCK,
		.lease_id = acquisition.ids.id[0],
		.lease_duration = LEASE_S,
		.expires_store_ms = (FAKE_EPOCH_START_S + 5 + LEASE_S + 2) * MS_PER_S,
		.expiration_time = FAKE_EPOCH_START_S + 5 + LEASE_S + 2,
		.fence = acquisition.pending.highest_fence,
		.owner = "me",
	};

	assert_int_equal(lease_release(world.other, false, &world.error), AWSFLOCK_OK);
	assert_int_equal(world.store.store.ops->write(&world.store.store, &copy, &reply, &world.error),
			 AWSFLOCK_OK);
	assert_int_equal(reply.outcome, STORE_APPLIED);
	store_reply_clear(&reply);
	assert_int_equal(acquisition_try(&acquisition, &world.lease, &world.error), AWSFLOCK_OK);
	assert_true(world.lease->fence > copy.fence);
	assert_string_equal(world_item(&world)->lease_id, world.lease->current_id);
	acquisition_clear(&acquisition);
	world_clear(&world);
}

static void a_refused_try_alone_costs_no_release(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	assert_int_equal(world_try(&world, &world.other), AWSFLOCK_OK);
	assert_int_equal(world_try(&world, &world.lease), AWSFLOCK_HELD);
	assert_int_equal(world.store.writes, 2);
	world_clear(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_acquire_is_ours_however_wrong_the_clock_was),
		cmocka_unit_test(a_correction_that_comes_twice_is_ours_too),
		cmocka_unit_test(a_renewal_by_a_wrong_clock_is_told_as_done),
		cmocka_unit_test(a_release_is_told_as_done),
		cmocka_unit_test(an_eviction_is_told_as_done),
		cmocka_unit_test(a_renewal_whose_second_copy_is_throttled_leaves_both_ids_good),
		cmocka_unit_test(a_late_copy_of_a_refused_try_is_known_as_ours),
		cmocka_unit_test(a_refused_try_alone_costs_no_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
