/* What is asked about a lease is answered while no other thread can renew it.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "awsflock.h"
#include "scratch_directory.h"

#define LEASE_S 60

/* By this thread, now, and since the test began. */
static int locked, times_locked;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	locked++;
	times_locked++;
	return __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	assert_true(locked > 0);
	locked--;
	return __real_pthread_mutex_unlock(mutex);
}

struct held {
	struct scratch scratch;
	awsflock *context;
	awsflock_lease *lease;
};

static int set_up(void **state)
{
	struct held *held = calloc(1, sizeof(*held));
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	awsflock_error error;

	assert_non_null(held);
	*state = held;
	scratch_make(&held->scratch);
	options.lease_seconds = LEASE_S;
	assert_int_equal(awsflock_new(&held->context, &error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(held->context, "store", "local", &error), AWSFLOCK_OK);
	assert_int_equal(awsflock_set(held->context, "local_dir", scratch_path(&held->scratch, "store"), &error),
			 AWSFLOCK_OK);
	assert_int_equal(awsflock_acquire(held->context, "deploy", &options, &held->lease, &error), AWSFLOCK_OK);
	times_locked = 0;
	return 0;
}

static int tear_down(void **state)
{
	struct held *held = *state;
	awsflock_error error;

	assert_int_equal(locked, 0);
	assert_int_equal(awsflock_release(held->lease, 0, &error), AWSFLOCK_OK);
	awsflock_lease_free(&held->lease);
	awsflock_free(&held->context);
	scratch_remove(&held->scratch);
	free(held);
	return 0;
}

static void its_length_is_told(void **state)
{
	const struct held *held = *state;

	assert_int_equal(awsflock_lease_seconds(held->lease), LEASE_S);
	assert_int_equal(times_locked, 1);
}

static void its_fence_is_told(void **state)
{
	const struct held *held = *state;

	assert_true(awsflock_lease_fence(held->lease) > 0);
	assert_int_equal(times_locked, 1);
}

static void its_expiration_is_told(void **state)
{
	const struct held *held = *state;

	assert_true(awsflock_lease_expiration_time(held->lease) >= (int64_t)time(NULL));
	assert_int_equal(times_locked, 1);
}

static void its_deadline_is_told(void **state)
{
	const struct held *held = *state;

	assert_true(awsflock_lease_deadline_boot_ns(held->lease) > 0);
	assert_int_equal(times_locked, 1);
}

static void its_ids_are_told(void **state)
{
	const struct held *held = *state;
	char ids[2][AWSFLOCK_LEASE_ID_SIZE];

	assert_int_equal(awsflock_lease_copy_ids(held->lease, ids, 2), 1);
	assert_string_equal(ids[0], awsflock_lease_id(held->lease));
	assert_int_equal(times_locked, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_length_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_fence_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_expiration_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_deadline_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_ids_are_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
