/* Lines of /proc/PID/stat, as the kernel writes them and as a process may want them to look.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proc/stat.h"

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

/* The fields 4 to 23 of a process: parent 41, group 40, terminal 34816 (/dev/pts/0), one thread, started at 1234. */
#define FIELDS "41 40 39 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 1 0 1234 5678"

static void the_fields_are_those_of_proc_5(void **state)
{
	struct stat_line line;

	(void)state;
	assert_true(stat_line_parse("42 (vi) S " FIELDS "\n", &line));
	assert_string_equal(line.name, "vi");
	assert_int_equal(line.parent, 41);
	assert_int_equal(line.group, 40);
	assert_int_equal(line.terminal, 34816);
	assert_int_equal(line.start_ticks, 1234);
	assert_false(line.ended);
}

static void a_name_cannot_forge_fields(void **state)
{
	static const char *const names[] = { ") Z 1 (", ") Z 1 1 1 (", "(", ")", "))) R 1 1", "a b\nc", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct stat_line line;
		char text[256];
		snprintf(text, sizeof(text), "42 (%s) S " FIELDS "\n", names[i]);
		assert_true(stat_line_parse(text, &line));
		assert_string_equal(line.name, names[i]);
		assert_int_equal(line.parent, 41);
		assert_int_equal(line.start_ticks, 1234);
		assert_false(line.ended);
	}
}

static void a_longer_name_is_cut(void **state)
{
	struct stat_line line;

	(void)state;
	assert_true(stat_line_parse("42 (kworker/u16:3-events_unbound) I " FIELDS, &line));
	assert_string_equal(line.name, "kworker/u16:3-e");
}

static void one_that_only_waits_for_its_parent_has_ended(void **state)
{
	struct stat_line line;

	(void)state;
	assert_true(stat_line_parse("42 (vi) Z " FIELDS, &line));
	assert_true(line.ended);
	assert_true(stat_line_parse("42 (vi) X " FIELDS, &line));
	assert_true(line.ended);
	/* Its first thread has ended, two others run. */
	assert_true(
		stat_line_parse("42 (vi) Z 41 40 39 34816 42 4194304 1 2 3 4 5 6 7 8 20 0 3 0 1234 5678", &line));
	assert_false(line.ended);
}

static void the_terminals_number_may_use_all_its_bits(void **state)
{
	struct stat_line line;

	(void)state;
	assert_true(stat_line_parse("42 (vi) S 41 40 39 -2147483648 42 4 1 2 3 4 5 6 7 8 20 0 1 0 1234", &line));
	assert_int_equal(line.terminal, 0x80000000U);
}

static void what_is_no_such_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"42",
		"42 (vi",
		"42 vi) S " FIELDS,
		") S (" FIELDS,
		"42 (vi)",
		"42 (vi) ",
		"42 (vi)S " FIELDS,
		"42 (vi) S 41 40 39 34816", /* cut short */
		"42 (vi) S -1 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 1234",
		"42 (vi) S 99999999999 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 1234",
		"42 (vi) S 41 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 123456789012345678901234567890",
		"42 (vi) S 41 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 -5",
		"42 (vi) S 41 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 12x4",
		"42 (vi) S  41 40 39 34816 42 4 1 2 3 4 5 6 7 8 20 0 1 0 1234",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct stat_line line = { .parent = 7 };
		if (stat_line_parse(lines[i], &line))
			fail_msg("taken for a line: %s", lines[i]);
		assert_int_equal(line.parent, 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fields_are_those_of_proc_5),
		cmocka_unit_test(a_name_cannot_forge_fields),
		cmocka_unit_test(a_longer_name_is_cut),
		cmocka_unit_test(one_that_only_waits_for_its_parent_has_ended),
		cmocka_unit_test(the_terminals_number_may_use_all_its_bits),
		cmocka_unit_test(what_is_no_such_line_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
