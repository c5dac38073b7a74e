/* Tests of base/servertime.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/runtime.h"
#include "base/servertime.h"

#define DATE INT64_C(1800000000)
#define DATE_MS (DATE * MS_PER_S)
#define SENT (1000 * NS_PER_S)
#define RECEIVED (SENT + 40 * NS_PER_MS)

static struct server_time seen_once(void)
{
	struct server_time time;
	server_time_init(&time);
	server_time_observe(&time, DATE, SENT, RECEIVED);
	return time;
}

static void before_the_first_reply_nothing_is_known_and_the_wall_clock_serves(void **state)
{
	(void)state;
	struct server_time time;
	server_time_init(&time);
	assert_false(time.known);
	assert_int_equal(server_time_guess_ms(&time, SENT, 1234567890), 1234);
	assert_true(server_time_earliest_ms(&time, SENT) == INT64_MIN);
	assert_true(server_time_latest_ms(&time, SENT) == INT64_MAX);
}

static void a_reply_bounds_the_time_by_its_round_trip_and_the_cut_second(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	assert_true(time.known);
	/* At receipt it is Date at the earliest; a second and the round trip later at the latest. */
	assert_int_equal(server_time_earliest_ms(&time, RECEIVED), DATE_MS);
	assert_int_equal(server_time_latest_ms(&time, RECEIVED), DATE_MS + 1040);
}

static void the_bounds_hold_for_every_true_time_a_reply_allows(void **state)
{
	(void)state;
	/* The true server time at SENT runs over a second; the server answers at either end of the round trip. */
	for (int64_t fraction_ms = 0; fraction_ms < 1000; fraction_ms += 37)
		for (int late = 0; late < 2; late++) {
			int64_t at_sent_ms = DATE_MS + fraction_ms;
			int64_t date = (at_sent_ms + (late ? 40 : 0)) / MS_PER_S;
			struct server_time time;
			server_time_init(&time);
			server_time_observe(&time, date, SENT, RECEIVED);
			int64_t at_received_ms = at_sent_ms + 40;
			assert_true(server_time_earliest_ms(&time, RECEIVED) <= at_received_ms);
			assert_true(server_time_latest_ms(&time, RECEIVED) >= at_received_ms);
		}
}

static void bounds_widen_by_500_ppm_of_their_age(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	int64_t later = RECEIVED + 1000 * NS_PER_S;
	assert_int_equal(server_time_earliest_ms(&time, later), DATE_MS + 1000000 - 500);
	assert_int_equal(server_time_latest_ms(&time, later), DATE_MS + 1001040 + 500);
	int64_t before = RECEIVED - 100 * NS_PER_S;
	assert_int_equal(server_time_earliest_ms(&time, before), DATE_MS - 100000 - 50);
	assert_int_equal(server_time_latest_ms(&time, before), DATE_MS - 100000 + 1040 + 50);
}

static void the_earliest_is_rounded_down_and_the_latest_up(void **state)
{
	(void)state;
	struct server_time time = { .known = true, .low_ns = 1, .high_ns = 1 };
	assert_int_equal(server_time_earliest_ms(&time, 0), 0);
	assert_int_equal(server_time_latest_ms(&time, 0), 1);
	time.low_ns = time.high_ns = -1;
	assert_int_equal(server_time_earliest_ms(&time, 0), -1);
	assert_int_equal(server_time_latest_ms(&time, 0), 0);
	/* One nanosecond of age is half a picosecond of drift and still counts as a whole nanosecond. */
	time.low_ns = time.high_ns = NS_PER_MS - 1;
	assert_int_equal(server_time_earliest_ms(&time, 1), 0);
	assert_int_equal(server_time_latest_ms(&time, 1), 2);
}

static void replies_that_agree_narrow_the_interval(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	/* 300 ms later the second has turned: the true time at SENT lay within its last 340 ms. */
	server_time_observe(&time, DATE + 1, SENT + 300 * NS_PER_MS, RECEIVED + 300 * NS_PER_MS);
	int64_t at = RECEIVED + 300 * NS_PER_MS;
	assert_int_equal(server_time_earliest_ms(&time, at), DATE_MS + 1000);
	assert_int_equal(server_time_latest_ms(&time, at), DATE_MS + 1340 + 1);
}

static void replies_that_contradict_each_other_are_joined(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	server_time_observe(&time, DATE + 100, SENT, RECEIVED);
	assert_int_equal(server_time_earliest_ms(&time, RECEIVED), DATE_MS);
	assert_int_equal(server_time_latest_ms(&time, RECEIVED), DATE_MS + 100000 + 1040);
	/* The next reply says which of the two it was. */
	server_time_observe(&time, DATE, SENT, RECEIVED);
	assert_int_equal(server_time_latest_ms(&time, RECEIVED), DATE_MS + 1040);
}

static void old_bounds_are_widened_before_they_are_compared(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	/* 10,000 s later the server's clock has gained 4 s: within the drift of 5 s, so no contradiction. */
	int64_t later_ns = 10000 * NS_PER_S;
	server_time_observe(&time, DATE + 10004, SENT + later_ns, RECEIVED + later_ns);
	assert_int_equal(server_time_earliest_ms(&time, RECEIVED + later_ns), DATE_MS + 10004000);
	assert_int_equal(server_time_latest_ms(&time, RECEIVED + later_ns), DATE_MS + 10005040);
}

static void a_reply_that_is_older_than_the_last_one_is_widened_itself(void **state)
{
	(void)state;
	struct server_time time;
	server_time_init(&time);
	server_time_observe(&time, DATE + 10000, SENT + 10000 * NS_PER_S, RECEIVED + 10000 * NS_PER_S);
	/* 4 s apart over 10,000 s: within the drift. */
	server_time_observe(&time, DATE - 4, SENT, RECEIVED);
	assert_true(time.as_of_boot_ns == RECEIVED + 10000 * NS_PER_S);
	assert_int_equal(server_time_earliest_ms(&time, time.as_of_boot_ns), DATE_MS + 10000000);
	assert_int_equal(server_time_latest_ms(&time, time.as_of_boot_ns), DATE_MS + 10001040);
}

static void the_guess_is_the_wall_clock_pressed_into_the_interval(void **state)
{
	(void)state;
	struct server_time time = seen_once();
	assert_int_equal(server_time_guess_ms(&time, RECEIVED, (DATE_MS + 500) * NS_PER_MS), DATE_MS + 500);
	assert_int_equal(server_time_guess_ms(&time, RECEIVED, 0), DATE_MS);
	assert_int_equal(server_time_guess_ms(&time, RECEIVED, INT64_MAX), DATE_MS + 1040);
}

static void an_exact_time_never_widens_nor_learns(void **state)
{
	(void)state;
	struct server_time time;
	server_time_init_exact(&time, 5 * NS_PER_MS);
	server_time_observe(&time, DATE, SENT, RECEIVED);
	int64_t at = 1000000 * NS_PER_S;
	assert_int_equal(server_time_earliest_ms(&time, at), 1000000005);
	assert_int_equal(server_time_latest_ms(&time, at), 1000000005);
	assert_int_equal(server_time_guess_ms(&time, at, DATE_MS * NS_PER_MS), 1000000005);
}

static void a_date_beyond_reason_does_not_overflow(void **state)
{
	(void)state;
	struct server_time time;
	server_time_init(&time);
	server_time_observe(&time, INT64_MAX, SENT, RECEIVED);
	assert_true(server_time_latest_ms(&time, RECEIVED) >= server_time_earliest_ms(&time, RECEIVED));
	server_time_observe(&time, INT64_MIN, SENT, RECEIVED);
	assert_int_equal(server_time_earliest_ms(&time, RECEIVED), 0);
	assert_true(server_time_latest_ms(&time, INT64_MAX) > DATE_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_first_reply_nothing_is_known_and_the_wall_clock_serves),
		cmocka_unit_test(a_reply_bounds_the_time_by_its_round_trip_and_the_cut_second),
		cmocka_unit_test(the_bounds_hold_for_every_true_time_a_reply_allows),
		cmocka_unit_test(bounds_widen_by_500_ppm_of_their_age),
		cmocka_unit_test(the_earliest_is_rounded_down_and_the_latest_up),
		cmocka_unit_test(replies_that_agree_narrow_the_interval),
		cmocka_unit_test(replies_that_contradict_each_other_are_joined),
		cmocka_unit_test(old_bounds_are_widened_before_they_are_compared),
		cmocka_unit_test(a_reply_that_is_older_than_the_last_one_is_widened_itself),
		cmocka_unit_test(the_guess_is_the_wall_clock_pressed_into_the_interval),
		cmocka_unit_test(an_exact_time_never_widens_nor_learns),
		cmocka_unit_test(a_date_beyond_reason_does_not_overflow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
