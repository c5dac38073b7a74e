/* Tests of base/text.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/text_check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const broken_utf8[] = {
	"\x80",             /* a continuation without a start */
	"\xC3",             /* cut off */
	"\xE2\x82",         /* cut off */
	"\xC0\xAF",         /* overlong '/' */
	"\xC1\xBF",         /* overlong */
	"\xE0\x80\xAF",     /* overlong */
	"\xF0\x80\x80\xAF", /* overlong */
	"\xED\xA0\x80",     /* a surrogate */
	"\xED\xBF\xBF",     /* a surrogate */
	"\xF4\x90\x80\x80", /* above U+10FFFF */
	"\xF5\x80\x80\x80",
	"\xFF",
};

static void well_formed_utf8_is_told_from_broken(void **state)
{
	(void)state;
	static const char *const good[] = { "",
					    "plain",
					    "\x7F",
					    "\xC2\x80",
					    "\xDF\xBF",
					    "\xE0\xA0\x80",
					    "\xED\x9F\xBF",
					    "\xEE\x80\x80",
					    "\xF0\x90\x80\x80",
					    "\xF4\x8F\xBF\xBF" };
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < COUNT(broken_utf8); i++)
		assert_false(text_is_utf8(broken_utf8[i], strlen(broken_utf8[i])));
	assert_true(text_is_utf8("a\0b", 3));
	assert_false(text_is_utf8("\xE2\x82\xAC", 2));
}

static void whole_numbers_in_range_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "-0", 0 },
		{ "42", 42 },
		{ "-42", -42 },
		{ "007", 7 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t value = 99;
		assert_true(text_parse_int64(cases[i].text, INT64_MIN, INT64_MAX, &value));
		assert_true(value == cases[i].value);
	}
}

static void anything_but_a_whole_number_in_range_is_refused(void **state)
{
	(void)state;
	static const char *const cases[] = { "",     "-",    "+1",  " 1",  "1 ",
					     "1.0",  "0x10", "--1", "1-",  "9223372036854775808",
					     "1\n2", "1e3",  "11",  "-11", "-9223372036854775809" };
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t value = 99;
		assert_false(text_parse_int64(cases[i], -10, 10, &value));
		assert_int_equal(value, 99);
	}
	int64_t value;
	assert_false(text_parse_int64("9223372036854775808", INT64_MIN, INT64_MAX, &value));
	assert_false(text_parse_int64("-9223372036854775809", INT64_MIN, INT64_MAX, &value));
}

static void booleans_are_read_in_any_case_and_nothing_else_is(void **state)
{
	(void)state;
	static const char *const yes[] = { "yes", "Yes", "TRUE", "on", "1" };
	static const char *const no[] = { "no", "NO", "false", "Off", "0" };
	static const char *const neither[] = { "", "y", "yes ", "2", "enabled" };
	bool truth;
	for (size_t i = 0; i < COUNT(yes); i++) {
		truth = false;
		assert_true(text_parse_bool(yes[i], &truth));
		assert_true(truth);
	}
	for (size_t i = 0; i < COUNT(no); i++) {
		truth = true;
		assert_true(text_parse_bool(no[i], &truth));
		assert_false(truth);
	}
	for (size_t i = 0; i < COUNT(neither); i++)
		assert_false(text_parse_bool(neither[i], &truth));
}

static void encode(uint32_t code, char out[8])
{
	size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char leads[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

	for (size_t i = size; i > 1; i--, code >>= 6)
		out[i - 1] = (char)(0x80 | (code & 0x3F));
	out[0] = (char)(leads[size] | code);
	out[size] = '\0';
}

static void what_could_steer_a_terminal_or_a_log_is_replaced(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "plain", "plain" },
		{ "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x94\x92", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x94\x92" },
		{ "a\x1b[2Jb", "a?[2Jb" },
		{ "a\r\n\tb\x7F", "a???b?" },
		{ "\xC2\x80\xC2\x9B\xC2\x9F\xC2\xA0", "???\xC2\xA0" }, /* C1 ends at U+009F */
		{ "\xE2\x80\xAF", "\xE2\x80\xAF" },                    /* U+202F is a space */
		{ "x\x80y", "x?y" },
		{ "\xE2\x82z", "??z" },
		{ NULL, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char out[100];
		text_sanitise(cases[i].text, out, sizeof(out));
		assert_string_equal(out, cases[i].shown);
	}
}

/* The first and the last of each range, and the neighbours that are to be seen. */
static void what_is_not_seen_or_reorders_a_line_is_shown_by_its_number(void **state)
{
	(void)state;
	static const uint32_t hidden[] = { 0xAD,   0x34F,   0x61C,   0x115F,  0x1160,  0x17B4,  0x17B5,
					   0x180B, 0x180E,  0x180F,  0x200B,  0x200D,  0x200E,  0x200F,
					   0x2028, 0x2029,  0x202A,  0x202E,  0x2060,  0x2066,  0x2069,
					   0x206F, 0x3164,  0xFE00,  0xFE0F,  0xFEFF,  0xFFA0,  0xFFF0,
					   0xFFFB, 0x1BCA0, 0x1BCA3, 0x1D173, 0x1D17A, 0xE0001, 0xE0FFF };
	static const uint32_t seen[] = { 0x41,   0xAC,   0xAE,   0x34E,   0x350,   0x61B,   0x61D,  0x115E, 0x1161,
					 0x180A, 0x200A, 0x2010, 0x2027,  0x202F,  0x205F,  0x2070, 0x3163, 0xFDFF,
					 0xFE10, 0xFEFE, 0xFFFC, 0x1D172, 0x1F512, 0xDFFFF, 0xE1000 };
	char text[8], expected[16], out[32];

	for (size_t i = 0; i < COUNT(hidden); i++) {
		encode(hidden[i], text);
		snprintf(expected, sizeof(expected), "<U+%04X>", (unsigned)hidden[i]);
		text_sanitise(text, out, sizeof(out));
		assert_string_equal(out, expected);
	}
	for (size_t i = 0; i < COUNT(seen); i++) {
		encode(seen[i], text);
		text_sanitise(text, out, sizeof(out));
		assert_string_equal(out, text);
	}
}

static void the_number_of_a_character_is_never_cut_in_two(void **state)
{
	(void)state;
	char out[16];

	text_sanitise("ab\xE2\x80\x8B", out, 11);
	assert_string_equal(out, "ab<U+200B>");
	text_sanitise("ab\xE2\x80\x8B", out, 10);
	assert_string_equal(out, "ab...");
}

static void of_a_url_no_name_and_no_password_stays(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{ "no answer from http://al:pw@proxy:3128: refused",
		  "no answer from http://*@proxy:3128: refused" },
		{ "http://al:p#w/x?y@z@proxy", "http://*@proxy" },
		{ "'https://a@h' and socks5h://b:c@i/", "'https://*@h' and socks5h://*@i/" },
		{ "http://proxy:3128 is alice@laptop's", "http://proxy:3128 is alice@laptop's" },
		{ "http://@h", "http://@h" },
		{ "alice@laptop", "alice@laptop" },
		{ "://", "://" },
		{ "", "" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[100];
		snprintf(text, sizeof(text), "%s", cases[i].text);
		text_hide_logins(text);
		assert_string_equal(text, cases[i].shown);
	}
}

static void a_message_that_is_cut_shows_no_part_of_a_password(void **state)
{
	(void)state;
	static const char message[] = "bad proxy http://al:secret@h\x1b";
	char out[sizeof(message)];

	for (size_t size = 1; size <= sizeof(out); size++) {
		text_sanitise_message(message, out, size);
		assert_null(strstr(out, "al"));
	}
	assert_string_equal(out, "bad proxy http://*@h?");
}

static void no_broken_utf8_survives_sanitising(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(broken_utf8); i++) {
		char out[16];
		text_sanitise(broken_utf8[i], out, sizeof(out));
		assert_int_equal(strlen(out), strlen(broken_utf8[i]));
		assert_int_equal(strspn(out, "?"), strlen(out));
	}
}

static void a_long_text_is_cut_at_a_character_with_dots(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t size;
		const char *shown;
	} cases[] = {
		{ "abcdef", 7, "abcdef" },
		{ "abcdef", 6, "ab..." },
		{ "abcdef", 4, "..." },
		{ "abcdef", 3, "ab" }, /* no room for dots */
		{ "abcdef", 1, "" },
		{ "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 9, "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9" },
		{ "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 8, "\xC3\xA9\xC3\xA9..." },
		{ "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 7, "\xC3\xA9..." },
		{ "\xC3\xA9\xC3\xA9", 2, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char out[16];
		memset(out, 'z', sizeof(out));
		text_sanitise(cases[i].text, out, cases[i].size);
		assert_string_equal(out, cases[i].shown);
		assert_int_equal(out[cases[i].size], 'z');
	}
	char untouched = 'z';
	text_sanitise("abc", &untouched, 0);
	assert_int_equal(untouched, 'z');
}

static void lock_names_may_be_any_text_without_control_characters(void **state)
{
	(void)state;
	static const char *const good[] = { "a", "deploy/prod 1", "caf\xC3\xA9", "\xC2\xA0", "--", "\xE2\x80\xA8" };
	static const char *const bad[] = {
		"", "a\nb", "a\x1b", "\x7F", "a\xC2\x85", "\xC2\x9F", "\xFF", "\xC0\x80"
	};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(text_check_lock_name(good[i], NULL), AWSFLOCK_OK);
	for (size_t i = 0; i < COUNT(bad); i++) {
		awsflock_error error;
		assert_int_equal(text_check_lock_name(bad[i], &error), AWSFLOCK_INVALID);
		assert_true(strlen(error.message) > 10);
	}
	assert_int_equal(text_check_lock_name(NULL, NULL), AWSFLOCK_INVALID);
}

static void lock_names_have_at_most_2048_bytes(void **state)
{
	(void)state;
	char name[AWSFLOCK_LOCK_MAX + 2];
	memset(name, 'a', sizeof(name));
	name[AWSFLOCK_LOCK_MAX] = '\0';
	assert_int_equal(text_check_lock_name(name, NULL), AWSFLOCK_OK);
	name[AWSFLOCK_LOCK_MAX] = 'a';
	name[AWSFLOCK_LOCK_MAX + 1] = '\0';
	awsflock_error error;
	assert_int_equal(text_check_lock_name(name, &error), AWSFLOCK_INVALID);
	assert_non_null(strstr(error.message, "2049"));
	assert_non_null(strstr(error.message, "2048"));
}

static void a_lease_id_has_the_form_of_a_uuid(void **state)
{
	(void)state;
	static const char *const good[] = { "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a90",
					    "9B2F7C1E-4D0A-1C55-0A1E-0C6F3D2B7A90" };
	static const char *const bad[] = { "",
					   "9b2f7c1e",
					   "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a9",
					   "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a900",
					   "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a9g",
					   "9b2f7c1e04d0a-4c55-8a1e-0c6f3d2b7a90",
					   " b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a90",
					   "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a90\n" };
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(text_check_lease_id(good[i], NULL), AWSFLOCK_OK);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(text_check_lease_id(bad[i], NULL), AWSFLOCK_INVALID);
	assert_int_equal(text_check_lease_id(NULL, NULL), AWSFLOCK_INVALID);
}

static void free_text_may_be_empty_and_has_at_most_1024_bytes(void **state)
{
	(void)state;
	char text[1026];
	memset(text, 'a', sizeof(text));
	text[1024] = '\0';
	assert_int_equal(text_check_free("owner", "", NULL), AWSFLOCK_OK);
	assert_int_equal(text_check_free("owner", NULL, NULL), AWSFLOCK_OK);
	assert_int_equal(text_check_free("owner", text, NULL), AWSFLOCK_OK);
	text[1024] = 'a';
	text[1025] = '\0';
	awsflock_error error;
	assert_int_equal(text_check_free("owner", text, &error), AWSFLOCK_INVALID);
	assert_int_equal(strncmp(error.message, "owner ", 6), 0);
	assert_int_equal(text_check_free("purpose", "a\nb", &error), AWSFLOCK_INVALID);
	assert_string_equal(error.message, "purpose 'a?b' holds a control character (U+000A): leave it out");
	assert_int_equal(text_check_free("purpose", "a\xFF", NULL), AWSFLOCK_INVALID);
}

static void somebody_has_a_name_that_is_not_only_blanks(void **state)
{
	(void)state;
	static const char *const good[] = { "",
					    "a",
					    " a",
					    "a ",
					    "\xE3\x80\x80"
					    "a",
					    "\xE2\x80\x8B",
					    "." };
	static const char *const bad[] = {
		" ", "   ", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x83 ", "\xE2\x80\xAF", "\xE3\x80\x80"
	};
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(text_check_person("the owner", good[i], NULL), AWSFLOCK_OK);
	assert_int_equal(text_check_person("the owner", NULL, NULL), AWSFLOCK_OK);
	for (size_t i = 0; i < COUNT(bad); i++) {
		awsflock_error error;
		assert_int_equal(text_check_person("the owner", bad[i], &error), AWSFLOCK_INVALID);
		assert_string_equal(error.message, "the owner is only blanks: give a name, or leave it out");
		assert_int_equal(text_check_free("the purpose", bad[i], NULL), AWSFLOCK_OK);
	}
	assert_int_equal(text_check_person("the owner", "\t", NULL), AWSFLOCK_INVALID);
}

static void a_time_today_is_shown_without_its_date(void **state)
{
	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	const int64_t noon = 1795435200; /* 2026-11-23 12:00:00 UTC */
	char out[32];
	text_local_time(noon + 7331, noon, out, sizeof(out));
	assert_string_equal(out, "14:02:11");
	text_local_time(noon + 43200, noon, out, sizeof(out));
	assert_string_equal(out, "2026-11-24 00:00:00");
	text_local_time(noon - 365 * 86400, noon, out, sizeof(out));
	assert_string_equal(out, "2025-11-23 12:00:00");
}

static void times_are_local(void **state)
{
	(void)state;
	setenv("TZ", "TEST-3", 1); /* three hours east of UTC */
	tzset();
	char out[32];
	text_local_time(1795435200, 1795435200, out, sizeof(out));
	assert_string_equal(out, "15:00:00");
}

static void a_time_beyond_the_calendar_is_shown_as_a_number(void **state)
{
	(void)state;
	char out[32];
	text_local_time(INT64_MAX, 0, out, sizeof(out));
	assert_string_equal(out, "9223372036854775807");
}

static void durations_are_shown_in_at_most_two_units(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *shown;
	} cases[] = { { 0, "0s" },       { 59, "59s" },
		      { 60, "1m" },      { 61, "1m 1s" },
		      { 7200, "2h" },    { 7500, "2h 5m" },
		      { 7259, "2h" },    { 86399, "23h 59m" },
		      { 86400, "1d" },   { 93600, "1d 2h" },
		      { 864000, "10d" }, { -5, "-5s" },
		      { -65, "-1m 5s" }, { INT64_MIN, "-106751991167300d 15h" } };
	for (size_t i = 0; i < COUNT(cases); i++) {
		char out[40];
		text_duration(cases[i].seconds, out, sizeof(out));
		assert_string_equal(out, cases[i].shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_utf8_is_told_from_broken),
		cmocka_unit_test(whole_numbers_in_range_are_read),
		cmocka_unit_test(anything_but_a_whole_number_in_range_is_refused),
		cmocka_unit_test(booleans_are_read_in_any_case_and_nothing_else_is),
		cmocka_unit_test(what_could_steer_a_terminal_or_a_log_is_replaced),
		cmocka_unit_test(no_broken_utf8_survives_sanitising),
		cmocka_unit_test(what_is_not_seen_or_reorders_a_line_is_shown_by_its_number),
		cmocka_unit_test(the_number_of_a_character_is_never_cut_in_two),
		cmocka_unit_test(of_a_url_no_name_and_no_password_stays),
		cmocka_unit_test(a_message_that_is_cut_shows_no_part_of_a_password),
		cmocka_unit_test(a_long_text_is_cut_at_a_character_with_dots),
		cmocka_unit_test(lock_names_may_be_any_text_without_control_characters),
		cmocka_unit_test(lock_names_have_at_most_2048_bytes),
		cmocka_unit_test(a_lease_id_has_the_form_of_a_uuid),
		cmocka_unit_test(free_text_may_be_empty_and_has_at_most_1024_bytes),
		cmocka_unit_test(somebody_has_a_name_that_is_not_only_blanks),
		cmocka_unit_test(a_time_today_is_shown_without_its_date),
		cmocka_unit_test(times_are_local),
		cmocka_unit_test(a_time_beyond_the_calendar_is_shown_as_a_number),
		cmocka_unit_test(durations_are_shown_in_at_most_two_units),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
