/* Tests of lock/local/directory.c.  Where a test needs a stranger's files it is skipped unless run as root.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lock/local/directory.h"
#include "scratch_directory.h"

struct fixture {
	struct scratch scratch;
	mode_t umask;
	struct local_directory directory;
	awsflock_error error;
};

static struct fixture fixture;

static int set_up(void **state)
{
	(void)state;
	fixture.umask = umask(022);
	fixture.directory.fd = -1;
	scratch_make(&fixture.scratch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_int_equal(seteuid(getuid()), 0); /* a failed test may have stayed another user */
	local_directory_close(&fixture.directory);
	scratch_remove(&fixture.scratch);
	umask(fixture.umask);
	return 0;
}

static const char *in(const char *name)
{
	return scratch_path(&fixture.scratch, name);
}

static awsflock_code open_at(const char *path, bool create)
{
	local_directory_close(&fixture.directory);
	return local_directory_open(path, create, &fixture.directory, &fixture.error);
}

static void check_refused(const char *path, const char *reason, const char *mend)
{
	assert_int_equal(open_at(path, true), AWSFLOCK_BAD_TABLE);
	assert_int_equal(fixture.directory.fd, -1);
	if (strstr(fixture.error.message, reason) == NULL || strstr(fixture.error.message, mend) == NULL)
		fail_msg("\"%s\" does not say \"%s\" and \"%s\"", fixture.error.message, reason, mend);
}

static void check_opened(const char *path)
{
	if (open_at(path, false) != AWSFLOCK_OK)
		fail_msg("%s", fixture.error.message);
	assert_true(fixture.directory.fd >= 0);
}

static void a_private_directory_serves(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0700);
	check_opened(in("locks"));
	assert_false(fixture.directory.made);
	assert_false(fixture.directory.shared);
}

static void looking_for_a_missing_directory_makes_nothing(void **state)
{
	(void)state;
	assert_int_equal(open_at(in("a/b"), false), AWSFLOCK_OK);
	assert_int_equal(fixture.directory.fd, -1);
	assert_int_equal(scratch_count_entries(&fixture.scratch, ""), 0);
}

static void a_missing_directory_is_made_private_with_its_parents(void **state)
{
	(void)state;
	assert_int_equal(open_at(in("a/b//c/"), true), AWSFLOCK_OK);
	assert_true(fixture.directory.fd >= 0);
	assert_true(fixture.directory.made);
	assert_int_equal(scratch_mode(&fixture.scratch, "a"), 0700);
	assert_int_equal(scratch_mode(&fixture.scratch, "a/b"), 0700);
	assert_int_equal(scratch_mode(&fixture.scratch, "a/b/c"), 0700);
}

static void the_umask_has_no_say_in_a_made_directory(void **state)
{
	(void)state;
	umask(0777);
	assert_int_equal(open_at(in("a/b"), true), AWSFLOCK_OK);
	umask(0);
	assert_int_equal(open_at(in("c"), true), AWSFLOCK_OK);
	assert_int_equal(scratch_mode(&fixture.scratch, "a"), 0700);
	assert_int_equal(scratch_mode(&fixture.scratch, "a/b"), 0700);
	assert_int_equal(scratch_mode(&fixture.scratch, "c"), 0700);
}

static void a_file_is_no_directory(void **state)
{
	(void)state;
	scratch_write(&fixture.scratch, "locks", "", 0);
	check_refused(in("locks"), "not a directory", "another directory");
	check_refused(in("locks/inner"), "not a directory", "another directory");
}

static void a_directory_that_everybody_can_write_is_refused_sticky_or_not(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 0707);
	check_refused(in("locks"), "written by every user", "use a directory of your own");
	assert_int_equal(chmod(in("locks"), 01777), 0);
	check_refused(in("locks"), "written by every user", "use a directory of your own");
	assert_int_equal(chmod(in("locks"), 0705), 0);
	check_opened(in("locks"));
}

static void a_parent_that_everybody_can_write_is_refused_unless_sticky(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "open", 0777);
	scratch_make_directory(&fixture.scratch, "open/middle", 0700);
	scratch_make_directory(&fixture.scratch, "open/middle/locks", 0700);
	check_refused(in("open/middle/locks"), "another directory in the place", in("open"));
	check_refused(in("open/new"), "another directory in the place", "use a directory elsewhere");
	assert_int_equal(chmod(in("open"), 01777), 0);
	check_opened(in("open/middle/locks"));
}

static void a_parent_is_judged_even_behind_a_symbolic_link(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "open", 0777);
	scratch_make_directory(&fixture.scratch, "open/locks", 0700);
	assert_int_equal(symlink(in("open/locks"), in("link")), 0);
	check_refused(in("link"), "another directory in the place", "use a directory elsewhere");
}

static void the_users_own_symbolic_links_are_followed(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "real", 0700);
	assert_int_equal(symlink("real", in("relative")), 0);
	assert_int_equal(symlink(in("real"), in("absolute")), 0);
	assert_int_equal(symlink("../relative/./", in("real/up")), 0);
	check_opened(in("relative"));
	check_opened(in("absolute"));
	check_opened(in("absolute/up/../real"));
	assert_int_equal(open_at(in("relative/made"), true), AWSFLOCK_OK);
	assert_int_equal(scratch_mode(&fixture.scratch, "real/made"), 0700);
}

static void symbolic_links_in_a_circle_end(void **state)
{
	(void)state;
	assert_int_equal(symlink("two", in("one")), 0);
	assert_int_equal(symlink("one", in("two")), 0);
	assert_int_equal(open_at(in("one"), true), AWSFLOCK_STORAGE);
	assert_int_equal(fixture.error.system_errno, ELOOP);
}

static void a_directory_shared_with_a_group_serves(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 02770);
	check_opened(in("locks"));
	assert_true(fixture.directory.shared);
}

static void who_is_not_of_a_shared_directorys_group_is_told_so(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_make_directory(&fixture.scratch, "shared", 0770);
	assert_int_equal(chown(in("shared"), 0, STRANGER_ID), 0);
	assert_int_equal(seteuid(STRANGER_ID), 0);
	assert_int_equal(open_at(in("shared"), false), AWSFLOCK_STORAGE);
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(fixture.error.message, "the members of its group alone"));
	assert_non_null(strstr(fixture.error.message, "--local=DIR"));
}

static void a_sticky_shared_directory_is_refused(void **state)
{
	(void)state;
	scratch_make_directory(&fixture.scratch, "locks", 01770);
	check_refused(in("locks"), "sticky", "made for sharing");
}

static void a_symbolic_link_of_a_stranger_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_make_directory(&fixture.scratch, "locks", 0700);
	assert_int_equal(symlink("locks", in("link")), 0);
	assert_int_equal(lchown(in("link"), STRANGER_ID, STRANGER_ID), 0);
	check_refused(in("link"), "symbolic link of another user", "use a path without it");
}

static void a_strangers_directory_is_refused_unless_shared(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_make_directory(&fixture.scratch, "locks", 0755);
	assert_int_equal(chown(in("locks"), STRANGER_ID, STRANGER_ID), 0);
	check_refused(in("locks"), "belongs to another user (uid 12345)", "made for sharing");
	assert_int_equal(chmod(in("locks"), 0770), 0);
	check_opened(in("locks"));
	assert_int_equal(fixture.directory.group, STRANGER_ID);
}

static void roots_directory_serves_for_others(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	scratch_make_directory(&fixture.scratch, "locks", 0755);
	assert_int_equal(seteuid(STRANGER_ID), 0);
	assert_int_equal(open_at(in("locks"), false), AWSFLOCK_OK);
	assert_int_equal(seteuid(0), 0);
}

static void a_forbidden_place_is_told_with_the_path_and_the_system_error(void **state)
{
	(void)state;
	if (geteuid() == 0)
		assert_int_equal(seteuid(STRANGER_ID), 0);
	else
		assert_int_equal(chmod(fixture.scratch.root, 0500), 0);
	assert_int_equal(open_at(in("new"), true), AWSFLOCK_STORAGE);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(fixture.error.system_errno, EACCES);
	assert_non_null(strstr(fixture.error.message, in("new")));
	assert_non_null(strstr(fixture.error.message, "--local=DIR"));
}

int main(void)
{
#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		DIRECTORY_TEST(a_private_directory_serves),
		DIRECTORY_TEST(looking_for_a_missing_directory_makes_nothing),
		DIRECTORY_TEST(a_missing_directory_is_made_private_with_its_parents),
		DIRECTORY_TEST(the_umask_has_no_say_in_a_made_directory),
		DIRECTORY_TEST(a_file_is_no_directory),
		DIRECTORY_TEST(a_directory_that_everybody_can_write_is_refused_sticky_or_not),
		DIRECTORY_TEST(a_parent_that_everybody_can_write_is_refused_unless_sticky),
		DIRECTORY_TEST(a_parent_is_judged_even_behind_a_symbolic_link),
		DIRECTORY_TEST(the_users_own_symbolic_links_are_followed),
		DIRECTORY_TEST(symbolic_links_in_a_circle_end),
		DIRECTORY_TEST(a_directory_shared_with_a_group_serves),
		DIRECTORY_TEST(who_is_not_of_a_shared_directorys_group_is_told_so),
		DIRECTORY_TEST(a_sticky_shared_directory_is_refused),
		DIRECTORY_TEST(a_symbolic_link_of_a_stranger_is_refused),
		DIRECTORY_TEST(a_strangers_directory_is_refused_unless_shared),
		DIRECTORY_TEST(roots_directory_serves_for_others),
		DIRECTORY_TEST(a_forbidden_place_is_told_with_the_path_and_the_system_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
