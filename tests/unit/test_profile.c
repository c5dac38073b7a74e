/* Tests of aws/profile.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/profile.h"

/* A home directory of its own for each test. */
struct home {
	char path[256];
	char config[512], credentials[512];
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_home(void **state)
{
	struct home *home = calloc(1, sizeof(*home));
	const char *parent = getenv("TMPDIR");
	char directory[300];
	if (home == NULL)
		return -1;
	snprintf(home->path, sizeof(home->path), "%s/awsflock-profile-XXXXXX", parent != NULL ? parent : "/tmp");
	if (mkdtemp(home->path) == NULL)
		return -1;
	snprintf(directory, sizeof(directory), "%s/.aws", home->path);
	mkdir(directory, 0700);
	snprintf(home->config, sizeof(home->config), "%s/config", directory);
	snprintf(home->credentials, sizeof(home->credentials), "%s/credentials", directory);
	setenv("HOME", home->path, 1);
	unsetenv("AWS_PROFILE");
	unsetenv("AWS_DEFAULT_PROFILE");
	unsetenv("AWS_CONFIG_FILE");
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	*state = home;
	return 0;
}

static int remove_home(void **state)
{
	struct home *home = *state;
	char directory[300];
	unlink(home->config);
	unlink(home->credentials);
	snprintf(directory, sizeof(directory), "%s/.aws", home->path);
	rmdir(directory);
	rmdir(home->path);
	free(home);
	return 0;
}

static struct profile load(const char *name)
{
	struct profile_options options = { .name = name };
	struct profile profile;
	awsflock_error error = { 0 };
	awsflock_code code = profile_load(&options, &profile, &error);
	if (code != AWSFLOCK_OK)
		print_error("%s\n", error.message);
	assert_int_equal(code, AWSFLOCK_OK);
	return profile;
}

static void missing_files_are_an_empty_default_profile(void **state)
{
	(void)state;
	struct profile profile = load(NULL);
	assert_string_equal(profile.name, "default");
	assert_false(profile.named);
	assert_null(profile_config_get(&profile, "region"));
	assert_null(profile_credentials_get(&profile, "aws_access_key_id"));
	profile_clear(&profile);
}

static void the_name_comes_from_option_then_aws_profile_then_aws_default_profile(void **state)
{
	struct home *home = *state;
	write_file(home->config, "[profile a]\n[profile b]\n[profile c]\n");
	setenv("AWS_DEFAULT_PROFILE", "a", 1);
	struct profile profile = load(NULL);
	assert_string_equal(profile.name, "a");
	profile_clear(&profile);
	setenv("AWS_PROFILE", "b", 1);
	profile = load(NULL);
	assert_string_equal(profile.name, "b");
	assert_true(profile.named);
	profile_clear(&profile);
	profile = load("c");
	assert_string_equal(profile.name, "c");
	profile_clear(&profile);
}

static void the_two_files_spell_their_sections_differently(void **state)
{
	struct home *home = *state;
	write_file(home->config, "[profile work]\nregion = eu-west-1\n[work]\nregion = wrong\n");
	write_file(home->credentials,
		   "[work]\naws_access_key_id = AKIDEXAMPLE\n[profile work]\naws_access_key_id = wrong\n");
	struct profile profile = load("work");
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-1");
	assert_string_equal(profile_credentials_get(&profile, "aws_access_key_id"), "AKIDEXAMPLE");
	profile_clear(&profile);
}

static void a_name_with_blanks_stands_in_quotes(void **state)
{
	struct home *home = *state;
	write_file(home->config, "[profile \"my team\"]\nregion = eu-west-1\n[profile 'x']\nregion = eu-west-2\n");
	struct profile profile = load("my team");
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-1");
	profile_clear(&profile);
	profile = load("x");
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-2");
	profile_clear(&profile);
}

static void the_default_profile_may_go_without_the_word_profile(void **state)
{
	struct home *home = *state;
	write_file(home->config, "[default]\nregion = eu-west-1\n");
	struct profile profile = load(NULL);
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-1");
	profile_clear(&profile);
	write_file(home->config, "[default]\nregion = eu-west-1\n[profile default]\nregion = eu-west-2\n");
	profile = load(NULL);
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-2");
	profile_clear(&profile);
}

static void a_named_profile_that_is_in_neither_file_is_an_error(void **state)
{
	struct home *home = *state;
	struct profile_options options = { .name = "nobody" };
	struct profile profile;
	awsflock_error error;
	write_file(home->config, "[nobody]\nregion = eu-west-1\n"); /* lacks the word */
	assert_int_equal(profile_load(&options, &profile, &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "nobody"));
	assert_non_null(strstr(error.message, home->config));
}

static void a_profile_in_the_credentials_file_alone_is_one(void **state)
{
	struct home *home = *state;
	write_file(home->credentials, "[only]\naws_access_key_id = AKIDEXAMPLE\n");
	struct profile profile = load("only");
	assert_string_equal(profile_credentials_get(&profile, "aws_access_key_id"), "AKIDEXAMPLE");
	profile_clear(&profile);
}

static void other_paths_come_from_options_and_variables_and_may_begin_with_a_tilde(void **state)
{
	struct home *home = *state;
	struct profile_options options = { .config_path = home->config };
	struct profile profile;
	awsflock_error error;
	write_file(home->config, "[default]\nregion = eu-west-1\n");
	setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
	profile = load(NULL);
	assert_null(profile_config_get(&profile, "region"));
	profile_clear(&profile);
	assert_int_equal(profile_load(&options, &profile, &error), AWSFLOCK_OK);
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-1");
	profile_clear(&profile);
	setenv("AWS_CONFIG_FILE", "~/.aws/config", 1);
	profile = load(NULL);
	assert_string_equal(profile_config_get(&profile, "region"), "eu-west-1");
	profile_clear(&profile);
}

static void an_ignored_environment_means_no_home_either(void **state)
{
	struct home *home = *state;
	struct profile_options options = { .ignore_environment = true };
	struct profile profile;
	awsflock_error error;
	write_file(home->config, "[default]\nregion = eu-west-1\n");
	setenv("AWS_PROFILE", "nobody", 1);
	assert_int_equal(profile_load(&options, &profile, &error), AWSFLOCK_OK);
	assert_string_equal(profile.name, "default");
	assert_null(profile.config_path);
	assert_null(profile_config_get(&profile, "region"));
	profile_clear(&profile);
}

static void the_services_section_is_reached_through_the_profile(void **state)
{
	struct home *home = *state;
	write_file(home->config, "[default]\nservices = one\n"
				 "[services one]\ns3 =\n  endpoint_url = https://s3.example.com\ndynamodb =\n"
				 "  endpoint_url = https://ddb.example.com\n"
				 "[services two]\ndynamodb =\n  endpoint_url = https://wrong.example.com\n");
	struct profile profile = load(NULL);
	assert_string_equal(profile_service_get(&profile, "dynamodb", "endpoint_url"), "https://ddb.example.com");
	assert_null(profile_service_get(&profile, "sts", "endpoint_url"));
	profile_clear(&profile);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(missing_files_are_an_empty_default_profile),
		TEST(the_name_comes_from_option_then_aws_profile_then_aws_default_profile),
		TEST(the_two_files_spell_their_sections_differently),
		TEST(a_name_with_blanks_stands_in_quotes),
		TEST(the_default_profile_may_go_without_the_word_profile),
		TEST(a_named_profile_that_is_in_neither_file_is_an_error),
		TEST(a_profile_in_the_credentials_file_alone_is_one),
		TEST(other_paths_come_from_options_and_variables_and_may_begin_with_a_tilde),
		TEST(an_ignored_environment_means_no_home_either),
		TEST(the_services_section_is_reached_through_the_profile),
	};
	return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
