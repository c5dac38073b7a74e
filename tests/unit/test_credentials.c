/* Tests of aws/credentials/credentials.c and its sources.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/sign_in.h"
#include "fake_store.h"

static const char *const variables[] = { "AWS_ACCESS_KEY_ID",
					 "AWS_SECRET_ACCESS_KEY",
					 "AWS_SESSION_TOKEN",
					 "AWS_WEB_IDENTITY_TOKEN_FILE",
					 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					 "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					 "AWS_SECURITY_TOKEN",
					 "AWS_CREDENTIAL_EXPIRATION" };
static struct fake_runtime runtime;

/* Nothing is asked over a network. */
static int clear_environment(void **state)
{
	(void)state;
	fake_runtime_init(&runtime);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("HOME", "/nonexistent", 1);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return 0;
}

/* The profile "x" out of these two files. */
static struct profile profile_of(const char *config, const char *credentials)
{
	struct profile profile = { .name = strdup("x"),
				   .named = true,
				   .config_path = strdup("/c/config"),
				   .credentials_path = strdup("/c/credentials") };
	awsflock_error error;
	assert_int_equal(ini_parse("config", config, strlen(config), INI_AWS, &profile.config, &error),
			 AWSFLOCK_OK);
	assert_int_equal(
		ini_parse("credentials", credentials, strlen(credentials), INI_AWS, &profile.credentials, &error),
		AWSFLOCK_OK);
	return profile;
}

static void set_environment_keys(void)
{
	setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret-of-environment", 1);
}

#define FILE_KEYS(name) "aws_access_key_id = AKID" name "\naws_secret_access_key = secret-of-" name "\n"

static void assert_found(const struct credentials_context *context, const char *key_id, const char *source)
{
	struct credentials credentials = { 0 };
	awsflock_error error = { 0 };
	awsflock_code code = credentials_load(context, &credentials, &error);
	if (code != AWSFLOCK_OK)
		print_error("%s\n", error.message);
	assert_int_equal(code, AWSFLOCK_OK);
	assert_string_equal(credentials.access_key_id, key_id);
	assert_string_equal(credentials.source, source);
	assert_true(credentials.expires_time == INT64_MAX);
	credentials_clear(&credentials);
}

static void assert_refused(const struct credentials_context *context, const char *part_of_sentence)
{
	struct credentials credentials = { 0 };
	awsflock_error error = { 0 };
	assert_int_equal(credentials_load(context, &credentials, &error), AWSFLOCK_CREDENTIALS);
	if (strstr(error.message, part_of_sentence) == NULL)
		print_error("%s\n", error.message);
	assert_non_null(strstr(error.message, part_of_sentence));
	assert_null(strstr(error.message, "secret-of"));
	assert_null(credentials.access_key_id);
}

static void environment_comes_before_the_files(void **state)
{
	(void)state;
	struct profile profile = profile_of("[profile x]\n" FILE_KEYS("CONFIG"), "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	set_environment_keys();
	assert_found(&context, "AKIDENVIRONMENT", "environment");
	profile_clear(&profile);
}

static void the_credentials_file_comes_before_the_config_file(void **state)
{
	(void)state;
	struct profile both = profile_of("[profile x]\n" FILE_KEYS("CONFIG"), "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile one = profile_of("[profile x]\n" FILE_KEYS("CONFIG"), "[y]\n" FILE_KEYS("CREDENTIALS"));
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &both };
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	context.profile = &one;
	assert_found(&context, "AKIDCONFIG", "config file");
	profile_clear(&both);
	profile_clear(&one);
}

static void a_profile_given_by_name_leaves_the_environment_out(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile empty = profile_of("[profile x]\nregion = eu-west-1\n", "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile,
					       .profile_given = true };
	set_environment_keys();
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	context.profile = &empty;
	assert_refused(&context, "no AWS credentials were found");
	profile_clear(&profile);
	profile_clear(&empty);
}

static void an_ignored_environment_gives_nothing(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile,
					       .ignore_environment = true };
	set_environment_keys();
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x", 1);
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	profile_clear(&profile);
}

static void the_session_token_goes_along(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	struct credentials credentials;
	awsflock_error error;
	set_environment_keys();
	setenv("AWS_SESSION_TOKEN", "EXAMPLETOKEN/+==", 1);
	assert_int_equal(credentials_load(&context, &credentials, &error), AWSFLOCK_OK);
	assert_string_equal(credentials.session_token, "EXAMPLETOKEN/+==");
	assert_string_equal(credentials.secret_access_key, "secret-of-environment");
	credentials_clear(&credentials);
	setenv("AWS_SESSION_TOKEN", "", 1);
	assert_int_equal(credentials_load(&context, &credentials, &error), AWSFLOCK_OK);
	assert_null(credentials.session_token);
	credentials_clear(&credentials);
	profile_clear(&profile);
}

static void a_key_without_its_secret_is_an_error_and_not_passed_over(void **state)
{
	(void)state;
	struct profile keys = profile_of("", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile half =
		profile_of("[profile x]\n" FILE_KEYS("CONFIG"), "[x]\naws_access_key_id = AKIDHALF\n");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &half };
	assert_refused(&context, "without aws_secret_access_key");
	context.profile = &keys;
	setenv("AWS_ACCESS_KEY_ID", "AKIDENVIRONMENT", 1);
	assert_refused(&context, "without AWS_SECRET_ACCESS_KEY");
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	assert_refused(&context, "without AWS_SECRET_ACCESS_KEY");
	profile_clear(&keys);
	profile_clear(&half);
}

static void an_empty_key_is_an_unset_one(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	setenv("AWS_ACCESS_KEY_ID", "", 1);
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	profile_clear(&profile);
}

static void keys_that_would_break_a_header_are_refused(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	static const char *const bad[] = { "AKID\r\nX-Evil: 1", "AKID EXAMPLE", "AKID/us-east-1", "AKID,x",
					   "AKIDÜ" };
	set_environment_keys();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		setenv("AWS_ACCESS_KEY_ID", bad[i], 1);
		assert_refused(&context, "access key id from the environment");
	}
	set_environment_keys();
	setenv("AWS_SESSION_TOKEN", "token\nX-Evil: 1", 1);
	assert_refused(&context, "session token from the environment");
	profile_clear(&profile);
}

static void a_profile_that_signs_in_is_of_no_use_without_a_home_directory(void **state)
{
	(void)state;
	static const char *const rows[] = { "sso_account_id = 1\n", "sso_role_name = r\n",
					    "login_session = arn\n" };
	char *home = strdup(getenv("HOME"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256] = "[profile x]\n";
		strcat(text, rows[i]);
		struct profile profile = profile_of(text, "");
		struct credentials_context context = { .runtime = &runtime.runtime,
						       .give_up_boot_ns = INT64_MAX,
						       .profile = &profile,
						       .ignore_environment = true };
		assert_refused(&context, "use credentials of the machine");
		context.ignore_environment = false; /* as in a session guard, whose environment is empty */
		unsetenv("HOME");
		assert_refused(&context, "use credentials of the machine");
		setenv("HOME", home, 1);
		profile_clear(&profile);
	}
	free(home);
}

static void single_sign_on_comes_before_the_credentials_file_and_aws_login_after_it(void **state)
{
	(void)state;
	struct profile sso = profile_of("[profile x]\nsso_account_id = 1\n", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile login = profile_of("[profile x]\nlogin_session = arn\n", "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile process = profile_of(
		"[profile x]\nlogin_session = arn\ncredential_process = /bin/x\n" FILE_KEYS("CONFIG"), "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &sso };
	assert_refused(&context, "profile 'x' signs in with IAM Identity Center and has no sso_role_name");
	context.profile = &login;
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	context.profile = &process;
	assert_refused(&context, "aws login --profile x");
	profile_clear(&sso);
	profile_clear(&login);
	profile_clear(&process);
}

static void what_a_profile_and_its_sso_session_both_say_must_agree(void **state)
{
	(void)state;
	static const struct {
		const char *config, *said;
	} rows[] = {
		{ "[profile x]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "[sso-session s]" },
		{ "[profile x]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\nsso_region = a\n"
		  "[sso-session s]\nsso_region = b\nsso_start_url = u\n",
		  "different values" },
		{ "[profile x]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
		  "[sso-session s]\nsso_region = b\n",
		  "has no sso_start_url" },
		{ "[profile x]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\nsso_region = b\n"
		  "[sso-session s]\nsso_region = b\nsso_start_url = u\n",
		  "aws sso login --profile x" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct profile profile = profile_of(rows[i].config, "");
		struct credentials_context context = { .runtime = &runtime.runtime,
						       .give_up_boot_ns = INT64_MAX,
						       .profile = &profile };
		assert_refused(&context, rows[i].said);
		profile_clear(&profile);
	}
}

static void a_command_to_type_is_safe_for_a_shell(void **state)
{
	(void)state;
	static const struct {
		const char *name, *command;
	} rows[] = { { "dev", "aws login --profile dev" },
		     { "my team", "aws login --profile 'my team'" },
		     { "$(reboot)", "aws login --profile '$(reboot)'" },
		     { "it's", "aws login --profile 'it'\\''s'" },
		     { "", "aws login --profile ''" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct profile profile = { .name = (char *)rows[i].name };
		struct credentials_context context = { .profile = &profile };
		char *command = sign_in_command(&context, "login");
		assert_string_equal(command, rows[i].command);
		free(command);
	}
}

static void the_old_name_of_the_session_token_counts_too(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "[x]\n" FILE_KEYS("CREDENTIALS") "aws_security_token = OLD\n");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	struct credentials credentials;
	awsflock_error error;
	assert_int_equal(credentials_load(&context, &credentials, &error), AWSFLOCK_OK);
	assert_string_equal(credentials.session_token, "OLD");
	credentials_clear(&credentials);
	set_environment_keys();
	setenv("AWS_SESSION_TOKEN", "NEW", 1);
	setenv("AWS_SECURITY_TOKEN", "OLDER", 1);
	assert_int_equal(credentials_load(&context, &credentials, &error), AWSFLOCK_OK);
	assert_string_equal(credentials.session_token, "OLDER"); /* botocore's order */
	credentials_clear(&credentials);
	profile_clear(&profile);
}

static void the_environment_may_tell_when_its_keys_expire(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	struct credentials credentials;
	awsflock_error error;
	set_environment_keys();
	setenv("AWS_CREDENTIAL_EXPIRATION", "2026-11-23T14:02:11Z", 1);
	assert_int_equal(credentials_load(&context, &credentials, &error), AWSFLOCK_OK);
	assert_int_equal(credentials.expires_time, 1795442531);
	credentials_clear(&credentials);
	setenv("AWS_CREDENTIAL_EXPIRATION", "soon", 1);
	assert_refused(&context, "AWS_CREDENTIAL_EXPIRATION");
	profile_clear(&profile);
}

static void a_role_is_not_passed_over_for_the_keys_beside_it(void **state)
{
	(void)state;
	struct profile profile = profile_of("[profile x]\nrole_arn = arn:aws:iam::123456789012:role/r\n",
					    "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	assert_refused(&context, "role_arn");
	set_environment_keys(); /* which come before roles */
	assert_found(&context, "AKIDENVIRONMENT", "environment");
	profile_clear(&profile);
}

static void a_credential_process_comes_after_the_credentials_file(void **state)
{
	(void)state;
	struct profile profile = profile_of("[profile x]\ncredential_process = /bin/x\n" FILE_KEYS("CONFIG"),
					    "[x]\n" FILE_KEYS("CREDENTIALS"));
	struct profile without = profile_of("[profile x]\ncredential_process = /bin/x\n" FILE_KEYS("CONFIG"), "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	assert_found(&context, "AKIDCREDENTIALS", "credentials file");
	context.profile = &without;
	assert_refused(&context, "credential_process");
	profile_clear(&profile);
	profile_clear(&without);
}

static void variables_of_later_sources_are_not_passed_over(void **state)
{
	(void)state;
	struct profile profile = profile_of("", "");
	struct credentials_context context = { .runtime = &runtime.runtime,
					       .give_up_boot_ns = INT64_MAX,
					       .profile = &profile };
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/", 1);
	assert_refused(&context, "AWS_CONTAINER_CREDENTIALS_FULL_URI names");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "x", 1);
	assert_refused(&context, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere", 1);
	assert_refused(&context, "AWS_ROLE_ARN");
	profile_clear(&profile);
}

struct told {
	unsigned count;
	const char *const *parts;
};

static void expect_next(void *arg, awsflock_log_level level, const char *message)
{
	struct told *told = arg;

	assert_int_equal(level, AWSFLOCK_LOG_NOTICE);
	assert_non_null(strstr(message, told->parts[told->count++]));
}

static void when_nothing_serves_the_log_has_a_line_for_each_source_once(void **state)
{
	(void)state;
	static const char *const parts[] = {
		"no credentials from the environment: AWS_ACCESS_KEY_ID is not set",
		"no credentials from the assumed role: no role_arn in profile 'x'",
		"no credentials from the web identity: ",
		"no credentials from the single sign-on: ",
		"no credentials from the credentials file: no aws_access_key_id for profile 'x' in /c/credentials",
		"no credentials from the aws login: ",
		"no credentials from the credential process: ",
		"no credentials from the config file: no aws_access_key_id for profile 'x' in /c/config",
		"no credentials from the container: ",
		"no credentials from the instance metadata: "
	};
	struct profile profile = profile_of("", "");
	struct sign_in_memory memory = { 0 };
	struct told told = { 0, parts };
	struct credentials_context context = {
		.runtime = &runtime.runtime, .give_up_boot_ns = INT64_MAX, .memory = &memory, .profile = &profile
	};

	runtime.runtime.log = expect_next;
	runtime.runtime.log_arg = &told;
	for (int asked = 0; asked < 2; asked++) {
		assert_refused(&context, "no AWS credentials were found");
		assert_int_equal(told.count, sizeof(parts) / sizeof(parts[0]));
	}
	runtime.runtime.log = NULL;
	sign_in_memory_clear(&memory);
	profile_clear(&profile);
}

#define TEST(name) cmocka_unit_test_setup(name, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(environment_comes_before_the_files),
		TEST(the_credentials_file_comes_before_the_config_file),
		TEST(a_profile_given_by_name_leaves_the_environment_out),
		TEST(an_ignored_environment_gives_nothing),
		TEST(the_session_token_goes_along),
		TEST(a_key_without_its_secret_is_an_error_and_not_passed_over),
		TEST(an_empty_key_is_an_unset_one),
		TEST(keys_that_would_break_a_header_are_refused),
		TEST(a_profile_that_signs_in_is_of_no_use_without_a_home_directory),
		TEST(single_sign_on_comes_before_the_credentials_file_and_aws_login_after_it),
		TEST(what_a_profile_and_its_sso_session_both_say_must_agree),
		TEST(a_command_to_type_is_safe_for_a_shell),
		TEST(the_old_name_of_the_session_token_counts_too),
		TEST(the_environment_may_tell_when_its_keys_expire),
		TEST(a_role_is_not_passed_over_for_the_keys_beside_it),
		TEST(a_credential_process_comes_after_the_credentials_file),
		TEST(variables_of_later_sources_are_not_passed_over),
		TEST(when_nothing_serves_the_log_has_a_line_for_each_source_once),
	};
	return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
