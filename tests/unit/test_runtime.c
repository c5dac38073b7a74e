/* Tests of base/runtime.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"
#include "base/text_check.h"

#define AN_HOUR (3600 * NS_PER_S)

/* Randomness from a script: the same byte over and over, then another. */
struct scripted {
	struct runtime runtime;
	unsigned char first, then;
	int first_draws;
	bool fails;
};

static bool scripted_random(struct runtime *runtime, void *bytes, size_t size)
{
	struct scripted *scripted = (struct scripted *)runtime;
	if (scripted->fails)
		return false;
	memset(bytes, scripted->first_draws > 0 ? scripted->first : scripted->then, size);
	scripted->first_draws--;
	return true;
}

static const struct runtime_ops scripted_ops = { .random_bytes = scripted_random };

static struct scripted scripted_init(unsigned char then)
{
	return (struct scripted){ .runtime = { .ops = &scripted_ops, .stop_fd = -1 }, .then = then };
}

static bool stop_after(void *arg)
{
	int *calls_left = arg;
	return --*calls_left < 0;
}

static void the_clocks_run_forwards_and_tell_this_century(void **state)
{
	(void)state;
	struct runtime runtime;
	runtime_init_system(&runtime);
	int64_t first = runtime_boot_ns(&runtime);
	assert_true(first > 0);
	assert_true(runtime_boot_ns(&runtime) >= first);
	assert_true(runtime_real_ns(&runtime) > INT64_C(1700000000) * NS_PER_S);
}

static void a_moment_that_has_come_is_not_slept_for(void **state)
{
	(void)state;
	struct runtime runtime;
	runtime_init_system(&runtime);
	assert_true(runtime_sleep_until(&runtime, 0));
	assert_true(runtime_sleep_until(&runtime, INT64_MIN / 2));
	assert_true(runtime_sleep_until(&runtime, runtime_boot_ns(&runtime)));
}

static void no_sleep_ends_before_its_moment(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	for (int way = 0; way < 4; way++) {
		struct runtime runtime;
		int calls_left = 1000;
		runtime_init_system(&runtime);
		runtime.stop_fd = way & 1 ? ends[0] : -1;
		runtime.stop = way & 2 ? stop_after : NULL;
		runtime.stop_arg = &calls_left;
		int64_t until = runtime_boot_ns(&runtime) + 3 * NS_PER_MS;
		assert_true(runtime_sleep_until(&runtime, until));
		assert_true(runtime_boot_ns(&runtime) >= until);
	}
	close(ends[0]);
	close(ends[1]);
}

static void a_callback_ends_a_sleep(void **state)
{
	(void)state;
	struct runtime runtime;
	runtime_init_system(&runtime);
	int calls_left = 1; /* asked again after one slice */
	runtime.stop = stop_after;
	runtime.stop_arg = &calls_left;
	assert_false(runtime_sleep_until(&runtime, runtime_boot_ns(&runtime) + AN_HOUR));
}

static void a_callback_is_asked_although_there_is_a_descriptor(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct runtime runtime;
	runtime_init_system(&runtime);
	int calls_left = 1;
	runtime.stop = stop_after;
	runtime.stop_arg = &calls_left;
	runtime.stop_fd = ends[0];
	assert_false(runtime_sleep_until(&runtime, runtime_boot_ns(&runtime) + AN_HOUR));
	close(ends[0]);
	close(ends[1]);
}

static void a_readable_descriptor_ends_a_sleep_that_has_begun(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
	struct runtime runtime;
	runtime_init_system(&runtime);
	runtime.stop_fd = ends[0];
	assert_false(runtime_sleep_until(&runtime, runtime_boot_ns(&runtime) + AN_HOUR));
	assert_true(runtime_stop_requested(&runtime));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
}

static void a_descriptor_whose_far_end_is_closed_means_stop(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	struct runtime runtime;
	runtime_init_system(&runtime);
	runtime.stop_fd = ends[0];
	assert_false(runtime_stop_requested(&runtime));
	close(ends[1]);
	assert_true(runtime_stop_requested(&runtime));
	assert_false(runtime_sleep_until(&runtime, runtime_boot_ns(&runtime) + AN_HOUR));
	close(ends[0]);
}

static void an_ignored_stop_neither_counts_nor_ends_a_sleep(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	struct runtime runtime;
	runtime_init_system(&runtime);
	int calls_left = 0;
	runtime.stop = stop_after;
	runtime.stop_arg = &calls_left;
	runtime.stop_fd = ends[0];
	runtime.stop_ignored = true;
	assert_false(runtime_stop_requested(&runtime));
	int64_t until = runtime_boot_ns(&runtime) + 3 * NS_PER_MS;
	assert_true(runtime_sleep_until(&runtime, until));
	assert_true(runtime_boot_ns(&runtime) >= until);
	runtime.stop_ignored = false;
	assert_true(runtime_stop_requested(&runtime));
	close(ends[0]);
	close(ends[1]);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
	(void)number;
	signals_seen++;
}

static void a_signal_does_not_end_a_sleep_early(void **state)
{
	(void)state;
	struct sigaction action = { .sa_handler = count_signal }, old;
	assert_int_equal(sigaction(SIGALRM, &action, &old), 0);
	struct itimerval every_ms = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct runtime runtime;
	runtime_init_system(&runtime);
	int64_t until = runtime_boot_ns(&runtime) + 20 * NS_PER_MS;
	setitimer(ITIMER_REAL, &every_ms, NULL);
	bool came = runtime_sleep_until(&runtime, until);
	setitimer(ITIMER_REAL, &never, NULL);
	assert_true(came);
	assert_true(runtime_boot_ns(&runtime) >= until);
	assert_true(signals_seen > 0);
	sigaction(SIGALRM, &old, NULL);
}

static void random_numbers_stay_within_their_bounds_and_reach_them(void **state)
{
	(void)state;
	struct runtime runtime;
	runtime_init_system(&runtime);
	bool seen[5] = { false };
	for (int i = 0; i < 1000; i++) {
		int64_t number = runtime_random_between(&runtime, -2, 2);
		assert_in_range(number + 2, 0, 4);
		seen[number + 2] = true;
	}
	for (int i = 0; i < 5; i++)
		assert_true(seen[i]);
	assert_int_equal(runtime_random_between(&runtime, 7, 7), 7);
	assert_int_equal(runtime_random_between(&runtime, 7, 3), 7);
	runtime_random_between(&runtime, INT64_MIN, INT64_MAX);
}

static void a_draw_that_would_favour_low_numbers_is_drawn_again(void **state)
{
	(void)state;
	/* 2^64 - 1 is the one draw too many for a third each: it would count as one more for the first. */
	struct scripted scripted = scripted_init(1);
	scripted.first = 0xFF;
	scripted.first_draws = 1;
	const uint64_t second_draw = UINT64_C(0x0101010101010101);
	assert_int_equal(runtime_random_between(&scripted.runtime, 0, 2), second_draw % 3);
	assert_int_equal(scripted.first_draws, -1);
}

static void broken_randomness_still_gives_a_number_in_the_bounds(void **state)
{
	(void)state;
	struct scripted stuck = scripted_init(0xFF);
	assert_in_range(runtime_random_between(&stuck.runtime, 10, 12), 10, 12);
	struct scripted none = scripted_init(0);
	none.fails = true;
	assert_int_equal(runtime_random_between(&none.runtime, 10, 20), 15);
}

static void a_uuid_has_its_version_and_variant_whatever_the_bytes(void **state)
{
	(void)state;
	char uuid[AWSFLOCK_LEASE_ID_SIZE];
	struct scripted ones = scripted_init(0xFF), zeros = scripted_init(0);
	assert_int_equal(runtime_uuid(&ones.runtime, uuid, NULL), AWSFLOCK_OK);
	assert_string_equal(uuid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
	assert_int_equal(runtime_uuid(&zeros.runtime, uuid, NULL), AWSFLOCK_OK);
	assert_string_equal(uuid, "00000000-0000-4000-8000-000000000000");
}

static void every_uuid_is_another_and_a_lease_id(void **state)
{
	(void)state;
	struct runtime runtime;
	runtime_init_system(&runtime);
	char one[AWSFLOCK_LEASE_ID_SIZE], other[AWSFLOCK_LEASE_ID_SIZE];
	assert_int_equal(runtime_uuid(&runtime, one, NULL), AWSFLOCK_OK);
	assert_int_equal(runtime_uuid(&runtime, other, NULL), AWSFLOCK_OK);
	assert_string_not_equal(one, other);
	assert_int_equal(text_check_lease_id(one, NULL), AWSFLOCK_OK);
}

static void no_digit_of_a_uuid_is_anothers_copy(void **state)
{
	(void)state;
	struct runtime runtime;
	char uuids[100][AWSFLOCK_LEASE_ID_SIZE];
	const size_t count = sizeof(uuids) / sizeof(uuids[0]), size = AWSFLOCK_LEASE_ID_SIZE - 1;

	runtime_init_system(&runtime);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(runtime_uuid(&runtime, uuids[i], NULL), AWSFLOCK_OK);
	for (size_t a = 0; a < size; a++)
		for (size_t b = a + 1; b < size; b++) {
			size_t equal = 0;
			while (equal < count && uuids[equal][a] == uuids[equal][b])
				equal++;
			if (uuids[0][a] != '-' || uuids[0][b] != '-')
				assert_true(equal < count);
		}
}

static void without_randomness_there_is_no_uuid(void **state)
{
	(void)state;
	struct scripted none = scripted_init(0);
	none.fails = true;
	char uuid[AWSFLOCK_LEASE_ID_SIZE];
	assert_int_equal(runtime_uuid(&none.runtime, uuid, NULL), AWSFLOCK_INTERNAL);
}

static void keep_line(void *arg, awsflock_log_level level, const char *message)
{
	char *kept = arg;
	assert_int_equal(level, AWSFLOCK_LOG_NOTICE);
	strncat(kept, message, 99);
}

static void log_lines_are_formatted_and_made_safe(void **state)
{
	(void)state;
	struct runtime runtime;
	char kept[100] = "";
	runtime_init_system(&runtime);
	runtime_log(&runtime, AWSFLOCK_LOG_NOTICE, "to nobody");
	runtime.log = keep_line;
	runtime.log_arg = kept;
	runtime_log(&runtime, AWSFLOCK_LOG_NOTICE, "by %s %d", "a\nb\x1b[m", 5);
	assert_string_equal(kept, "by a?b?[m 5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clocks_run_forwards_and_tell_this_century),
		cmocka_unit_test(a_moment_that_has_come_is_not_slept_for),
		cmocka_unit_test(no_sleep_ends_before_its_moment),
		cmocka_unit_test(a_callback_ends_a_sleep),
		cmocka_unit_test(a_callback_is_asked_although_there_is_a_descriptor),
		cmocka_unit_test(a_readable_descriptor_ends_a_sleep_that_has_begun),
		cmocka_unit_test(a_descriptor_whose_far_end_is_closed_means_stop),
		cmocka_unit_test(an_ignored_stop_neither_counts_nor_ends_a_sleep),
		cmocka_unit_test(a_signal_does_not_end_a_sleep_early),
		cmocka_unit_test(random_numbers_stay_within_their_bounds_and_reach_them),
		cmocka_unit_test(a_draw_that_would_favour_low_numbers_is_drawn_again),
		cmocka_unit_test(broken_randomness_still_gives_a_number_in_the_bounds),
		cmocka_unit_test(a_uuid_has_its_version_and_variant_whatever_the_bytes),
		cmocka_unit_test(every_uuid_is_another_and_a_lease_id),
		cmocka_unit_test(no_digit_of_a_uuid_is_anothers_copy),
		cmocka_unit_test(without_randomness_there_is_no_uuid),
		cmocka_unit_test(log_lines_are_formatted_and_made_safe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
