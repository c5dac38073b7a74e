/* Tests of lock/local/name.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "awsflock.h"
#include "lock/local/name.h"

static const char *name_of(const char *lock)
{
	static char name[LOCAL_NAME_SIZE];

	assert_true(local_name_of_lock(lock, name));
	return name;
}

static void fill(char *lock, char with, size_t length)
{
	memset(lock, with, length);
	lock[length] = '\0';
}

static void plain_names_are_kept_and_all_else_is_escaped(void **state)
{
	static const struct {
		const char *lock, *name;
	} cases[] = {
		{ "deploy", "deploy.json" },
		{ "Web-1_a.b", "Web-1_a.b.json" },
		{ "a/b", "a%2Fb.json" },
		{ "..", "%2E..json" },
		{ ".", "%2E.json" },
		{ ".hidden", "%2Ehidden.json" },
		{ "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.json" },
		{ "a b", "a%20b.json" },
		{ "100%", "100%25.json" },
		{ "~", "%7E.json" },
		{ "h\xc3\xa9", "h%C3%A9.json" },
		{ "x.json", "x.json.json" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(name_of(cases[i].lock), cases[i].name);
		assert_true(local_name_is_ours(cases[i].name));
	}
}

static void names_that_differ_in_case_have_different_files(void **state)
{
	char upper[LOCAL_NAME_SIZE];

	(void)state;
	strcpy(upper, name_of("Deploy"));
	assert_string_not_equal(upper, name_of("deploy"));
}

static void the_longest_lock_name_has_a_short_file_name(void **state)
{
	char lock[AWSFLOCK_LOCK_MAX + 1];

	(void)state;
	fill(lock, '/', AWSFLOCK_LOCK_MAX);
	assert_true(strlen(name_of(lock)) <= 200);
	assert_true(local_name_is_ours(name_of(lock)));
	fill(lock, 'a', AWSFLOCK_LOCK_MAX);
	assert_true(strlen(name_of(lock)) <= 200);
}

static void long_names_that_share_a_beginning_have_different_files(void **state)
{
	char lock[301], first[LOCAL_NAME_SIZE];

	(void)state;
	fill(lock, 'a', 300);
	strcpy(first, name_of(lock));
	lock[299] = 'b';
	assert_string_not_equal(first, name_of(lock));
	assert_memory_equal(first, name_of(lock), 100);
}

static void a_hash_takes_over_exactly_where_a_name_gets_too_long(void **state)
{
	char lock[301];

	(void)state;
	fill(lock, 'a', 195);
	assert_null(strchr(name_of(lock), '~'));
	assert_int_equal(strlen(name_of(lock)), 200);
	fill(lock, 'a', 196);
	assert_non_null(strchr(name_of(lock), '~'));
}

/* The digest is what sha256sum says of 196 times "a". */
static void the_hash_is_the_sha256_of_the_whole_name(void **state)
{
	char lock[197];

	(void)state;
	fill(lock, 'a', 196);
	assert_string_equal(strchr(name_of(lock), '~'),
			    "~96b864ee9e10a31f8425084ed115df8951bb8d1303cb13f43c0a600eb03643b0.json");
}

static void a_shortened_name_does_not_end_within_an_escape(void **state)
{
	char lock[301];

	(void)state;
	fill(lock, '/', 300);
	assert_int_equal(strchr(name_of(lock), '~') - name_of(lock), 99);
}

static void names_that_this_store_never_makes_are_foreign(void **state)
{
	static const char *const foreign[] = {
		".",
		"..",
		"",
		".json",
		"json",
		".deploy.json.tmp",
		".deploy.json",
		"deploy",
		"deploy.json.tmp",
		"deploy.json~",
		"README",
		"a b.json",
		"a%2.json",
		"a%2fb.json",
		"a%zz.json",
		"a~0123.json",
		"lost+found",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (local_name_is_ours(foreign[i]))
			fail_msg("\"%s\" was taken for a lock's file", foreign[i]);
}

static void a_prefix_is_seen_in_the_file_name(void **state)
{
	char lock[301];

	(void)state;
	assert_true(local_name_may_start_with("web%2Fa.json", "web/"));
	assert_true(local_name_may_start_with("web%2Fa.json", "web/a"));
	assert_true(local_name_may_start_with("web%2Fa.json", ""));
	assert_false(local_name_may_start_with("web%2Fa.json", "web/ab"));
	assert_false(local_name_may_start_with("web%2Fa.json", "db"));
	assert_false(local_name_may_start_with("web.json", "web.json"));
	fill(lock, 'a', 300);
	assert_true(local_name_may_start_with(name_of(lock), lock));
	assert_false(local_name_may_start_with(name_of(lock), "ab"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_names_are_kept_and_all_else_is_escaped),
		cmocka_unit_test(names_that_differ_in_case_have_different_files),
		cmocka_unit_test(the_longest_lock_name_has_a_short_file_name),
		cmocka_unit_test(long_names_that_share_a_beginning_have_different_files),
		cmocka_unit_test(a_hash_takes_over_exactly_where_a_name_gets_too_long),
		cmocka_unit_test(the_hash_is_the_sha256_of_the_whole_name),
		cmocka_unit_test(a_shortened_name_does_not_end_within_an_escape),
		cmocka_unit_test(names_that_this_store_never_makes_are_foreign),
		cmocka_unit_test(a_prefix_is_seen_in_the_file_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
