/* Tests of base/duration.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/duration.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *text;
	int64_t seconds;
} durations[] = {
	{ "90", 90 },
	{ "1", 1 },
	{ "15m", 900 },
	{ "3 minutes", 180 },
	{ "100hrs", 360000 },
	{ "1 day", 86400 },
	{ "1h30m", 5400 },
	{ "1h 30 m", 5400 },
	{ "1 Hour 30 MINUTES", 5400 },
	{ "1w2d3h4m5s", 788645 },
	{ "1week 2days 3hour 4min 5sec", 788645 },
	{ "2 weeks", 1209600 },
	{ "1hr", 3600 },
	{ "2 mins", 120 },
	{ "7 secs", 7 },
	{ "1 second", 1 },
	{ "1h0m", 3600 },
	{ "090s", 90 },
	{ "90m", 5400 },
	{ "366 days", 366 * 86400 },
	{ "31622400", 366 * 86400 },
};

static void durations_as_people_write_them_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		int64_t seconds = -1;
		assert_int_equal(duration_parse(durations[i].text, &seconds, NULL), AWSFLOCK_OK);
		assert_int_equal(seconds, durations[i].seconds);
	}
}

static void waits_may_be_written_in_every_way_a_duration_may(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(durations); i++) {
		int64_t milliseconds = -1;
		assert_int_equal(duration_parse_ms(durations[i].text, &milliseconds, NULL), AWSFLOCK_OK);
		assert_int_equal(milliseconds, durations[i].seconds * 1000);
	}
}

static const char *const nonsense[] = {
	"",     " ",     "h",     "m15",        "-1",        "+1",      "-5m",          "1.5h",  "1,5",  "1h-5m",
	"1h30", "30 1h", "5m1h",  "1m1m",       "1 s 1 sec", "5x",      "5 fortnights", "1e3",   "0x10", "1h,5m",
	"1h\n", "1d 2",  "5 m s", "5\xC2\xA0m", "5m!",       "1.5h 3m", "1hm",          "5msec",
};

static void what_is_no_duration_is_refused_with_a_sentence_that_shows_what_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(nonsense); i++) {
		awsflock_error error;
		int64_t value = -1;
		assert_int_equal(duration_parse(nonsense[i], &value, &error), AWSFLOCK_INVALID);
		assert_non_null(strstr(error.message, "1h30m"));
		assert_int_equal(duration_parse_ms(nonsense[i], &value, &error), AWSFLOCK_INVALID);
		assert_non_null(strstr(error.message, "1h30m"));
		assert_int_equal(value, -1);
	}
	int64_t value;
	assert_int_equal(duration_parse(NULL, &value, NULL), AWSFLOCK_INVALID);
}

static void the_sentence_quotes_the_text_made_safe(void **state)
{
	(void)state;
	awsflock_error error;
	int64_t value;
	assert_int_equal(duration_parse("5\x1b[31m", &value, &error), AWSFLOCK_INVALID);
	assert_int_equal(strncmp(error.message, "'5?[31m' is not a duration", 26), 0);
}

static void zero_and_fractions_are_no_lease_but_a_wait(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t milliseconds;
	} cases[] = { { "0", 0 },     { "0s", 0 },    { "0h 0m", 0 },   { "0.0", 0 },   { "0.5", 500 },
		      { "0.05", 50 }, { "0.001", 1 }, { "1.25", 1250 }, { "2.0", 2000 } };
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t value = -1;
		assert_int_equal(duration_parse(cases[i].text, &value, NULL), AWSFLOCK_INVALID);
		assert_int_equal(value, -1);
		assert_int_equal(duration_parse_ms(cases[i].text, &value, NULL), AWSFLOCK_OK);
		assert_int_equal(value, cases[i].milliseconds);
	}
}

static void fractions_have_one_to_three_digits_and_no_unit(void **state)
{
	(void)state;
	static const char *const cases[] = { ".5", "5.", "0.0005", "0.5m", "0.5 s", "1.2.3", "-0.5", "0.5 5" };
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t value;
		assert_int_equal(duration_parse_ms(cases[i], &value, NULL), AWSFLOCK_INVALID);
	}
}

static void more_than_a_year_is_refused_however_large(void **state)
{
	(void)state;
	static const char *const cases[] = { "31622401",
					     "367 days",
					     "366d 1s",
					     "9223372036854775807",
					     "9223372036854775807w",
					     "99999999999999999999999999 days",
					     "99999999999999999999999999",
					     "15250284452471w 9223372036854775807s" };
	for (size_t i = 0; i < COUNT(cases); i++) {
		awsflock_error error;
		int64_t value;
		assert_int_equal(duration_parse(cases[i], &value, &error), AWSFLOCK_INVALID);
		assert_non_null(strstr(error.message, "at most 366 days"));
		assert_int_equal(duration_parse_ms(cases[i], &value, &error), AWSFLOCK_INVALID);
	}
	int64_t value;
	assert_int_equal(duration_parse_ms("31622400.001", &value, NULL), AWSFLOCK_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_as_people_write_them_are_read),
		cmocka_unit_test(waits_may_be_written_in_every_way_a_duration_may),
		cmocka_unit_test(what_is_no_duration_is_refused_with_a_sentence_that_shows_what_is),
		cmocka_unit_test(the_sentence_quotes_the_text_made_safe),
		cmocka_unit_test(zero_and_fractions_are_no_lease_but_a_wait),
		cmocka_unit_test(fractions_have_one_to_three_digits_and_no_unit),
		cmocka_unit_test(more_than_a_year_is_refused_however_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
