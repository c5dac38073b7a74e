/* Tests of base/config.c.  Those of the system's file need one that they may write: they are skipped unless this
 * and config.c are built with a relative CONFIG_PATH_SYSTEM.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/ini.h"

#ifndef CONFIG_PATH_SYSTEM
#define CONFIG_PATH_SYSTEM "/etc/awsflock.conf"
#endif
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char directory[] = "/tmp/awsflock-test-config-XXXXXX";
static char xdg[sizeof(directory) + 8];

static int enter_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) != 0)
		return -1;
	snprintf(xdg, sizeof(xdg), "%s/xdg", directory);
	return mkdir("xdg", 0700) + mkdir(".config", 0700);
}

static int leave_directory(void **state)
{
	(void)state;
	rmdir("xdg");
	rmdir(".config");
	return chdir("/") == 0 ? rmdir(directory) : -1;
}

/* No variable of the caller's leads a test, and HOME is the tests' own directory. */
static int clean_environment(void **state)
{
	(void)state;
	unsetenv("AWSFLOCK_CONFIG");
	unsetenv("AWSFLOCK_TABLE");
	unsetenv("XDG_CONFIG_HOME");
	unsetenv("XDG_STATE_HOME");
	return setenv("HOME", directory, 1);
}

static int remove_files(void **state)
{
	(void)state;
	unlink("file");
	if (rmdir("shared-store") != 0)
		unlink("shared-store");
	unlink("xdg/awsflock.conf");
	unlink(".config/awsflock.conf");
	if (CONFIG_PATH_SYSTEM[0] != '/')
		unlink(CONFIG_PATH_SYSTEM);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct config defaults(void)
{
	struct config config;
	assert_int_equal(config_init(&config, NULL), AWSFLOCK_OK);
	return config;
}

static void assert_loads(struct config *config, const char *file)
{
	awsflock_error error = { 0 };
	if (config_load(config, file, &error) != AWSFLOCK_OK)
		fail_msg("%s", error.message);
}

static void every_key_has_the_documented_default(void **state)
{
	(void)state;
	struct config config = defaults();
	assert_string_equal(config_get(&config, CONFIG_STORE), "dynamodb");
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	assert_false(config_get_bool(&config, CONFIG_ALLOW_PLAIN_HTTP));
	assert_int_equal(config_get_seconds(&config, CONFIG_LEASE_DURATION), 7200);
	assert_int_equal(config_get_ms(&config, CONFIG_WAIT_TIME), 60000);
	assert_int_equal(config_get_ms(&config, CONFIG_POLL_INTERVAL), 2000);
	assert_int_equal(config_get_ms(&config, CONFIG_CONNECT_TIMEOUT), 5000);
	assert_int_equal(config_get_ms(&config, CONFIG_REQUEST_TIMEOUT), 10000);
	static const enum config_key unset[] = { CONFIG_REGION,      CONFIG_ENDPOINT_URL,
						 CONFIG_PROFILE,     CONFIG_CREDENTIALS_FILE,
						 CONFIG_CONFIG_FILE, CONFIG_CA_BUNDLE,
						 CONFIG_PROXY,       CONFIG_OWNER };
	for (size_t i = 0; i < COUNT(unset); i++)
		assert_null(config_get(&config, unset[i]));
	for (int key = 0; key < CONFIG_KEY_COUNT; key++)
		assert_int_equal(config.origins[key], CONFIG_DEFAULT);
	config_free(&config);
	config_free(&config);
}

static void every_key_is_found_by_its_own_name(void **state)
{
	(void)state;
	for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
		assert_non_null(config_key_name((enum config_key)key));
		assert_int_equal(config_key_find(config_key_name((enum config_key)key)), key);
	}
	assert_int_equal(config_key_find("Table"), CONFIG_KEY_COUNT);
	assert_int_equal(config_key_find(""), CONFIG_KEY_COUNT);
	assert_null(config_key_name(CONFIG_KEY_COUNT));
}

static void the_local_directory_follows_the_user(void **state)
{
	(void)state;
	struct config config = defaults();
	char expected[200];
	if (geteuid() == 0) {
		assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), "/var/lib/awsflock");
		config_free(&config);
		return;
	}
	snprintf(expected, sizeof(expected), "%s/.local/state/awsflock", directory);
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), expected);
	config_free(&config);
	setenv("XDG_STATE_HOME", "/state", 1);
	config = defaults();
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), "/state/awsflock");
	config_free(&config);
	setenv("XDG_STATE_HOME", "not-absolute", 1);
	config = defaults();
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), expected);
	config_free(&config);
}

static void the_machines_shared_store_is_used_where_there_is_one_and_nothing_names_another(void **state)
{
	struct config config = defaults();

	(void)state;
	assert_loads(&config, NULL);
	assert_int_equal(config.origins[CONFIG_LOCAL_DIR], CONFIG_DEFAULT);
	config_free(&config);

	assert_int_equal(mkdir("shared-store", 0700), 0);
	config = defaults();
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), "shared-store");
	assert_int_equal(config.origins[CONFIG_LOCAL_DIR], CONFIG_FROM_MACHINE);
	config_free(&config);

	write_file("file", "[awsflock]\nlocal_dir = /of/the/file\n");
	config = defaults();
	assert_loads(&config, "file");
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), "/of/the/file");
	config_free(&config);
}

static void what_stands_in_the_shared_stores_place_is_never_passed_over(void **state)
{
	(void)state;
	assert_int_equal(symlink("nowhere", "shared-store"), 0);
	struct config config = defaults();
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), "shared-store");
	config_free(&config);
}

static void a_value_that_can_be_is_kept_with_its_origin(void **state)
{
	(void)state;
	static const struct {
		enum config_key key;
		const char *value;
	} cases[] = {
		{ CONFIG_STORE, "local" },
		{ CONFIG_LOCAL_DIR, "locks" },
		{ CONFIG_TABLE, "abc" },
		{ CONFIG_TABLE, "A.b-c_9" },
		{ CONFIG_REGION, "eu-west-1" },
		{ CONFIG_ALLOW_PLAIN_HTTP, "Yes" },
		{ CONFIG_LEASE_DURATION, "1h30m" },
		{ CONFIG_WAIT_TIME, "0" },
		{ CONFIG_WAIT_TIME, "0.5" },
		{ CONFIG_POLL_INTERVAL, "0.25" },
		{ CONFIG_OWNER, "caf\xC3\xA9" },
		{ CONFIG_CA_BUNDLE, "/etc/ca.pem" },
	};
	struct config config = defaults();
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(config_set(&config, cases[i].key, cases[i].value, CONFIG_FROM_CALLER, NULL),
				 AWSFLOCK_OK);
		assert_string_equal(config_get(&config, cases[i].key), cases[i].value);
		assert_int_equal(config.origins[cases[i].key], CONFIG_FROM_CALLER);
	}
	assert_true(config_get_bool(&config, CONFIG_ALLOW_PLAIN_HTTP));
	assert_int_equal(config_get_seconds(&config, CONFIG_LEASE_DURATION), 5400);
	assert_int_equal(config_get_ms(&config, CONFIG_WAIT_TIME), 500);
	assert_int_equal(config_get_ms(&config, CONFIG_POLL_INTERVAL), 250);
	config_free(&config);
}

static void a_value_that_cannot_be_is_refused_by_name_and_changes_nothing(void **state)
{
	(void)state;
	static const struct {
		enum config_key key;
		const char *value, *accepted;
	} cases[] = {
		{ CONFIG_STORE, "Local", "dynamodb or local" },
		{ CONFIG_TABLE, "ab", "3 to 255" },
		{ CONFIG_TABLE, "a b c", "3 to 255" },
		{ CONFIG_TABLE, "abc/d", "3 to 255" },
		{ CONFIG_ALLOW_PLAIN_HTTP, "maybe", "yes or no" },
		{ CONFIG_LEASE_DURATION, "0", "at least 1 second" },
		{ CONFIG_LEASE_DURATION, "1.5", "1h30m" },
		{ CONFIG_WAIT_TIME, "soon", "1h30m" },
		{ CONFIG_WAIT_TIME, "-1", "1h30m" },
		{ CONFIG_POLL_INTERVAL, "0", "cannot be zero" },
		{ CONFIG_CONNECT_TIMEOUT, "0s", "cannot be zero" },
		{ CONFIG_REQUEST_TIMEOUT, "0.0", "cannot be zero" },
		{ CONFIG_OWNER, "a\nb", "control character" },
		{ CONFIG_REGION, "\xFF", "UTF-8" },
		{ CONFIG_LOCAL_DIR, "/a\x1b", "control character" },
	};
	struct config config = defaults();
	for (size_t i = 0; i < COUNT(cases); i++) {
		awsflock_error error;
		assert_int_equal(config_set(&config, cases[i].key, cases[i].value, CONFIG_FROM_CALLER, &error),
				 AWSFLOCK_INVALID);
		const char *name = config_key_name(cases[i].key);
		assert_int_equal(strncmp(error.message, name, strlen(name)), 0);
		assert_non_null(strstr(error.message, cases[i].accepted));
		assert_int_equal(config.origins[cases[i].key], CONFIG_DEFAULT);
	}
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	assert_int_equal(config_set(&config, CONFIG_KEY_COUNT, "x", CONFIG_FROM_CALLER, NULL), AWSFLOCK_INVALID);
	config_free(&config);
}

static void table_names_have_at_most_255_characters(void **state)
{
	(void)state;
	struct config config = defaults();
	char name[257];
	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_int_equal(config_set(&config, CONFIG_TABLE, name, CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	name[255] = 'a';
	name[256] = '\0';
	assert_int_equal(config_set(&config, CONFIG_TABLE, name, CONFIG_FROM_CALLER, NULL), AWSFLOCK_INVALID);
	config_free(&config);
}

static void an_empty_value_brings_the_default_back(void **state)
{
	(void)state;
	struct config config = defaults();
	assert_int_equal(config_set(&config, CONFIG_TABLE, "mine", CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	assert_int_equal(config_set(&config, CONFIG_OWNER, "me", CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	assert_int_equal(config_set(&config, CONFIG_TABLE, "", CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	assert_int_equal(config_set(&config, CONFIG_OWNER, "", CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	assert_null(config_get(&config, CONFIG_OWNER));
	assert_int_equal(config.origins[CONFIG_TABLE], CONFIG_DEFAULT);
	config_free(&config);
}

static void a_file_sets_what_it_names_and_leaves_the_rest(void **state)
{
	(void)state;
	write_file("file", "[awsflock]\n"
			   "store = local        # or dynamodb\n"
			   "endpoint_url =       # e.g. http://127.0.0.1:8000\n"
			   "lease_duration = 90s\n");
	struct config config = defaults();
	assert_loads(&config, "file");
	assert_string_equal(config_get(&config, CONFIG_STORE), "local");
	assert_int_equal(config.origins[CONFIG_STORE], CONFIG_FROM_USER_FILE);
	assert_null(config_get(&config, CONFIG_ENDPOINT_URL));
	assert_int_equal(config_get_seconds(&config, CONFIG_LEASE_DURATION), 90);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	config_free(&config);
}

static void a_broken_guard_section_fails_nothing_else(void **state)
{
	static const char *const broken[] = { "no key here\n", "= value\n", "k = 1\nk = 2\n", "lock = \xff\n" };
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct config config = defaults();
		awsflock_error error = { 0 };
		char text[200];
		snprintf(text, sizeof(text), "[guard ops]\n%slock = x\n[awsflock]\ntable = mine\n", broken[i]);
		write_file("file", text);
		if (config_load(&config, "file", &error) != AWSFLOCK_OK)
			fail_msg("%s: %s", text, error.message);
		assert_string_equal(config_get(&config, CONFIG_TABLE), "mine");
		config_free(&config);
	}
}

static void a_broken_section_line_below_a_guard_fails_the_file(void **state)
{
	static const char *const broken[] = { "[awsflock\n", "[awsflock] x\n", " [awsflock\n", "[]\n", "[\xff]\n" };
	(void)state;
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct config config = defaults();
		awsflock_error error = { 0 };
		char text[200];
		snprintf(text, sizeof(text), "[guard ops]\n%stable = mine\n", broken[i]);
		write_file("file", text);
		assert_int_equal(config_load(&config, "file", &error), AWSFLOCK_CONFIG);
		assert_non_null(strstr(error.message, "file:2: "));
		config_free(&config);
	}
}

static void guard_sections_are_passed_over_whole(void **state)
{
	(void)state;
	write_file("file", "[guard ops]\nlock = ops-%h\nno_such_key = x\n[awsflock]\ntable = mine\n");
	struct config config = defaults();
	assert_loads(&config, "file");
	assert_string_equal(config_get(&config, CONFIG_TABLE), "mine");
	config_free(&config);
}

static void a_mistake_in_a_file_names_file_line_and_mend(void **state)
{
	(void)state;
	static const struct {
		const char *text, *start, *accepted;
	} cases[] = {
		{ "[awsflock]\nTable = x\n", "file:2: unknown key 'Table'", "awsflock.conf(5)" },
		{ "[awsflock]\n\n[other]\n", "file:3: unknown section [other]", "[awsflock]" },
		{ "[guard]\n", "file:1: unknown section [guard]", "[guard NAME]" },
		{ "table = mine\n", "file:1: ", "[awsflock]" },
		{ "[awsflock]\ntable = a b\n", "file:2: table cannot be 'a b'", "3 to 255" },
		{ "[awsflock]\nlease_duration = 0\n", "file:2: lease_duration: ", "at least 1 second" },
		{ "[awsflock]\nallow_plain_http = si\n", "file:2: allow_plain_http", "yes or no" },
		{ "[awsflock]\nca_bundle = ~bob/ca.pem\n", "file:2: ca_bundle", "starts with /" },
		{ "[awsflock]\ntable = abc\ntable = abc\n", "file:3: ", "line 2" },
		{ "[awsflock]\nnonsense\n", "file:2: ", "key = value" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config config = defaults();
		awsflock_error error;
		write_file("file", cases[i].text);
		assert_int_equal(config_load(&config, "file", &error), AWSFLOCK_CONFIG);
		if (strncmp(error.message, cases[i].start, strlen(cases[i].start)) != 0)
			fail_msg("%s", error.message);
		assert_non_null(strstr(error.message, cases[i].accepted));
		config_free(&config);
	}
}

static void a_broken_file_leaves_the_settings_as_they_were(void **state)
{
	(void)state;
	write_file("file", "[awsflock]\ntable = mine\nstore = nowhere\n");
	struct config config = defaults();
	assert_int_equal(config_load(&config, "file", NULL), AWSFLOCK_CONFIG);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	config_free(&config);
}

static void a_file_that_was_asked_for_must_exist(void **state)
{
	(void)state;
	struct config config = defaults();
	awsflock_error error;
	assert_int_equal(config_load(&config, "absent", &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "absent"));
	assert_int_equal(config_load(&config, "", NULL), AWSFLOCK_CONFIG);
	setenv("AWSFLOCK_CONFIG", "absent", 1);
	assert_int_equal(config_load(&config, NULL, NULL), AWSFLOCK_CONFIG);
	config_free(&config);
}

static void the_file_of_the_environment_stands_instead_of_the_standard_ones(void **state)
{
	(void)state;
	write_file("file", "[awsflock]\ntable = from-file\n");
	write_file(".config/awsflock.conf", "[awsflock]\ntable = from-home\nowner = from-home\n");
	setenv("AWSFLOCK_CONFIG", "file", 1);
	struct config config = defaults();
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-file");
	assert_null(config_get(&config, CONFIG_OWNER));
	config_free(&config);
}

static void the_users_file_is_found_below_xdg_config_home_or_home(void **state)
{
	(void)state;
	write_file(".config/awsflock.conf", "[awsflock]\ntable = from-home\n");
	write_file("xdg/awsflock.conf", "[awsflock]\ntable = from-xdg\n");
	struct config config = defaults();
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-home");
	assert_int_equal(config.origins[CONFIG_TABLE], CONFIG_FROM_USER_FILE);
	setenv("XDG_CONFIG_HOME", xdg, 1);
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-xdg");
	setenv("XDG_CONFIG_HOME", "xdg", 1); /* not absolute: to be ignored */
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-home");
	config_free(&config);
}

static void the_environment_goes_before_the_files_and_the_caller_before_it(void **state)
{
	(void)state;
	write_file("file", "[awsflock]\ntable = from-file\n");
	setenv("AWSFLOCK_TABLE", "from-environment", 1);
	struct config config = defaults();
	assert_loads(&config, "file");
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-environment");
	assert_int_equal(config.origins[CONFIG_TABLE], CONFIG_FROM_ENVIRONMENT);
	assert_int_equal(config_set(&config, CONFIG_TABLE, "from-caller", CONFIG_FROM_CALLER, NULL), AWSFLOCK_OK);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-caller");
	config_free(&config);
}

static void an_empty_variable_counts_as_unset_and_a_wrong_one_is_named(void **state)
{
	(void)state;
	write_file("file", "[awsflock]\ntable = from-file\n");
	setenv("AWSFLOCK_TABLE", "", 1);
	setenv("AWSFLOCK_CONFIG", "", 1);
	struct config config = defaults();
	assert_loads(&config, NULL);
	assert_loads(&config, "file");
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-file");
	setenv("AWSFLOCK_TABLE", "a!", 1);
	awsflock_error error;
	assert_int_equal(config_load(&config, "file", &error), AWSFLOCK_CONFIG);
	assert_int_equal(strncmp(error.message, "AWSFLOCK_TABLE: ", 16), 0);
	config_free(&config);
}

static void the_users_file_goes_before_the_systems(void **state)
{
	(void)state;
	if (CONFIG_PATH_SYSTEM[0] == '/')
		skip();
	write_file(CONFIG_PATH_SYSTEM,
		   "[awsflock]\ntable = from-system\nowner = from-system\nregion = eu-west-1\n");
	write_file(".config/awsflock.conf", "[awsflock]\ntable = from-home\nregion =\n");
	struct config config = defaults();
	assert_loads(&config, NULL);
	assert_string_equal(config_get(&config, CONFIG_TABLE), "from-home");
	assert_string_equal(config_get(&config, CONFIG_OWNER), "from-system");
	assert_int_equal(config.origins[CONFIG_OWNER], CONFIG_FROM_SYSTEM_FILE);
	assert_null(config_get(&config, CONFIG_REGION));
	config_free(&config);
}

static void a_broken_system_file_is_an_error(void **state)
{
	(void)state;
	if (CONFIG_PATH_SYSTEM[0] == '/')
		skip();
	write_file(CONFIG_PATH_SYSTEM, "[awsflock]\ntabel = x\n");
	struct config config = defaults();
	assert_int_equal(config_load(&config, NULL, NULL), AWSFLOCK_CONFIG);
	config_free(&config);
}

static void a_tilde_in_a_path_is_the_home_directory(void **state)
{
	(void)state;
	struct config config = defaults();
	char expected[sizeof(directory) + 16];
	write_file("file", "[awsflock]\nca_bundle = ~/ca.pem\nlocal_dir = ~\nowner = ~/x\n");
	assert_loads(&config, "~/file");
	snprintf(expected, sizeof(expected), "%s/ca.pem", directory);
	assert_string_equal(config_get(&config, CONFIG_CA_BUNDLE), expected);
	assert_string_equal(config_get(&config, CONFIG_LOCAL_DIR), directory);
	assert_string_equal(config_get(&config, CONFIG_OWNER), "~/x"); /* which is no path */
	config_free(&config);
}

/* It serves session guards too, whose home directory is whatever their host left in HOME. */
static void a_tilde_in_the_systems_file_is_refused(void **state)
{
	(void)state;
	struct config config = defaults();
	struct ini ini;
	static const char text[] = "[awsflock]\nlocal_dir = ~/locks\n";
	awsflock_error error;
	assert_int_equal(ini_parse("f", text, sizeof(text) - 1, INI_STRICT, &ini, &error), AWSFLOCK_OK);
	assert_int_equal(config_apply(&config, "f", &ini, CONFIG_FROM_SYSTEM_FILE, &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "f:2: local_dir"));
	ini_free(&ini);
	config_free(&config);
}

static void a_directory_in_the_users_files_place_is_passed_over(void **state)
{
	(void)state;
	struct config config = defaults();
	if (CONFIG_PATH_SYSTEM[0] == '/')
		skip();
	assert_int_equal(mkdir(".config/awsflock.conf", 0700), 0);
	assert_loads(&config, NULL);
	assert_non_null(strstr(config.passed_over, ".config/awsflock.conf: it is a directory"));
	rmdir(".config/awsflock.conf");
	config_free(&config);
}

/* HOME is another user's under runuser(1).  Root sees everything, so that it becomes somebody for a while. */
static void a_users_file_that_is_hidden_is_passed_over_and_one_that_is_locked_is_not(void **state)
{
	(void)state;
	struct config config = defaults();
	awsflock_error error;
	if (CONFIG_PATH_SYSTEM[0] == '/')
		skip();
	write_file(".config/awsflock.conf", "[awsflock]\ntable = another\n");
	assert_int_equal(chmod(".config/awsflock.conf", 0), 0);
	assert_int_equal(chmod(directory, 0755) + chmod(".config", 0755), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(12345), 0);
	assert_int_equal(config_load(&config, NULL, &error), AWSFLOCK_CONFIG);
	assert_null(config.passed_over);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(".config", 0), 0);
	if (geteuid() == 0)
		assert_int_equal(seteuid(12345), 0);
	assert_loads(&config, NULL);
	assert_non_null(strstr(config.passed_over, "hidden from this user"));
	assert_string_equal(config_get(&config, CONFIG_TABLE), "awsflock");
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(chmod(".config", 0700), 0);
	config_free(&config);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, clean_environment, remove_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_key_has_the_documented_default),
		TEST(every_key_is_found_by_its_own_name),
		TEST(the_local_directory_follows_the_user),
		TEST(the_machines_shared_store_is_used_where_there_is_one_and_nothing_names_another),
		TEST(what_stands_in_the_shared_stores_place_is_never_passed_over),
		TEST(a_value_that_can_be_is_kept_with_its_origin),
		TEST(a_value_that_cannot_be_is_refused_by_name_and_changes_nothing),
		TEST(table_names_have_at_most_255_characters),
		TEST(an_empty_value_brings_the_default_back),
		TEST(a_file_sets_what_it_names_and_leaves_the_rest),
		TEST(a_broken_guard_section_fails_nothing_else),
		TEST(a_broken_section_line_below_a_guard_fails_the_file),
		TEST(guard_sections_are_passed_over_whole),
		TEST(a_mistake_in_a_file_names_file_line_and_mend),
		TEST(a_broken_file_leaves_the_settings_as_they_were),
		TEST(a_file_that_was_asked_for_must_exist),
		TEST(the_file_of_the_environment_stands_instead_of_the_standard_ones),
		TEST(the_users_file_is_found_below_xdg_config_home_or_home),
		TEST(the_environment_goes_before_the_files_and_the_caller_before_it),
		TEST(an_empty_variable_counts_as_unset_and_a_wrong_one_is_named),
		TEST(the_users_file_goes_before_the_systems),
		TEST(a_broken_system_file_is_an_error),
		TEST(a_tilde_in_a_path_is_the_home_directory),
		TEST(a_tilde_in_the_systems_file_is_refused),
		TEST(a_directory_in_the_users_files_place_is_passed_over),
		TEST(a_users_file_that_is_hidden_is_passed_over_and_one_that_is_locked_is_not),
	};
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
