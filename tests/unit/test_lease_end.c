/* Tests of base/lease_end.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "base/lease_end.h"

#define NOW INT64_C(1800000000)

/* A lease of 60 seconds, LEFT of which can be used, by a clock that is BEHIND the store's. */
static awsflock_status lease(int64_t left, int64_t behind, uint64_t fence)
{
	return (awsflock_status){
		.held = true,
		.fence = fence,
		.lease_duration = 60,
		.expiration_time = NOW + behind + left + (fence != 0 ? LEASE_END_SPARE_S : 0),
		.remaining_seconds = left,
	};
}

static void the_end_is_what_the_holder_may_use(void **state)
{
	(void)state;
	for (int64_t left = 0; left <= 60; left++) {
		awsflock_status ours = lease(left, 0, 7), pythons = lease(left, 0, 0);

		assert_int_equal(lease_end_time(&ours, NOW), NOW + left);
		assert_int_equal(lease_end_time(&pythons, NOW), NOW + left);
	}
}

static void the_end_stays_the_same_while_what_is_left_is_known_to_some_seconds(void **state)
{
	(void)state;
	for (int64_t error = -3; error <= 3; error++) {
		awsflock_status status = lease(30, 0, 7);

		status.remaining_seconds += error;
		assert_int_equal(lease_end_time(&status, NOW), NOW + 30);
	}
}

static void a_wrong_clock_is_told_its_own_time_with_the_stores_rest(void **state)
{
	static const int64_t behind[] = { 3600, -3600, 60, -60, 9, -9 };

	(void)state;
	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		awsflock_status status = lease(30, behind[i], 7);

		assert_int_equal(lease_end_time(&status, NOW), NOW + 30);
	}
}

static void no_more_is_left_than_the_lease_lasts(void **state)
{
	awsflock_status status = lease(60, 3, 7);

	(void)state;
	assert_int_equal(lease_end_time(&status, NOW), NOW + 60);
}

static void what_the_holder_may_not_use_any_more_has_ended(void **state)
{
	awsflock_status status = lease(0, 0, 7);

	(void)state;
	assert_int_equal(lease_end_time(&status, NOW + 2), NOW); /* its expiration is still to come */
	status.remaining_seconds = -1;
	assert_int_equal(lease_end_time(&status, NOW + 4), NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_is_what_the_holder_may_use),
		cmocka_unit_test(the_end_stays_the_same_while_what_is_left_is_known_to_some_seconds),
		cmocka_unit_test(a_wrong_clock_is_told_its_own_time_with_the_stores_rest),
		cmocka_unit_test(no_more_is_left_than_the_lease_lasts),
		cmocka_unit_test(what_the_holder_may_not_use_any_more_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
