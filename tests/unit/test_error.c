/* Tests of base/error.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

static void filling_in_returns_the_code_and_keeps_the_sentence(void **state)
{
	(void)state;
	awsflock_error error;
	assert_int_equal(error_set(&error, AWSFLOCK_HELD, "held by %s", "ada"), AWSFLOCK_HELD);
	assert_int_equal(error.code, AWSFLOCK_HELD);
	assert_string_equal(error.message, "held by ada");
}

static void filling_in_nothing_still_returns_the_code(void **state)
{
	(void)state;
	error_clear(NULL);
	assert_int_equal(error_set(NULL, AWSFLOCK_LOST, "gone"), AWSFLOCK_LOST);
	assert_int_equal(error_set_errno(NULL, AWSFLOCK_STORAGE, EIO, "gone"), AWSFLOCK_STORAGE);
	assert_int_equal(error_out_of_memory(NULL), AWSFLOCK_MEMORY);
}

static void what_an_earlier_failure_left_is_forgotten(void **state)
{
	(void)state;
	awsflock_error error;
	memset(&error, 0xFF, sizeof(error));
	error_set(&error, AWSFLOCK_INVALID, "new");
	assert_int_equal(error.system_errno, 0);
	assert_int_equal(error.http_status, 0);
	assert_false(error.outcome_unknown);
	error_clear(&error);
	assert_int_equal(error.code, AWSFLOCK_OK);
	assert_string_equal(error.message, "");
}

static void control_characters_do_not_reach_the_message(void **state)
{
	(void)state;
	awsflock_error error;
	error_set(&error, AWSFLOCK_INVALID, "name '%s'", "a\x1b[31m\nb");
	assert_string_equal(error.message, "name 'a?[31m?b'");
}

static void a_sentence_can_be_built_on_the_old_one(void **state)
{
	(void)state;
	awsflock_error error;
	error_set(&error, AWSFLOCK_INVALID, "inner");
	error_set(&error, AWSFLOCK_CONFIG, "outer: %s", error.message);
	assert_string_equal(error.message, "outer: inner");
}

static void a_long_sentence_is_cut_at_a_character_and_keeps_the_errno_text(void **state)
{
	(void)state;
	char longer[3 * AWSFLOCK_ERROR_MESSAGE_SIZE] = "x";
	for (size_t i = 1; i + 2 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xC3\xA9", 3);
	awsflock_error error;
	error_set_errno(&error, AWSFLOCK_STORAGE, ENOSPC, "%s", longer);
	assert_int_equal(error.system_errno, ENOSPC);
	size_t size = strlen(error.message);
	assert_in_range(size, AWSFLOCK_ERROR_MESSAGE_SIZE - 4, AWSFLOCK_ERROR_MESSAGE_SIZE - 1);
	assert_true(text_is_utf8(error.message, size));
	assert_non_null(strstr(error.message, "...: No space left on device"));
}

static void the_errno_text_follows_the_sentence(void **state)
{
	(void)state;
	awsflock_error error;
	error_set_errno(&error, AWSFLOCK_STORAGE, EACCES, "cannot open %s", "f");
	assert_string_equal(error.message, "cannot open f: Permission denied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filling_in_returns_the_code_and_keeps_the_sentence),
		cmocka_unit_test(filling_in_nothing_still_returns_the_code),
		cmocka_unit_test(what_an_earlier_failure_left_is_forgotten),
		cmocka_unit_test(control_characters_do_not_reach_the_message),
		cmocka_unit_test(a_sentence_can_be_built_on_the_old_one),
		cmocka_unit_test(a_long_sentence_is_cut_at_a_character_and_keeps_the_errno_text),
		cmocka_unit_test(the_errno_text_follows_the_sentence),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
