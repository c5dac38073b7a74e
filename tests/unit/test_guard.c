/* A guard's section of the configuration.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guard/guard.h"
#include "scratch_directory.h"

#define MINIMAL "[guard ops]\nlock = ops\n"

static struct scratch scratch;
static char path[300];

static int set_up(void **state)
{
	(void)state;
	scratch_make(&scratch);
	snprintf(path, sizeof(path), "%s", scratch_path(&scratch, "awsflock.conf"));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_remove(&scratch);
	return 0;
}

static awsflock_code load(const char *text, struct guard *guard, awsflock_error *error)
{
	struct guard_request request = { .name = "ops", .path = path, .person = "alice", .service = "sshd" };

	unlink(path);
	scratch_write(&scratch, "awsflock.conf", text, strlen(text));
	assert_int_equal(chmod(path, 0644), 0);
	return guard_load(&request, guard, error);
}

static void assert_loads(const char *text, struct guard *guard)
{
	awsflock_error error = { 0 };

	if (load(text, guard, &error) != AWSFLOCK_OK)
		fail_msg("%s", error.message);
}

static void what_is_left_out_has_its_default(void **state)
{
	struct guard guard;

	(void)state;
	assert_loads(MINIMAL, &guard);
	assert_string_equal(guard.lock, "ops");
	assert_int_equal(guard.lease_s, 120);
	assert_int_equal(guard.wait_ms, 0);
	assert_int_equal(guard_stop_ms(&guard), 16000);
	assert_false(guard.fail_safe);
	assert_false(guard.only_warns);
	assert_true(guard.is_for_person);
	assert_int_equal(guard.leftovers, LEFTOVERS_HOLD);
	assert_false(guard.ends_person);
	assert_string_equal(guard.user, getpwnam("awsflock") ? "awsflock" : "nobody");
	assert_int_equal(guard.user_is_makeshift, !getpwnam("awsflock"));
	assert_string_equal(guard.purpose, "");
	assert_string_equal(config_get(&guard.config, CONFIG_STORE), "dynamodb");
	guard_free(&guard);
}

static void every_key_counts(void **state)
{
	struct guard guard;

	(void)state;
	assert_loads("[awsflock]\ntable = mine\n[guard other]\nlock = no\n[guard ops]\nlock = a\nlease = 1m\nwait "
		     "= 0.5\n"
		     "fail = safe\non_lost = warn\ngrace = 1s\nend = 2s\nuser = daemon\nshare = session\n"
		     "leftovers = release\nexempt_users = a b\nexempt_groups = c\nbreak_glass_group = d\n"
		     "purpose = the night shift\nrequire_cgroup = yes\n",
		     &guard);
	assert_int_equal(guard.lease_s, 60);
	assert_int_equal(guard.wait_ms, 500);
	assert_int_equal(guard_stop_ms(&guard), 3000);
	assert_true(guard.fail_safe);
	assert_true(guard.only_warns);
	assert_false(guard.is_for_person);
	assert_true(guard.require_cgroup);
	assert_int_equal(guard.leftovers, LEFTOVERS_RELEASE);
	assert_string_equal(guard.user, "daemon");
	assert_string_equal(guard.exempt_users, "a b");
	assert_string_equal(guard.exempt_groups, "c");
	assert_string_equal(guard.break_glass_group, "d");
	assert_string_equal(guard.purpose, "the night shift");
	assert_string_equal(config_get(&guard.config, CONFIG_TABLE), "mine");
	guard_free(&guard);
}

static void the_person_ends_with_a_close_that_ends_or_holds(void **state)
{
	static const char *const leftovers[] = { "", "leftovers = hold\n", "leftovers = end\n" };
	struct guard guard;

	(void)state;
	for (size_t i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "%sends = user\n%s", MINIMAL, leftovers[i]);
		assert_loads(text, &guard);
		assert_true(guard.ends_person);
		guard_free(&guard);
	}
	assert_loads(MINIMAL "ends = session\n", &guard);
	assert_false(guard.ends_person);
	guard_free(&guard);
}

static void the_locks_name_is_expanded(void **state)
{
	struct utsname host;
	struct guard guard;
	char expected[200];

	(void)state;
	assert_int_equal(uname(&host), 0);
	snprintf(expected, sizeof(expected), "%s-sshd-alice-100%%", host.nodename);
	assert_loads("[guard ops]\nlock = %h-%s-%u-100%%\n", &guard);
	assert_string_equal(guard.lock, expected);
	guard_free(&guard);
}

static void a_mistake_is_named_with_its_line_and_its_mend(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{ "", "has no section [guard ops]" },
		{ "[guard ops]\n", "names no lock" },
		{ "[guard ops]\nlock =\n", "names no lock" },
		{ MINIMAL "nonsense\n", ":3: this line is neither" },
		{ MINIMAL "lock = b\n", ":3: 'lock' stands on line 2 already" },
		{ MINIMAL " lease = 0\n", ":3: lease: " },
		{ MINIMAL "lokc = b\n", ":3: unknown key 'lokc' in [guard ops]" },
		{ MINIMAL "lease = 0\n", ":3: lease: " },
		{ MINIMAL "lease = 1 fortnight\n", ":3: lease: " },
		{ MINIMAL "wait = -1\n", ":3: wait: " },
		{ MINIMAL "fail = open\n", ":3: fail cannot be 'open': write secure or safe" },
		{ MINIMAL "on_lost = ignore\n", ":3: on_lost cannot be 'ignore': write terminate or warn" },
		{ MINIMAL "share = all\n", ":3: share cannot be 'all': write person or session" },
		{ MINIMAL "leftovers = keep\n", ":3: leftovers cannot be 'keep': write hold, end or release" },
		{ MINIMAL "ends = all\n", ":3: ends cannot be 'all': write session or user" },
		{ MINIMAL "ends = user\nleftovers = release\n",
		  "leftovers = release lets run on what ends = user ends" },
		{ MINIMAL "exempt_groups = \"domain users, a\n",
		  ":3: exempt_groups: a quotation mark has no partner" },
		{ MINIMAL "lease = 47s\n", "three times grace and end together: 48 s" },
		{ MINIMAL "end = 0\n", "end is shorter than a second" },
		{ "[guard ops]\nlock = %x\n", "there are %h, %s, %u and %%" },
		{ "[guard ops]\nlock = ops%\n", "there are %h, %s, %u and %%" },
		{ MINIMAL "[awsflock]\ntable = no table\n", ":4: table cannot be" },
		{ MINIMAL "leftovers = end\nleftovers_end = gpg-agent\n", "write leftovers = hold" },
		{ MINIMAL "leftovers_end = \"gpg-agent\n", ":3: leftovers_end: a quotation mark" },
		{ MINIMAL "[awsflock\n", ":3: a section is written [NAME]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guard guard;
		awsflock_error error = { 0 };
		if (load(cases[i].text, &guard, &error) != AWSFLOCK_CONFIG || !strstr(error.message, cases[i].said))
			fail_msg("%s: \"%s\" does not hold \"%s\"", cases[i].text, error.message, cases[i].said);
	}
}

static void another_guards_mistake_is_none_of_ours(void **state)
{
	struct guard guard;

	(void)state;
	assert_loads("[guard other]\nnonsense\nfail = open\n" MINIMAL, &guard);
	guard_free(&guard);
}

static void a_file_that_others_may_write_or_a_link_is_not_read(void **state)
{
	struct guard_request request = { .name = "ops", .path = path, .person = "alice", .service = "sshd" };
	const char *link = scratch_path(&scratch, "link");
	struct guard guard;
	awsflock_error error;

	(void)state;
	assert_loads(MINIMAL, &guard);
	guard_free(&guard);
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(guard_load(&request, &guard, &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "can be written by others"));
	assert_int_equal(chmod(path, 0646), 0);
	assert_int_equal(guard_load(&request, &guard, &error), AWSFLOCK_CONFIG);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(symlink(path, link), 0);
	request.path = link;
	assert_int_equal(guard_load(&request, &guard, &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "symbolic link"));
	request.path = scratch.root;
	assert_int_equal(guard_load(&request, &guard, &error), AWSFLOCK_CONFIG);
	request.path = scratch_path(&scratch, "nowhere");
	assert_int_equal(guard_load(&request, &guard, &error), AWSFLOCK_CONFIG);
}

static void check_below(const char *name, mode_t mode, bool is_read)
{
	struct guard_request request = { .name = "ops", .person = "alice", .service = "sshd" };
	struct guard guard;
	awsflock_error error;

	request.path = scratch_path(&scratch, name);
	assert_int_equal(chmod(scratch_path(&scratch, "open"), mode), 0);
	if (guard_load(&request, &guard, &error) == AWSFLOCK_OK) {
		guard_free(&guard);
		if (!is_read)
			fail_msg("%s was read, with a directory of mode %o above it", name, (unsigned)mode);
	} else if (is_read || !strstr(error.message, "others than root can change the directory")) {
		fail_msg("%s, mode %o: %s", name, (unsigned)mode, error.message);
	}
}

static void a_file_below_a_directory_that_others_may_write_is_not_read(void **state)
{
	static const char *const names[] = { "open/below/guards", "way/guards", "open/link/guards" };

	(void)state;
	scratch_make_directory(&scratch, "open", 0755);
	scratch_make_directory(&scratch, "open/below", 0755);
	scratch_make_directory(&scratch, "kept", 0755);
	scratch_write(&scratch, "open/below/guards", MINIMAL, strlen(MINIMAL));
	scratch_write(&scratch, "kept/guards", MINIMAL, strlen(MINIMAL));
	assert_int_equal(chmod(scratch_path(&scratch, "open/below/guards"), 0644), 0);
	assert_int_equal(chmod(scratch_path(&scratch, "kept/guards"), 0644), 0);
	assert_int_equal(symlink("open/below", scratch_path(&scratch, "way")), 0);
	assert_int_equal(symlink("../kept", scratch_path(&scratch, "open/link")), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		check_below(names[i], 0755, true);
		check_below(names[i], 0775, false);
		check_below(names[i], 0757, false);
		check_below(names[i], 01777, true);
	}
}

static void a_list_has_whole_words_alone(void **state)
{
	(void)state;
	assert_true(guard_list_has("a, bc\td", "bc"));
	assert_true(guard_list_has("a,,d", "d"));
	assert_false(guard_list_has("abc", "ab"));
	assert_false(guard_list_has("abc", "bc"));
	assert_false(guard_list_has("", "a"));
	assert_false(guard_list_has("a, ", ""));
}

static void a_name_with_blanks_stands_in_quotation_marks(void **state)
{
	(void)state;
	assert_true(guard_list_has("a, \"domain users\" d", "domain users"));
	assert_true(guard_list_has("a, \"domain users\" d", "d"));
	assert_true(guard_list_has("\"a, b\"", "a, b"));
	assert_false(guard_list_has("\"domain users\"", "domain"));
	assert_false(guard_list_has("\"domain users\"", "users"));
	assert_false(guard_list_has("\"\", a", ""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_left_out_has_its_default),
		TEST(every_key_counts),
		TEST(the_person_ends_with_a_close_that_ends_or_holds),
		TEST(the_locks_name_is_expanded),
		TEST(a_mistake_is_named_with_its_line_and_its_mend),
		TEST(another_guards_mistake_is_none_of_ours),
		TEST(a_file_that_others_may_write_or_a_link_is_not_read),
		TEST(a_file_below_a_directory_that_others_may_write_is_not_read),
		TEST(a_list_has_whole_words_alone),
		TEST(a_name_with_blanks_stands_in_quotation_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
