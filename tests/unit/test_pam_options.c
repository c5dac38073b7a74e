/* Tests of src/guard/module_options.c.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/module_options.h"

#include <string.h>

#include "cmocka_all.h"

#define MOST 8

static bool read_line(const char *const line[], struct module_options *options, char *reason, size_t size)
{
	const char *argv[MOST];
	int argc = 0;
	while (line[argc] != NULL) {
		argv[argc] = line[argc];
		argc++;
	}
	return module_options_read(argc, argv, options, reason, size);
}

static void every_argument_is_understood(void **state)
{
	static const char *const line[] = { "guard=ops", "conf=/etc/other.conf",   "debug",
					    "quiet",     "break_glass_group=root", NULL };
	struct module_options options;
	char reason[128] = "";
	(void)state;
	assert_true(read_line(line, &options, reason, sizeof(reason)));
	assert_string_equal(options.guard, "ops");
	assert_string_equal(options.conf, "/etc/other.conf");
	assert_string_equal(options.break_glass_group, "root");
	assert_true(options.debug);
	assert_true(options.quiet);
	assert_string_equal(reason, "");
}

static void what_is_not_given_is_left_out(void **state)
{
	static const char *const line[] = { "guard=a=b", NULL };
	struct module_options options;
	char reason[128];
	(void)state;
	assert_true(read_line(line, &options, reason, sizeof(reason)));
	assert_string_equal(options.guard, "a=b");
	assert_null(options.conf);
	assert_null(options.break_glass_group);
	assert_false(options.debug);
	assert_false(options.quiet);
}

static void a_wrong_argument_is_refused_by_name(void **state)
{
	static const struct {
		const char *line[3];
		const char *said;
	} cases[] = {
		{ { "guard=ops", "gaurd=ops", NULL }, "'gaurd=ops' is unknown" },
		{ { "guard=ops", "Debug", NULL }, "'Debug' is unknown" },
		{ { "guard=ops", "", NULL }, "'' is unknown" },
		{ { "guard", NULL }, "'guard' needs a value" },
		{ { "guard=", NULL }, "'guard=' needs a value" },
		{ { "guard=ops", "guard=ops", NULL }, "'guard=ops' stands twice" },
		{ { "guard=ops", "debug=yes", NULL }, "'debug=yes' takes no value" },
		{ { "guard=ops", "conf=awsflock.conf", NULL }, "needs a path that starts with /" },
		{ { "debug", NULL }, "guard=NAME is missing" },
		{ { NULL }, "guard=NAME is missing" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct module_options options;
		char reason[256] = "";
		assert_false(read_line(cases[i].line, &options, reason, sizeof(reason)));
		if (strstr(reason, cases[i].said) == NULL)
			fail_msg("%s: %s", cases[i].said, reason);
	}
}

static void a_long_argument_is_cut_in_the_reason(void **state)
{
	char argument[1000];
	const char *line[] = { argument, NULL };
	struct module_options options;
	char reason[200];
	(void)state;
	memset(argument, 'x', sizeof(argument) - 1);
	argument[sizeof(argument) - 1] = '\0';
	assert_false(read_line(line, &options, reason, sizeof(reason)));
	assert_non_null(strstr(reason, "is unknown: see pam_awsflock(8)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_argument_is_understood),
		cmocka_unit_test(what_is_not_given_is_left_out),
		cmocka_unit_test(a_wrong_argument_is_refused_by_name),
		cmocka_unit_test(a_long_argument_is_cut_in_the_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
