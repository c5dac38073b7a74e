/* Tests of base/sized_struct.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <string.h>

#include "base/sized_struct.h"

/* The options of three releases. */
struct first {
	size_t size;
	int64_t wait;
};

struct second {
	size_t size;
	int64_t wait, patience;
};

struct third {
	size_t size;
	int64_t wait, patience, hope;
};

static awsflock_code copy(struct second *own, const void *given, awsflock_error *error)
{
	memset(own, 0xFF, sizeof(*own));
	return sized_struct_copy(own, sizeof(*own), sizeof(struct first), given, "OPTIONS_INIT", error);
}

static void the_struct_of_the_same_release_is_copied(void **state)
{
	const struct second given = { sizeof(given), 1, 2 };
	struct second own;

	(void)state;
	assert_int_equal(copy(&own, &given, NULL), AWSFLOCK_OK);
	assert_memory_equal(&own, &given, sizeof(own));
}

static void what_an_older_caller_does_not_know_is_zero(void **state)
{
	const struct first given = { sizeof(given), 1 };
	struct second own;

	(void)state;
	assert_int_equal(copy(&own, &given, NULL), AWSFLOCK_OK);
	assert_int_equal(own.size, sizeof(own));
	assert_int_equal(own.wait, 1);
	assert_int_equal(own.patience, 0);
}

static void a_newer_caller_is_served_as_long_as_it_asks_for_nothing_new(void **state)
{
	struct third given = { sizeof(given), 1, 2, 0 };
	struct second own;
	awsflock_error error;

	(void)state;
	assert_int_equal(copy(&own, &given, NULL), AWSFLOCK_OK);
	assert_int_equal(own.size, sizeof(own));
	assert_int_equal(own.patience, 2);
	given.hope = 1;
	assert_int_equal(copy(&own, &given, &error), AWSFLOCK_INVALID);
	assert_non_null(strstr(error.message, "does not know"));
}

static void a_struct_that_was_not_initialised_is_refused(void **state)
{
	const struct first sizes[] = { { 0, 1 }, { 1, 1 }, { sizeof(struct first) - 1, 1 }, { SIZE_MAX, 1 } };
	struct second own;
	awsflock_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(copy(&own, &sizes[i], &error), AWSFLOCK_INVALID);
		assert_non_null(strstr(error.message, "OPTIONS_INIT"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_struct_of_the_same_release_is_copied),
		cmocka_unit_test(what_an_older_caller_does_not_know_is_zero),
		cmocka_unit_test(a_newer_caller_is_served_as_long_as_it_asks_for_nothing_new),
		cmocka_unit_test(a_struct_that_was_not_initialised_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
