/* Tests of the words on the line of sudo's plugin.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/sudo_rules.h"

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

#define WORDS_MAX 80
#define ROOM 4096

/* Splits TEXT, which stays in *ROOM, at its spaces, as sudo does. */
static void split(const char *text, char room[ROOM], char *words[WORDS_MAX])
{
	char *rest = room;
	size_t count = 0;
	snprintf(room, ROOM, "%s", text);
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " "))
		if (*word && count < WORDS_MAX - 1)
			words[count++] = word;
	words[count] = NULL;
}

static void read_rules(const char *text, char room[ROOM], struct sudo_rules *rules)
{
	char *words[WORDS_MAX], reason[256] = "";
	split(text, room, words);
	if (!sudo_rules_read(words, rules, reason, sizeof(reason)))
		fail_msg("'%s': %s", text, reason);
}

static void words_are_read_in_their_order(void **state)
{
	struct sudo_rules rules;
	char room[ROOM];
	(void)state;
	read_rules("conf=/c break_glass_group=g debug quiet guard=none runas=a,b command=/x,sudoedit cwd=/d "
		   "guard=one cwd=/ guard=last",
		   room, &rules);
	assert_string_equal(rules.conf, "/c");
	assert_string_equal(rules.break_glass_group, "g");
	assert_true(rules.debug && rules.quiet);
	assert_int_equal(rules.count, 3);
	assert_null(rules.rules[0].guard);
	assert_string_equal(rules.rules[0].runas, "a,b");
	assert_string_equal(rules.rules[0].command, "/x,sudoedit");
	assert_string_equal(rules.rules[0].cwd, "/d");
	assert_string_equal(rules.rules[1].guard, "one");
	assert_null(rules.rules[1].runas);
	assert_string_equal(rules.rules[2].guard, "last");
}

static void one_guard_alone_is_enough(void **state)
{
	struct sudo_rules rules;
	char room[ROOM];
	(void)state;
	read_rules("guard=ops", room, &rules);
	assert_int_equal(rules.count, 1);
	assert_false(rules.debug || rules.quiet);
	assert_null(rules.conf);
}

static void what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *text, *reason;
	} wrong[] = {
		{ "", "guard=NAME is missing" },
		{ "quiet", "guard=NAME is missing" },
		{ "gaurd=ops", "'gaurd=ops' is unknown" },
		{ "guard=ops guards", "'guards' is unknown" },
		{ "Guard=ops", "'Guard=ops' is unknown" },
		{ "guard=ops none", "'none' is unknown" },
		{ "guard", "'guard' needs a value" },
		{ "guard=", "'guard=' needs a value" },
		{ "conf= guard=ops", "'conf=' needs a value" },
		{ "conf=c guard=ops", "'conf=c' needs a path that starts with /" },
		{ "conf=/a conf=/a guard=ops", "'conf=/a' stands twice" },
		{ "debug=1 guard=ops", "'debug=1' takes no value" },
		{ "command=/x guard=ops", "'command=/x' must come after a guard=" },
		{ "guard=ops quiet", "'quiet' must come before the first guard=" },
		{ "guard=none runas= guard=ops", "'runas=' needs a value" },
		{ "guard=none runas=a, guard=ops", "'runas=a,' has an empty part" },
		{ "guard=none command=,/x guard=ops", "'command=,/x' has an empty part" },
		{ "guard=none command=x guard=ops", "'command=x' needs paths that start with /" },
		{ "guard=none command=/x,sudoedi guard=ops", "needs paths that start with /, or sudoedit" },
		{ "guard=none cwd=d guard=ops", "'cwd=d' needs a path that starts with /" },
		{ "guard=none cwd=/d cwd=/e guard=ops", "'cwd=/e' stands twice" },
		{ "guard=ops runas=a", "the last rule has a condition" },
		{ "guard=a guard=b command=/x", "the last rule has a condition" },
		{ "guard=none", "the last rule is guard=none" },
		{ "guard=ops guard=none", "the last rule is guard=none" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct sudo_rules rules;
		char room[ROOM], reason[256] = "", *words[WORDS_MAX];
		split(wrong[i].text, room, words);
		assert_false(sudo_rules_read(words, &rules, reason, sizeof(reason)));
		if (!strstr(reason, wrong[i].reason) || !strstr(reason, "see awsflock_sudo(8)"))
			fail_msg("'%s': %s", wrong[i].text, reason);
	}
}

static void no_words_are_no_guard(void **state)
{
	struct sudo_rules rules;
	char reason[256];
	(void)state;
	assert_false(sudo_rules_read(NULL, &rules, reason, sizeof(reason)));
	assert_non_null(strstr(reason, "guard=NAME is missing"));
}

static void what_stands_before_a_fault_is_known(void **state)
{
	struct sudo_rules rules;
	char room[ROOM], reason[256], *words[WORDS_MAX];
	(void)state;
	split("break_glass_group=rescue quiet gaurd=ops", room, words);
	assert_false(sudo_rules_read(words, &rules, reason, sizeof(reason)));
	assert_string_equal(rules.break_glass_group, "rescue");
	assert_true(rules.quiet);
}

static void there_is_room_for_so_many_rules(void **state)
{
	struct sudo_rules rules;
	char rule[] = "guard=a", *words[SUDO_RULES_MAX + 2], reason[256];
	(void)state;
	for (size_t i = 0; i < SUDO_RULES_MAX; i++)
		words[i] = rule;
	words[SUDO_RULES_MAX] = NULL;
	assert_true(sudo_rules_read(words, &rules, reason, sizeof(reason)));
	words[SUDO_RULES_MAX] = rule;
	words[SUDO_RULES_MAX + 1] = NULL;
	assert_false(sudo_rules_read(words, &rules, reason, sizeof(reason)));
	assert_non_null(strstr(reason, "is one rule too many"));
}

/* Root's own, and somebody's else. */
#define ROOTS .runas_uid = 0, .runas_gid = 0

static void the_first_rule_that_fits_decides(void **state)
{
	static const char text[] = "guard=path command=/bin/a,/bin/b guard=edit command=sudoedit "
				   "guard=both runas=root command=/bin/c cwd=/w guard=place cwd=/home/w guard=root "
				   "runas=nobody-there-at-all,root guard=last";
	static const struct {
		const char *guard;
		struct sudo_command command;
	} cases[] = {
		{ "path", { .path = "/bin/a", .runas_uid = 7, .runas_gid = 7 } },
		{ "path", { .path = "/bin/b", ROOTS } },
		{ "last", { .path = "/bin/a", .runas_uid = 7, .has_own_root = true } },
		{ "last", { .path = "/bin/aa", .runas_uid = 7 } },
		{ "last", { .path = "/bin/", .runas_uid = 7 } },
		{ "last", { .path = "bin/a", .runas_uid = 7 } },
		{ "edit", { .path = "sudoedit", .runas_uid = 7 } },
		{ "both", { .path = "/bin/c", .cwd = "/w", ROOTS } },
		{ "root", { .path = "/bin/c", .cwd = "/w/", ROOTS } },
		{ "root", { .path = "/bin/c", ROOTS } },
		{ "last", { .path = "/bin/c", .cwd = "/w", .runas_uid = 0, .runas_gid = 1 } },
		{ "last", { .path = "/bin/c", .cwd = "/w", .runas_uid = 1, .runas_gid = 0 } },
		{ "place", { .path = "/bin/x", .cwd = "/home/w", .runas_uid = 7 } },
		{ "root", { .path = "/bin/x", .cwd = "/home/w", ROOTS, .has_own_root = true } },
		{ "root", { .path = "/bin/x", ROOTS } },
		{ "last", { .path = "/bin/x", .runas_uid = 7 } },
	};
	struct sudo_rules rules;
	char room[ROOM];
	(void)state;
	read_rules(text, room, &rules);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (strcmp(sudo_rules_choose(&rules, &cases[i].command)->guard, cases[i].guard) != 0)
			fail_msg("case %zu: not '%s'", i, cases[i].guard);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read_in_their_order),
		cmocka_unit_test(one_guard_alone_is_enough),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(no_words_are_no_guard),
		cmocka_unit_test(what_stands_before_a_fault_is_known),
		cmocka_unit_test(there_is_room_for_so_many_rules),
		cmocka_unit_test(the_first_rule_that_fits_decides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
