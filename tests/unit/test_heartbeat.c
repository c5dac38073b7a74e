/* Renewing while work runs.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <string.h>

#include "lock/heartbeat.h"
#include "lock_world.h"

#define STOP_MS 5000

static void world_with_a_lease(struct world *world)
{
	world_init(world);
	assert_int_equal(world_try(world, &world->lease), AWSFLOCK_OK);
	world->start = world->runtime.boot_ns;
}

static awsflock_code keep(struct world *world)
{
	return heartbeat_keep(world->lease, STOP_MS, &world->error);
}

#define SIGN_IN_ENDS_S 1800

static int64_t foreseen_ns; /* since the start; 0: not yet */

/* As a store does it whose credentials end then. */
static void foresee(struct store *store, int64_t seconds)
{
	struct world *world = ((struct fake_store *)store)->step_arg;
	int64_t passed_ns = world->runtime.boot_ns - world->start;

	if (foreseen_ns == 0 && SIGN_IN_ENDS_S * NS_PER_S - passed_ns <= seconds * NS_PER_S)
		foreseen_ns = passed_ns;
}

/* However long the lease, and so the time between two renewals, is. */
static void the_end_of_a_sign_in_is_looked_for_ten_minutes_before(void **state)
{
	static const int64_t leases[] = { 15, 600, 7200 };

	(void)state;
	for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++) {
		struct world world;
		struct store_ops ops;

		world_with_a_lease(&world);
		ops = *world.store.store.ops;
		ops.foresee = foresee;
		world.store.store.ops = &ops;
		world.lease->seconds = leases[i];
		assert_int_equal(lease_renew(world.lease, leases[i], NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
		foreseen_ns = 0;
		world.runtime.stop_at_boot_ns = world.start + SIGN_IN_ENDS_S * NS_PER_S;
		assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
		assert_in_range(foreseen_ns / NS_PER_S, SIGN_IN_ENDS_S - 600, SIGN_IN_ENDS_S - 597);
		world_clear(&world);
	}
}

static void fail_the_next(struct world *world, unsigned count, enum fake_fault fault)
{
	for (unsigned i = 0; i < count; i++)
		fake_store_plan(&world->store, fault);
}

static void a_lease_is_renewed_three_times_in_its_length(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	world.runtime.stop_at_boot_ns = world.start + 10 * LEASE_S * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_in_range(world.store.writes - 1, 29, 34);
	assert_true(lease_deadline_boot_ns(world.lease) > world.runtime.boot_ns + 30 * NS_PER_S);
	world_clear(&world);
}

static void count(void *arg)
{
	(*(unsigned *)arg)++;
}

static void every_confirmed_renewal_is_told_and_no_other(void **state)
{
	struct world world;
	unsigned told = 0;

	(void)state;
	world_with_a_lease(&world);
	world.lease->on_renewed = count;
	world.lease->on_renewed_arg = &told;
	fail_the_next(&world, 1, FAULT_LOST_REQUEST);
	world.runtime.stop_at_boot_ns = world.start + LEASE_S * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_in_range(told, 1, world.store.writes - 2); /* the acquire, and the one that was lost */
	assert_int_equal(world.lease->deadline_boot_ns > world.start + LEASE_S * NS_PER_S, 1);
	world_clear(&world);
}

static void an_order_to_stop_leaves_the_lease_held(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	world.runtime.stop_at_boot_ns = world.start + 5 * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_false(lease_is_past_deadline(world.lease));
	assert_false(fake_store_item(&world.store, LOCK)->released);
	world_clear(&world);
}

static void an_outage_is_reported_while_there_is_time_to_stop_the_work(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	fail_the_next(&world, FAKE_STEPS_MAX, FAULT_LOST_REQUEST);
	assert_int_equal(keep(&world), AWSFLOCK_LOST);
	assert_true(lease_deadline_boot_ns(world.lease) - world.runtime.boot_ns >= STOP_MS * NS_PER_MS);
	assert_true(lease_deadline_boot_ns(world.lease) - world.runtime.boot_ns < (STOP_MS + 1500) * NS_PER_MS);
	assert_non_null(strstr(world.error.message, "could not be renewed for"));
	world_clear(&world);
}

static void an_outage_shorter_than_the_lease_is_weathered(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	fail_the_next(&world, 4, FAULT_LOST_REQUEST);
	world.runtime.stop_at_boot_ns = world.start + 200 * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_int_equal(world.lease->ids.count, 1);
	world_clear(&world);
}

static void renewals_carried_out_unseen_in_an_outage_are_ours_afterwards(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	fail_the_next(&world, 3, FAULT_LOST_REPLY);
	world.runtime.stop_at_boot_ns = world.start + 60 * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_string_equal(fake_store_item(&world.store, LOCK)->lease_id, world.lease->current_id);
	world_clear(&world);
}

static void an_outage_of_a_year_long_lease_stays_within_the_ids_that_can_be_named(void **state)
{
	struct world world;
	int64_t year_s = 365 * 86400;

	(void)state;
	world_with_a_lease(&world);
	assert_int_equal(lease_renew(world.lease, year_s, NULL, INT64_MAX, &world.error), AWSFLOCK_OK);
	fail_the_next(&world, FAKE_STEPS_MAX, FAULT_LOST_REQUEST);
	world.runtime.stop_at_boot_ns = world.start + year_s / 2 * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_CANCELLED);
	assert_true(world.store.writes < 40);
	world_clear(&world);
}

static void take_over(struct store *store, void *arg)
{
	struct world *world = arg;

	(void)store;
	fake_store_put_python(&world->store, LOCK, "22222222-2222-4222-8222-222222222222",
			      FAKE_EPOCH_START_S + 600);
}

static void a_lease_that_was_taken_over_is_lost_at_the_next_heartbeat(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	fake_store_plan(&world.store, FAULT_NONE)->before = take_over;
	assert_int_equal(keep(&world), AWSFLOCK_LOST);
	assert_true(world.runtime.boot_ns <= world.start + 20 * NS_PER_S);
	assert_non_null(strstr(world.error.message, "python-host"));
	world_clear(&world);
}

static void a_process_that_slept_past_its_last_moment_does_not_renew(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	world.runtime.boot_ns += (LEASE_S - 2) * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_LOST);
	assert_int_equal(world.store.writes, 1);
	world_clear(&world);
}

static void a_jump_of_the_wall_clock_past_the_deadline_is_a_loss_within_seconds(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	world.runtime.real_offset_ns += 3600 * NS_PER_S;
	assert_int_equal(keep(&world), AWSFLOCK_LOST);
	assert_true(world.runtime.boot_ns <= world.start + 2 * NS_PER_S);
	assert_non_null(strstr(world.error.message, "suspended"));
	world_clear(&world);
}

static void a_lease_shorter_than_three_times_the_stopping_time_is_refused(void **state)
{
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	assert_int_equal(heartbeat_keep(world.lease, LEASE_S * 1000 / 3 + 1, &world.error), AWSFLOCK_INVALID);
	world_clear(&world);
}

/* Also one whose threefold does not fit into 64 bits, or wraps around to next to nothing. */
static void a_stopping_time_beyond_every_lease_is_refused(void **state)
{
	static const int64_t stop_ms[] = { INT64_MAX, INT64_MAX / 3 + 1, INT64_C(6148914691236517206) };
	struct world world;

	(void)state;
	world_with_a_lease(&world);
	world.runtime.stop_at_boot_ns = world.start + NS_PER_S;
	for (size_t i = 0; i < sizeof(stop_ms) / sizeof(stop_ms[0]); i++)
		assert_int_equal(heartbeat_keep(world.lease, stop_ms[i], &world.error), AWSFLOCK_INVALID);
	world_clear(&world);
}

static void an_adopted_lease_is_renewed_before_it_is_kept(void **state)
{
	struct world world;
	struct lease *adopted = NULL;

	(void)state;
	world_with_a_lease(&world);
	assert_int_equal(
		lease_adopt(&world.store.store, LOCK, world.lease->current_id, LEASE_S, &adopted, &world.error),
		AWSFLOCK_OK);
	world.runtime.stop_at_boot_ns = world.start + NS_PER_S;
	assert_int_equal(heartbeat_keep(adopted, STOP_MS, &world.error), AWSFLOCK_CANCELLED);
	assert_int_equal(world.store.writes, 2);
	assert_true(lease_deadline_boot_ns(adopted) != DEADLINE_UNKNOWN);
	lease_free(&adopted);
	world_clear(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lease_is_renewed_three_times_in_its_length),
		cmocka_unit_test(the_end_of_a_sign_in_is_looked_for_ten_minutes_before),
		cmocka_unit_test(every_confirmed_renewal_is_told_and_no_other),
		cmocka_unit_test(an_order_to_stop_leaves_the_lease_held),
		cmocka_unit_test(an_outage_is_reported_while_there_is_time_to_stop_the_work),
		cmocka_unit_test(an_outage_shorter_than_the_lease_is_weathered),
		cmocka_unit_test(renewals_carried_out_unseen_in_an_outage_are_ours_afterwards),
		cmocka_unit_test(an_outage_of_a_year_long_lease_stays_within_the_ids_that_can_be_named),
		cmocka_unit_test(a_lease_that_was_taken_over_is_lost_at_the_next_heartbeat),
		cmocka_unit_test(a_process_that_slept_past_its_last_moment_does_not_renew),
		cmocka_unit_test(a_jump_of_the_wall_clock_past_the_deadline_is_a_loss_within_seconds),
		cmocka_unit_test(a_lease_shorter_than_three_times_the_stopping_time_is_refused),
		cmocka_unit_test(a_stopping_time_beyond_every_lease_is_refused),
		cmocka_unit_test(an_adopted_lease_is_renewed_before_it_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
