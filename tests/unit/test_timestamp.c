/* Tests of base/timestamp.c.  SPDX-License-Identifier: Apache-2.0 */
#include "base/timestamp.h"

#include "cmocka_all.h"

static void times_are_read_in_every_form_that_aws_writes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T14:02:11Z", 1795442531 },
		{ "2026-11-23t14:02:11z", 1795442531 },
		{ "2026-11-23 14:02:11Z", 1795442531 },
		{ "2026-11-23T14:02:11.999Z", 1795442531 },
		{ "2026-11-23T14:02:11+00:00", 1795442531 },
		{ "2026-11-23T15:02:11+01:00", 1795442531 },
		{ "2026-11-23T15:32:11+0130", 1795442531 },
		{ "2026-11-23T09:02:11-05:00", 1795442531 },
		{ "2026-11-23T14:02:11UTC", 1795442531 },   /* the AWS CLI's caches */
		{ "2026-11-23T14:02:11.204Z", 1795442531 }, /* JavaScript's */
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "2024-03-01T00:00:00Z", 1709251200 },
		{ "2099-12-31T23:59:59Z", 4102444799 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t seconds = -1;
		assert_true(timestamp_parse(rows[i].text, &seconds));
		assert_int_equal(seconds, rows[i].seconds);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "",
					     "soon",
					     "2026-11-23",
					     "2026-11-23T14:02:11",
					     "2026-11-23T14:02Z",
					     "2026-11-23T14:02:11Zx",
					     " 2026-11-23T14:02:11Z",
					     "2026-13-23T14:02:11Z",
					     "2026-00-23T14:02:11Z",
					     "2026-11-31T14:02:11Z",
					     "2026-02-29T14:02:11Z",
					     "2100-02-29T14:02:11Z",
					     "1969-12-31T23:59:59Z",
					     "2026-11-23T24:02:11Z",
					     "2026-11-23T14:60:11Z",
					     "2026-11-23T14:02:61Z",
					     "2026-11-23T14:02:11.Z",
					     "2026-11-23T14:02:11UT",
					     "2026-11-23T14:02:11UTC+1",
					     "2026-11-23T14:02:11+1",
					     "+2026-11-23T14:02:11Z",
					     "2026/11/23T14:02:11Z" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int64_t seconds = 7;
		assert_false(timestamp_parse(texts[i], &seconds));
		assert_int_equal(seconds, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read_in_every_form_that_aws_writes),
		cmocka_unit_test(what_is_no_time_is_refused),
	};
	return cmocka_run_group_tests_name("timestamp", tests, NULL, NULL);
}
