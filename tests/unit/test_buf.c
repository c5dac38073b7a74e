/* Tests of base/buf.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void an_empty_buffer_reads_as_an_empty_string(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	assert_string_equal(buf_text(&buf), "");
	buf_free(&buf);
	buf_free(&buf);
}

static void appended_pieces_follow_each_other(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	assert_true(buf_puts(&buf, "one "));
	assert_true(buf_append(&buf, "two\0x", 4));
	assert_true(buf_printf(&buf, " %d", 3));
	assert_int_equal(buf.size, 10);
	assert_memory_equal(buf.data, "one two\0 3", 11);
	buf_free(&buf);
}

static void a_buffer_grows_over_many_appends(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	for (int i = 0; i < 10000; i++)
		assert_true(buf_append(&buf, i % 2 ? "b" : "a", 1));
	assert_int_equal(buf.size, 10000);
	assert_int_equal(strlen(buf.data), 10000);
	for (size_t i = 0; i < buf.size; i++)
		assert_int_equal(buf.data[i], i % 2 ? 'b' : 'a');
	buf_free(&buf);
}

static void the_limit_is_reached_exactly_and_never_passed(void **state)
{
	(void)state;
	struct buf buf = { .limit = 5 };
	assert_true(buf_puts(&buf, "12345"));
	assert_false(buf.failed);
	assert_false(buf_puts(&buf, "6"));
	assert_true(buf.failed);
	assert_string_equal(buf_text(&buf), "12345");
	assert_true(buf.over_limit);
	buf_reset(&buf);
	assert_false(buf.failed || buf.over_limit);
	buf_free(&buf);
}

static void a_buffer_without_a_limit_of_its_own_has_the_default_one(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	char *block = calloc(1, BUF_LIMIT_DEFAULT + 1);
	assert_non_null(block);
	assert_false(buf_append(&buf, block, BUF_LIMIT_DEFAULT + 1));
	buf_reset(&buf);
	assert_true(buf_append(&buf, block, BUF_LIMIT_DEFAULT));
	free(block);
	buf_free(&buf);
}

static void a_failure_sticks_until_the_buffer_is_reset(void **state)
{
	(void)state;
	struct buf buf = { .limit = 4 };
	assert_false(buf_printf(&buf, "%s", "too long"));
	assert_false(buf_puts(&buf, "a"));
	assert_string_equal(buf_text(&buf), "");
	buf_reset(&buf);
	assert_true(buf_puts(&buf, "a"));
	buf_free(&buf);
}

static void resetting_wipes_what_was_there(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	buf_puts(&buf, "secret");
	char *memory = buf.data;
	buf_reset(&buf);
	assert_ptr_equal(buf.data, memory);
	assert_memory_equal(memory, "\0\0\0\0\0\0", 6);
	assert_string_equal(buf_text(&buf), "");
	buf_free(&buf);
}

static void a_stolen_string_is_the_callers_and_leaves_an_empty_buffer(void **state)
{
	(void)state;
	struct buf buf = BUF_INIT;
	buf_puts(&buf, "mine");
	char *text = buf_steal(&buf);
	assert_string_equal(text, "mine");
	free(text);
	assert_int_equal(buf.size, 0);
	text = buf_steal(&buf);
	assert_string_equal(text, "");
	free(text);
	assert_true(buf_puts(&buf, "again"));
	buf_free(&buf);
}

static void nothing_is_stolen_from_a_failed_buffer(void **state)
{
	(void)state;
	struct buf buf = { .limit = 4 };
	buf_puts(&buf, "half");
	buf_puts(&buf, "and half");
	assert_null(buf_steal(&buf));
	assert_null(buf.data);
}

static void wiping_a_string_clears_the_pointer(void **state)
{
	(void)state;
	char *text = strdup("secret");
	wipe_string(&text);
	assert_null(text);
	wipe_string(&text);
	char bytes[4] = "abc";
	wipe(bytes, sizeof(bytes));
	assert_memory_equal(bytes, "\0\0\0\0", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_buffer_reads_as_an_empty_string),
		cmocka_unit_test(appended_pieces_follow_each_other),
		cmocka_unit_test(a_buffer_grows_over_many_appends),
		cmocka_unit_test(the_limit_is_reached_exactly_and_never_passed),
		cmocka_unit_test(a_buffer_without_a_limit_of_its_own_has_the_default_one),
		cmocka_unit_test(a_failure_sticks_until_the_buffer_is_reset),
		cmocka_unit_test(resetting_wipes_what_was_there),
		cmocka_unit_test(a_stolen_string_is_the_callers_and_leaves_an_empty_buffer),
		cmocka_unit_test(nothing_is_stolen_from_a_failed_buffer),
		cmocka_unit_test(wiping_a_string_clears_the_pointer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
