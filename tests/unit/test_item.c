/* Tests of lock/item.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lock/item.h"

/* Literals: only copies of this are ever freed. */
static const struct lock_item full_item = {
	.lock_id = (char *)"deploy/web",
	.lease_id = (char *)"11111111-1111-4111-8111-111111111111",
	.owner = (char *)"build 7",
	.lease_duration = 60,
	.expires_store_ms = 123456,
	.expiration_time = 1790000060,
	.fence = 42,
	.acquired_time = 1790000000,
	.released = true,
	.broken_by = (char *)"root",
	.broken_time = 1790000001,
	.holder = { (char *)"ada", (char *)"host7", (char *)"pts/1", (char *)"sshd", (char *)"192.0.2.1",
		    (char *)"a release", 4711 },
};

static bool is_all_zero(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)bytes)[i] != 0)
			return false;
	return true;
}

static void a_copy_has_every_field_and_strings_of_its_own(void **state)
{
	struct lock_item copy;
	awsflock_error error;

	(void)state;
	assert_int_equal(lock_item_copy(&full_item, &copy, &error), AWSFLOCK_OK);
	assert_string_equal(copy.lock_id, full_item.lock_id);
	assert_string_equal(copy.lease_id, full_item.lease_id);
	assert_string_equal(copy.owner, full_item.owner);
	assert_int_equal(copy.lease_duration, 60);
	assert_int_equal(copy.expires_store_ms, 123456);
	assert_int_equal(copy.expiration_time, 1790000060);
	assert_int_equal(copy.fence, 42);
	assert_int_equal(copy.acquired_time, 1790000000);
	assert_true(copy.released);
	assert_string_equal(copy.broken_by, "root");
	assert_int_equal(copy.broken_time, 1790000001);
	assert_ptr_not_equal(copy.lock_id, full_item.lock_id);
	assert_ptr_not_equal(copy.holder.user, full_item.holder.user);
	lock_item_clear(&copy);
}

static void a_copied_holder_has_every_field(void **state)
{
	struct holder copy;
	awsflock_error error;

	(void)state;
	assert_int_equal(holder_copy(&full_item.holder, &copy, &error), AWSFLOCK_OK);
	assert_string_equal(copy.user, "ada");
	assert_string_equal(copy.host, "host7");
	assert_string_equal(copy.tty, "pts/1");
	assert_string_equal(copy.service, "sshd");
	assert_string_equal(copy.rhost, "192.0.2.1");
	assert_string_equal(copy.purpose, "a release");
	assert_int_equal(copy.pid, 4711);
	holder_clear(&copy);
	assert_true(is_all_zero(&copy, sizeof(copy)));
}

static void what_is_not_set_stays_unset_in_a_copy(void **state)
{
	const struct lock_item bare = { .lock_id = (char *)"a", .lease_id = (char *)"b" };
	struct lock_item copy;
	awsflock_error error;

	(void)state;
	memset(&copy, 0xff, sizeof(copy));
	assert_int_equal(lock_item_copy(&bare, &copy, &error), AWSFLOCK_OK);
	assert_null(copy.owner);
	assert_null(copy.broken_by);
	assert_null(copy.holder.user);
	assert_false(copy.released);
	lock_item_clear(&copy);
}

static void clearing_leaves_all_zero_and_may_be_repeated(void **state)
{
	struct lock_item copy;
	awsflock_error error;

	(void)state;
	assert_int_equal(lock_item_copy(&full_item, &copy, &error), AWSFLOCK_OK);
	lock_item_clear(&copy);
	assert_true(is_all_zero(&copy, sizeof(copy)));
	lock_item_clear(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_has_every_field_and_strings_of_its_own),
		cmocka_unit_test(a_copied_holder_has_every_field),
		cmocka_unit_test(what_is_not_set_stays_unset_in_a_copy),
		cmocka_unit_test(clearing_leaves_all_zero_and_may_be_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
