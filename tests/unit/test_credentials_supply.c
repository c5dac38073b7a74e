/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of aws/credentials/supply.c: when keys are asked for again, on a fake clock. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/credentials/supply.h"
#include "fake_http.h"
#include "scratch_directory.h"

#define MINUTE INT64_C(60)
#define HOUR (60 * MINUTE)

static struct fake_runtime runtime;
static struct fake_http http;
static struct profile profile;
static struct credentials_context context;
static struct credentials_supply supply;
static struct server_time server_time;
static char bodies[FAKE_HTTP_MAX][256];

static int set_up(void **state)
{
	(void)state;
	fake_runtime_init(&runtime);
	fake_http_init(&http, &runtime);
	memset(&supply, 0, sizeof(supply));
	server_time_init(&server_time);
	server_time_observe(&server_time, FAKE_EPOCH_START_S, runtime.boot_ns, runtime.boot_ns);
	profile = (struct profile){ .name = strdup("default") };
	context = (struct credentials_context){ .runtime = &runtime.runtime,
						.transport = &http.transport,
						.profile = &profile,
						.give_up_boot_ns = INT64_MAX };
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_EC2_METADATA_DISABLED");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	credentials_supply_clear(&supply);
	profile_clear(&profile);
	fake_http_clear(&http);
	return 0;
}

static void pass(int64_t seconds)
{
	runtime.boot_ns += seconds * NS_PER_S;
}

/* The next answer is keys called ID that live for SECONDS from the test's start on. */
static void plan_keys(const char *id, int64_t seconds)
{
	time_t end = (time_t)(FAKE_EPOCH_START_S + seconds);
	struct tm parts;
	char text[32], *body = bodies[http.answer_count];
	gmtime_r(&end, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	snprintf(body, sizeof(bodies[0]),
		 "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"%s\"}", id,
		 text);
	fake_http_plan(&http, 200, body);
}

static void plan_instance_keys(const char *id, int64_t seconds)
{
	unsetenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	fake_http_plan(&http, 200, "SESSION");
	fake_http_plan(&http, 200, "role");
	plan_keys(id, seconds);
}

/* Keys are had, they are ID's, and as many requests were made as were planned. */
static void assert_has(const char *id)
{
	awsflock_error error = { 0 };
	if (credentials_supply_have(&supply, &context, &server_time, &error) != AWSFLOCK_OK)
		fail_msg("%s", error.message);
	assert_string_equal(supply.credentials.access_key_id, id);
	assert_int_equal(http.request_count, http.answer_count);
}

static void assert_has_none(const char *reason)
{
	awsflock_error error = { 0 };
	assert_int_equal(credentials_supply_have(&supply, &context, &server_time, &error), AWSFLOCK_CREDENTIALS);
	assert_non_null(strstr(error.message, reason));
	assert_int_equal(http.request_count, http.answer_count);
}

static void keys_are_renewed_fifteen_minutes_before_they_expire(void **state)
{
	(void)state;
	plan_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(45 * MINUTE - 5);
	assert_has("FIRST");
	pass(10);
	plan_keys("SECOND", 2 * HOUR);
	assert_has("SECOND");
	pass(50 * MINUTE);
	assert_has("SECOND");
}

static void an_early_renewal_that_fails_keeps_the_keys_and_is_tried_again_a_minute_later(void **state)
{
	(void)state;
	plan_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(46 * MINUTE);
	fake_http_plan(&http, 404, "");
	assert_has("FIRST");
	pass(50);
	assert_has("FIRST");
	pass(15);
	plan_keys("SECOND", 2 * HOUR);
	assert_has("SECOND");
}

static void keys_that_have_expired_are_not_used(void **state)
{
	(void)state;
	plan_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(HOUR + 5);
	fake_http_plan(&http, 404, "");
	assert_has_none("HTTP 404");
	plan_keys("SECOND", 2 * HOUR); /* no pause is made: nothing works without */
	assert_has("SECOND");
}

static void keys_of_a_short_life_are_renewed_at_half_of_it_and_not_each_time(void **state)
{
	(void)state;
	plan_keys("FIRST", 10 * MINUTE);
	assert_has("FIRST");
	pass(4 * MINUTE);
	assert_has("FIRST");
	pass(MINUTE + 5);
	plan_keys("SECOND", 20 * MINUTE);
	assert_has("SECOND");
	assert_has("SECOND");
}

static void an_early_renewal_takes_half_of_the_callers_time_at_most(void **state)
{
	(void)state;
	plan_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(46 * MINUTE);
	context.give_up_boot_ns = runtime.boot_ns + NS_PER_S;
	fake_http_plan_failure(&http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	assert_has("FIRST");
	assert_true(http.requests[1].total_timeout_ms <= 501);
	assert_int_equal(context.give_up_boot_ns, runtime.boot_ns - FAKE_LATENCY_NS + NS_PER_S);
}

static void an_instances_keys_outlive_their_expiry_while_it_has_no_newer(void **state)
{
	(void)state;
	plan_instance_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(46 * MINUTE);
	fake_http_plan_failure(&http, AWSFLOCK_UNREACHABLE, HTTP_NOT_SENT);
	assert_has("FIRST");
	pass(4 * MINUTE); /* asked again after 5 to 10 minutes */
	assert_has("FIRST");
	pass(7 * MINUTE);
	plan_instance_keys("FIRST", HOUR); /* and now it hands out what it has */
	assert_has("FIRST");
	pass(5 * MINUTE); /* two minutes past their end */
	plan_instance_keys("FIRST", HOUR);
	assert_has("FIRST");
	pass(4 * MINUTE);
	assert_has("FIRST");
	pass(7 * MINUTE);
	plan_instance_keys("SECOND", 3 * HOUR);
	assert_has("SECOND");
}

static void time_is_the_servers(void **state)
{
	(void)state;
	plan_keys("FIRST", HOUR);
	assert_has("FIRST");
	runtime.real_offset_ns += 10 * HOUR * NS_PER_S; /* the machine's clock jumps */
	assert_has("FIRST");
}

static void keys_without_an_end_are_never_asked_for_again(void **state)
{
	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "AKIDFOREVER", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	assert_has("AKIDFOREVER");
	setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER", 1);
	pass(1000 * HOUR);
	assert_has("AKIDFOREVER");
	credentials_supply_refused(&supply, &runtime.runtime, &profile);
	assert_has("AKIDOTHER");
}

static void refused_keys_are_read_anew_from_their_file(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"[default]\naws_access_key_id = FIRST\naws_secret_access_key = s\n",
		"[default]\naws_access_key_id = SECOND\naws_secret_access_key = s\n",
		"[defa", /* half written: what it said before stays in force */
	};
	static const char *const ids[] = { "FIRST", "SECOND", "SECOND" };
	struct scratch scratch;
	scratch_make(&scratch);
	profile.credentials_path = strdup(scratch_path(&scratch, "credentials"));
	for (size_t i = 0; i < 3; i++) {
		scratch_write(&scratch, "credentials", texts[i], strlen(texts[i]));
		credentials_supply_refused(&supply, &runtime.runtime, &profile);
		assert_has(ids[i]);
	}
	scratch_remove(&scratch);
}

static unsigned warnings;
static char last_warning[512];

static void count_warning(void *arg, awsflock_log_level level, const char *message)
{
	(void)arg;
	if (level != AWSFLOCK_LOG_WARNING)
		return;
	warnings++;
	snprintf(last_warning, sizeof(last_warning), "%s", message);
}

/* As heartbeats do: SECONDS before the end it is looked ahead for WITHIN. */
static void assert_warnings(int64_t left, int64_t within, unsigned expected)
{
	supply.credentials.renewable_until_time = FAKE_EPOCH_START_S + HOUR;
	supply.credentials.expires_time = FAKE_EPOCH_START_S + MINUTE;
	supply.loaded_boot_ns = runtime.boot_ns;
	server_time_init(&server_time);
	server_time_observe(&server_time, FAKE_EPOCH_START_S + HOUR - left, runtime.boot_ns, runtime.boot_ns);
	credentials_supply_foresee(&supply, &context, &server_time, within);
	assert_int_equal(warnings, expected);
}

static void the_end_of_a_sign_in_is_told_at_the_start_and_once_more_ten_minutes_before(void **state)
{
	(void)state;
	warnings = 0;
	runtime.runtime.log = count_warning;
	supply.loaded = true;
	supply.credentials.sign_in_command = strdup("aws sso login --profile dev");
	assert_warnings(59 * MINUTE, 50 * MINUTE, 0);
	assert_warnings(50 * MINUTE, HOUR, 1);
	assert_non_null(strstr(last_warning, "aws sso login --profile dev"));
	assert_warnings(50 * MINUTE, HOUR, 1);
	assert_warnings(20 * MINUTE, 10 * MINUTE, 1);
	assert_warnings(9 * MINUTE, 10 * MINUTE, 2);
	assert_warnings(8 * MINUTE, 10 * MINUTE, 2);
}

static void a_sign_in_that_ends_in_minutes_is_told_once(void **state)
{
	(void)state;
	warnings = 0;
	runtime.runtime.log = count_warning;
	supply.loaded = true;
	supply.credentials.sign_in_command = strdup("aws sso login --profile dev");
	assert_warnings(8 * MINUTE, HOUR, 1);
	assert_warnings(7 * MINUTE, 10 * MINUTE, 1);
}

/* Keys without an end of a sign-in stand for those of a longer one. */
static void who_has_signed_in_again_meanwhile_is_not_told(void **state)
{
	(void)state;
	warnings = 0;
	runtime.runtime.log = count_warning;
	supply.loaded = true;
	supply.loaded_boot_ns = runtime.boot_ns;
	supply.credentials.renewable_until_time = FAKE_EPOCH_START_S + 11 * MINUTE;
	supply.credentials.sign_in_command = strdup("aws sso login --profile dev");
	plan_keys("NEW", 2 * HOUR);
	pass(59);
	credentials_supply_foresee(&supply, &context, &server_time, 10 * MINUTE);
	assert_int_equal(http.request_count, 0);
	pass(2);
	credentials_supply_foresee(&supply, &context, &server_time, 10 * MINUTE);
	assert_int_equal(warnings, 0);
	assert_has("NEW");
}

static void set_environment(int64_t ends_in)
{
	struct tm parts;
	char text[32];
	time_t end = (time_t)(FAKE_EPOCH_START_S + ends_in);

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &parts));
	setenv("AWS_ACCESS_KEY_ID", "ASIAJOB", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	setenv("AWS_CREDENTIAL_EXPIRATION", text, 1);
}

static void foresee(int64_t seconds)
{
	credentials_supply_foresee(&supply, &context, &server_time, seconds);
}

static void the_end_of_keys_in_the_environment_is_told_where_it_lies_within_the_wanted_time(void **state)
{
	(void)state;
	warnings = 0;
	runtime.runtime.log = count_warning;
	set_environment(50 * MINUTE);
	assert_has("ASIAJOB");
	foresee(49 * MINUTE);
	assert_int_equal(warnings, 0);
	foresee(HOUR);
	assert_int_equal(warnings, 1);
	assert_non_null(strstr(last_warning, "the keys from the environment end in 50m"));
	foresee(HOUR);
	pass(39 * MINUTE);
	foresee(10 * MINUTE);
	assert_int_equal(warnings, 1);
	pass(MINUTE); /* and once more */
	foresee(10 * MINUTE);
	foresee(10 * MINUTE);
	assert_int_equal(warnings, 2);
	unsetenv("AWS_CREDENTIAL_EXPIRATION");
}

/* The times when keys that renew themselves end are nobody's business. */
static void the_end_of_keys_that_are_renewed_is_not_told(void **state)
{
	(void)state;
	warnings = 0;
	runtime.runtime.log = count_warning;
	plan_keys("CONTAINER", 20 * MINUTE);
	assert_has("CONTAINER");
	foresee(HOUR);
	assert_int_equal(warnings, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_are_renewed_fifteen_minutes_before_they_expire),
		TEST(an_early_renewal_that_fails_keeps_the_keys_and_is_tried_again_a_minute_later),
		TEST(keys_that_have_expired_are_not_used),
		TEST(keys_of_a_short_life_are_renewed_at_half_of_it_and_not_each_time),
		TEST(an_early_renewal_takes_half_of_the_callers_time_at_most),
		TEST(an_instances_keys_outlive_their_expiry_while_it_has_no_newer),
		TEST(time_is_the_servers),
		TEST(keys_without_an_end_are_never_asked_for_again),
		TEST(refused_keys_are_read_anew_from_their_file),
		TEST(the_end_of_a_sign_in_is_told_at_the_start_and_once_more_ten_minutes_before),
		TEST(a_sign_in_that_ends_in_minutes_is_told_once),
		TEST(who_has_signed_in_again_meanwhile_is_not_told),
		TEST(the_end_of_keys_in_the_environment_is_told_where_it_lies_within_the_wanted_time),
		TEST(the_end_of_keys_that_are_renewed_is_not_told),
	};
	return cmocka_run_group_tests_name("credentials_supply", tests, NULL, NULL);
}
