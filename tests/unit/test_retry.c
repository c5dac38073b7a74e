/* Tests of aws/retry.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "aws/retry.h"
#include "fake_store.h"

static bool told_to_stop(void *arg)
{
	(void)arg;
	return true;
}

static int64_t pause_of(struct retry *retry, struct fake_runtime *fake, enum retry_cause cause)
{
	int64_t before = fake->boot_ns;
	assert_true(retry_again(retry, &fake->runtime, cause, INT64_MAX));
	return fake->boot_ns - before;
}

/* The longest of many pauses before retry NUMBER (from 0): near its upper bound, never above. */
static int64_t longest_pause(enum retry_cause cause, int number)
{
	struct fake_runtime fake;
	int64_t longest = 0;
	fake_runtime_init(&fake);
	for (int run = 0; run < 200; run++) {
		struct retry retry;
		int64_t pause = 0;
		retry_init(&retry);
		retry.max_attempts = 100;
		retry_begin(&retry);
		for (int i = 0; i <= number; i++)
			pause = pause_of(&retry, &fake, cause);
		longest = pause > longest ? pause : longest;
	}
	return longest;
}

static void assert_bound(int64_t longest_ns, int64_t bound_ms)
{
	assert_true(longest_ns <= bound_ms * NS_PER_MS);
	assert_true(longest_ns > bound_ms * NS_PER_MS * 9 / 10);
}

static void there_are_four_attempts(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	fake_runtime_init(&fake);
	retry_init(&retry);
	retry_begin(&retry);
	for (int i = 0; i < 3; i++)
		assert_true(retry_again(&retry, &fake.runtime, RETRY_TRANSIENT, INT64_MAX));
	assert_false(retry_again(&retry, &fake.runtime, RETRY_TRANSIENT, INT64_MAX));
	assert_int_equal(retry.attempts, 4);
}

static void pauses_after_transient_failures_double_from_25_ms(void **state)
{
	(void)state;
	assert_bound(longest_pause(RETRY_TRANSIENT, 0), 25);
	assert_bound(longest_pause(RETRY_TRANSIENT, 1), 50);
	assert_bound(longest_pause(RETRY_TRANSIENT, 2), 100);
}

static void pauses_after_throttling_double_from_a_second_up_to_20(void **state)
{
	(void)state;
	assert_bound(longest_pause(RETRY_THROTTLED, 0), 1000);
	assert_bound(longest_pause(RETRY_THROTTLED, 1), 2000);
	assert_bound(longest_pause(RETRY_THROTTLED, 8), 20000);
}

static void an_answer_that_will_not_change_is_not_asked_for_again(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	fake_runtime_init(&fake);
	retry_init(&retry);
	retry_begin(&retry);
	assert_false(retry_again(&retry, &fake.runtime, RETRY_NOT, INT64_MAX));
	assert_false(retry_again(&retry, &fake.runtime, RETRY_CLOCK_SKEW, INT64_MAX));
}

static void new_credentials_are_tried_at_once_and_cost_no_quota(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	fake_runtime_init(&fake);
	retry_init(&retry);
	retry_begin(&retry);
	assert_int_equal(pause_of(&retry, &fake, RETRY_CREDENTIALS), 0);
	assert_int_equal(retry.quota, RETRY_QUOTA_FULL);
}

static void the_quota_ends_retries_when_nothing_succeeds_any_more(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	int retries = 0;
	fake_runtime_init(&fake);
	retry_init(&retry);
	for (int operation = 0; operation < 100; operation++) {
		retry_begin(&retry);
		while (retry_again(&retry, &fake.runtime, RETRY_TRANSIENT, INT64_MAX))
			retries++;
	}
	assert_int_equal(retries, RETRY_QUOTA_FULL / 14);
}

static void a_success_gives_back_what_its_latest_retry_cost_and_never_more_than_all(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	fake_runtime_init(&fake);
	retry_init(&retry);
	retry_begin(&retry);
	assert_true(retry_again(&retry, &fake.runtime, RETRY_TRANSIENT, INT64_MAX));
	assert_true(retry_again(&retry, &fake.runtime, RETRY_THROTTLED, INT64_MAX));
	assert_int_equal(retry.quota, RETRY_QUOTA_FULL - 14 - 5);
	retry_succeeded(&retry);
	assert_int_equal(retry.quota, RETRY_QUOTA_FULL - 14);
	retry_begin(&retry);
	retry_succeeded(&retry); /* at the first attempt */
	assert_int_equal(retry.quota, RETRY_QUOTA_FULL - 13);
	for (int i = 0; i < 20; i++)
		retry_succeeded(&retry);
	assert_int_equal(retry.quota, RETRY_QUOTA_FULL);
}

static void no_retry_begins_beyond_the_callers_end(void **state)
{
	(void)state;
	struct fake_runtime fake;
	fake_runtime_init(&fake);
	for (int run = 0; run < 50; run++) {
		struct retry retry;
		int64_t end = fake.boot_ns + 500 * NS_PER_MS;
		retry_init(&retry);
		retry_begin(&retry);
		while (retry_again(&retry, &fake.runtime, RETRY_THROTTLED, end))
			;
		assert_true(fake.boot_ns < end);
	}
}

static void a_stop_ends_retries_without_a_pause(void **state)
{
	(void)state;
	struct fake_runtime fake;
	struct retry retry;
	fake_runtime_init(&fake);
	fake.runtime.stop = told_to_stop;
	retry_init(&retry);
	retry_begin(&retry);
	assert_false(retry_again(&retry, &fake.runtime, RETRY_TRANSIENT, INT64_MAX));
	assert_int_equal(fake.sleeps, 0);
}

static int64_t attempt_ms(int attempts, int64_t left_ms)
{
	struct fake_runtime fake;
	struct retry retry;

	fake_runtime_init(&fake);
	retry_init(&retry);
	retry.attempts = attempts;
	return retry_attempt_ms(&retry, &fake.runtime, 10000, fake.boot_ns + left_ms * NS_PER_MS);
}

static void an_attempt_that_another_may_follow_leaves_it_time(void **state)
{
	struct fake_runtime fake;
	struct retry retry;

	(void)state;
	fake_runtime_init(&fake);
	retry_init(&retry);
	retry_begin(&retry);
	assert_int_equal(retry_attempt_ms(&retry, &fake.runtime, 10000, INT64_MAX), 10000);
	assert_int_equal(attempt_ms(1, 60000), 10000);
	assert_in_range(attempt_ms(1, 14000), 9330, 9334);
	assert_in_range(attempt_ms(2, 3000), 1998, 2001);
	assert_in_range(attempt_ms(3, 1200), 1000, 1001);
	assert_in_range(attempt_ms(1, 500), 500, 501);
	assert_int_equal(attempt_ms(1, 0), 0);
	assert_int_equal(attempt_ms(1, -5), 0);
}

static void the_last_attempt_has_all_the_time_that_is_left(void **state)
{
	(void)state;
	assert_in_range(attempt_ms(RETRY_MAX_ATTEMPTS_DYNAMODB, 6000), 6000, 6001);
	assert_int_equal(attempt_ms(RETRY_MAX_ATTEMPTS_DYNAMODB, 60000), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_four_attempts),
		cmocka_unit_test(pauses_after_transient_failures_double_from_25_ms),
		cmocka_unit_test(pauses_after_throttling_double_from_a_second_up_to_20),
		cmocka_unit_test(an_answer_that_will_not_change_is_not_asked_for_again),
		cmocka_unit_test(new_credentials_are_tried_at_once_and_cost_no_quota),
		cmocka_unit_test(the_quota_ends_retries_when_nothing_succeeds_any_more),
		cmocka_unit_test(a_success_gives_back_what_its_latest_retry_cost_and_never_more_than_all),
		cmocka_unit_test(no_retry_begins_beyond_the_callers_end),
		cmocka_unit_test(a_stop_ends_retries_without_a_pause),
		cmocka_unit_test(an_attempt_that_another_may_follow_leaves_it_time),
		cmocka_unit_test(the_last_attempt_has_all_the_time_that_is_left),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
