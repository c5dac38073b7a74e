/* How much time a lease has left, to those who look at it.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"
#include "lock/lease_time.h"
#include "lock_world.h"

#define PYTHONS_ID "11111111-2222-4333-8444-555555555555"

static struct world world;

static int set_up(void **state)
{
	(void)state;
	world_init(&world);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_clear(&world);
	return 0;
}

static void hold(int64_t seconds)
{
	assert_int_equal(world_try_in(&world, &world.store.store, seconds, &world.lease), AWSFLOCK_OK);
}

static int64_t remaining_seconds(void)
{
	return lease_remaining_seconds(&world.store.store, world_item(&world));
}

static void a_lease_begins_with_as_many_seconds_as_it_lasts(void **state)
{
	(void)state;
	hold(900);
	assert_int_equal(remaining_seconds(), 900);
}

static void a_holder_is_never_said_to_have_a_second_that_it_may_not_use(void **state)
{
	(void)state;
	hold(LEASE_S);
	for (int64_t second = 0; second < LEASE_S + 10; second++) {
		int64_t usable_ns = world.lease->deadline_boot_ns - runtime_boot_ns(&world.runtime.runtime);
		int64_t remaining = remaining_seconds();

		/* Short of it, the drift of clocks that the deadline reckons with. */
		assert_true(usable_ns <= 0 ? remaining <= 0 : remaining <= usable_ns / NS_PER_S + 1);
		assert_true(usable_ns <= 0 || remaining >= usable_ns / NS_PER_S - 1);
		world_advance(&world, 1);
	}
}

static void what_a_lease_has_to_spare_is_no_time_left_and_no_end_yet(void **state)
{
	(void)state;
	hold(LEASE_S);
	world_advance(&world, LEASE_S + 1);
	assert_int_equal(remaining_seconds(), 0);
	world_advance(&world, 3);
	assert_true(remaining_seconds() < 0);
}

static void of_a_lease_of_the_older_program_every_second_counts(void **state)
{
	int64_t end = fake_server_now_s(&world.store) + LEASE_S;

	(void)state;
	fake_store_put_python(&world.store, LOCK, PYTHONS_ID, end);
	world_item(&world)->lease_duration = LEASE_S;
	assert_int_equal(remaining_seconds(), LEASE_S);
	world_advance(&world, LEASE_S - 1);
	assert_int_equal(remaining_seconds(), 1);
}

static void the_end_that_a_wrong_clock_wrote_is_told_as_it_is(void **state)
{
	(void)state;
	hold(LEASE_S);
	world_item(&world)->expires_store_ms += 3600 * MS_PER_S;
	assert_int_equal(remaining_seconds(), LEASE_S + 3600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_lease_begins_with_as_many_seconds_as_it_lasts),
		TEST(a_holder_is_never_said_to_have_a_second_that_it_may_not_use),
		TEST(what_a_lease_has_to_spare_is_no_time_left_and_no_end_yet),
		TEST(of_a_lease_of_the_older_program_every_second_counts),
		TEST(the_end_that_a_wrong_clock_wrote_is_told_as_it_is),
#undef TEST
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
