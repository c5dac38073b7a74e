/* Tests of aws/endpoint.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "aws/endpoint.h"

static const char *const variables[] = { "AWS_REGION",
					 "AWS_DEFAULT_REGION",
					 "DYNAMO_ENDPOINT_URL",
					 "AWS_ENDPOINT_URL_DYNAMODB",
					 "AWS_ENDPOINT_URL",
					 "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
					 "AWS_USE_FIPS_ENDPOINT",
					 "AWS_USE_DUALSTACK_ENDPOINT" };

static int clear_environment(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return 0;
}

static struct profile profile_of(const char *config)
{
	struct profile profile = { .name = strdup("default") };
	awsflock_error error;
	assert_int_equal(ini_parse("config", config, strlen(config), INI_AWS, &profile.config, &error),
			 AWSFLOCK_OK);
	return profile;
}

static void assert_url(const struct endpoint_options *options, const char *url, const char *source)
{
	struct endpoint endpoint;
	awsflock_error error = { 0 };
	awsflock_code code = endpoint_resolve(options, &endpoint, &error);
	if (code != AWSFLOCK_OK)
		print_error("%s\n", error.message);
	assert_int_equal(code, AWSFLOCK_OK);
	assert_string_equal(endpoint.url, url);
	if (source != NULL)
		assert_string_equal(endpoint.url_source, source);
	endpoint_clear(&endpoint);
}

static void assert_region(const struct endpoint_options *options, const char *region)
{
	struct endpoint endpoint;
	awsflock_error error;
	assert_int_equal(endpoint_resolve(options, &endpoint, &error), AWSFLOCK_OK);
	assert_string_equal(endpoint.region, region);
	endpoint_clear(&endpoint);
}

static void assert_refused(const struct endpoint_options *options, const char *part_of_sentence)
{
	struct endpoint endpoint = { 0 };
	awsflock_error error = { 0 };
	awsflock_code code = endpoint_resolve(options, &endpoint, &error);
	/* What was given on the command line is wrong use. */
	assert_int_equal(code,
			 strstr(error.message, "(from the command line)") ? AWSFLOCK_INVALID : AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, part_of_sentence));
	assert_null(endpoint.url);
}

static void the_region_comes_from_the_first_place_that_names_one(void **state)
{
	(void)state;
	struct profile profile = profile_of("[default]\nregion = eu-west-1\n");
	struct endpoint_options options = { .profile = &profile };

	assert_region(&options, "eu-west-1");
	options.config_region = "eu-west-2";
	assert_region(&options, "eu-west-2");
	setenv("AWS_DEFAULT_REGION", "eu-west-3", 1);
	assert_region(&options, "eu-west-3");
	setenv("AWS_REGION", "us-west-1", 1);
	assert_region(&options, "us-west-1");
	options.region = "us-west-2";
	assert_region(&options, "us-west-2");
	profile_clear(&profile);
}

static void empty_variables_name_nothing(void **state)
{
	(void)state;
	struct endpoint_options options = { .config_region = "eu-west-2" };
	setenv("AWS_REGION", "", 1);
	setenv("AWS_ENDPOINT_URL", "", 1);
	assert_url(&options, "https://dynamodb.eu-west-2.amazonaws.com", "region");
}

static void an_ignored_environment_names_nothing(void **state)
{
	(void)state;
	struct endpoint_options options = { .config_region = "eu-west-2", .ignore_environment = true };
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		setenv(variables[i], "https://evil.example.com", 1);
	assert_url(&options, "https://dynamodb.eu-west-2.amazonaws.com", "region");
}

static void without_a_region_the_error_says_how_to_give_one(void **state)
{
	(void)state;
	struct endpoint_options options = { 0 };
	assert_refused(&options, "--region");
}

static void a_region_that_is_no_host_label_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"us-east-1.evil.com", "us east", "-us", "us-", "us/east", "us@x", "ü", "a#b", "us_east"
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct endpoint_options options = { .region = bad[i] };
		assert_refused(&options, "is not an AWS region");
	}
}

static void each_partition_has_its_own_names(void **state)
{
	(void)state;
	static const struct {
		const char *region, *plain, *fips, *dual, *both;
	} rows[] = {
		{ "us-east-1", "https://dynamodb.us-east-1.amazonaws.com",
		  "https://dynamodb-fips.us-east-1.amazonaws.com", "https://dynamodb.us-east-1.api.aws",
		  "https://dynamodb-fips.us-east-1.api.aws" },
		{ "cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn",
		  "https://dynamodb-fips.cn-north-1.amazonaws.com.cn",
		  "https://dynamodb.cn-north-1.api.amazonwebservices.com.cn",
		  "https://dynamodb-fips.cn-north-1.api.amazonwebservices.com.cn" },
		{ "us-gov-west-1", "https://dynamodb.us-gov-west-1.amazonaws.com",
		  "https://dynamodb.us-gov-west-1.amazonaws.com", "https://dynamodb.us-gov-west-1.api.aws",
		  "https://dynamodb-fips.us-gov-west-1.api.aws" },
		{ "us-iso-east-1", "https://dynamodb.us-iso-east-1.c2s.ic.gov",
		  "https://dynamodb-fips.us-iso-east-1.c2s.ic.gov", "https://dynamodb.us-iso-east-1.api.aws.ic.gov",
		  "https://dynamodb-fips.us-iso-east-1.api.aws.ic.gov" },
		{ "us-isob-east-1", "https://dynamodb.us-isob-east-1.sc2s.sgov.gov",
		  "https://dynamodb-fips.us-isob-east-1.sc2s.sgov.gov",
		  "https://dynamodb.us-isob-east-1.api.aws.scloud",
		  "https://dynamodb-fips.us-isob-east-1.api.aws.scloud" },
		{ "us-isof-south-1", "https://dynamodb.us-isof-south-1.csp.hci.ic.gov",
		  "https://dynamodb-fips.us-isof-south-1.csp.hci.ic.gov", NULL, NULL },
		{ "eusc-de-east-1", "https://dynamodb.eusc-de-east-1.amazonaws.eu",
		  "https://dynamodb-fips.eusc-de-east-1.amazonaws.eu",
		  "https://dynamodb.eusc-de-east-1.api.amazonwebservices.eu",
		  "https://dynamodb-fips.eusc-de-east-1.api.amazonwebservices.eu" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint_options options = { .region = rows[i].region };
		clear_environment(NULL);
		assert_url(&options, rows[i].plain, "region");
		setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
		assert_url(&options, rows[i].fips, "region");
		setenv("AWS_USE_DUALSTACK_ENDPOINT", "true", 1);
		if (rows[i].both != NULL)
			assert_url(&options, rows[i].both, "region");
		else
			assert_refused(&options, "dual-stack");
		unsetenv("AWS_USE_FIPS_ENDPOINT");
		if (rows[i].dual != NULL)
			assert_url(&options, rows[i].dual, "region");
	}
}

static void the_profile_may_ask_for_fips_and_dual_stack(void **state)
{
	(void)state;
	struct profile profile = profile_of("[default]\nuse_fips_endpoint=true\nuse_dualstack_endpoint=true\n");
	struct endpoint_options options = { .region = "us-east-1", .profile = &profile };
	assert_url(&options, "https://dynamodb-fips.us-east-1.api.aws", "region");
	profile_clear(&profile);
}

static void a_switch_that_is_neither_true_nor_false_is_refused(void **state)
{
	(void)state;
	struct endpoint_options options = { .region = "us-east-1" };
	setenv("AWS_USE_FIPS_ENDPOINT", "maybe", 1);
	assert_refused(&options, "AWS_USE_FIPS_ENDPOINT");
}

static void the_url_comes_from_the_first_place_that_names_one(void **state)
{
	(void)state;
	struct profile profile = profile_of("[default]\nendpoint_url = https://profile.example.com\n");
	struct profile with_services =
		profile_of("[default]\nservices = mine\nendpoint_url = https://profile.example.com\n"
			   "[services mine]\ndynamodb =\n  endpoint_url = https://services.example.com\n");
	struct endpoint_options options = { .region = "us-east-1", .profile = &profile };

	assert_url(&options, "https://profile.example.com", "profile");
	options.profile = &with_services;
	assert_url(&options, "https://services.example.com", "services of the profile");
	options.config_url = "https://conf.example.com";
	assert_url(&options, "https://conf.example.com", "awsflock.conf");
	setenv("AWS_ENDPOINT_URL", "https://all.example.com", 1);
	assert_url(&options, "https://all.example.com", "AWS_ENDPOINT_URL");
	setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://one.example.com", 1);
	assert_url(&options, "https://one.example.com", "AWS_ENDPOINT_URL_DYNAMODB");
	setenv("DYNAMO_ENDPOINT_URL", "https://old.example.com", 1);
	assert_url(&options, "https://old.example.com", "DYNAMO_ENDPOINT_URL");
	options.url = "https://option.example.com";
	assert_url(&options, "https://option.example.com", "the command line");
	profile_clear(&profile);
	profile_clear(&with_services);
}

static void awss_urls_can_be_ignored_but_ours_stay(void **state)
{
	(void)state;
	struct profile profile = profile_of("[default]\nendpoint_url = https://profile.example.com\n");
	struct endpoint_options options = { .region = "us-east-1", .profile = &profile };
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	setenv("AWS_ENDPOINT_URL", "https://all.example.com", 1);
	setenv("AWS_ENDPOINT_URL_DYNAMODB", "https://one.example.com", 1);
	assert_url(&options, "https://dynamodb.us-east-1.amazonaws.com", "region");
	options.config_url = "https://conf.example.com";
	assert_url(&options, "https://conf.example.com", "awsflock.conf");
	profile_clear(&profile);
}

static void without_a_profile_the_region_decides(void **state)
{
	(void)state;
	struct endpoint_options options = { .region = "us-east-1" };
	struct endpoint endpoint;
	awsflock_error error;
	assert_url(&options, "https://dynamodb.us-east-1.amazonaws.com", "region");
	assert_int_equal(endpoint_resolve_service(&options, AWS_STS, "eu-west-1", &endpoint, &error), AWSFLOCK_OK);
	assert_string_equal(endpoint.url, "https://sts.eu-west-1.amazonaws.com");
	endpoint_clear(&endpoint);
}

static void host_path_and_port_are_what_the_request_needs(void **state)
{
	(void)state;
	static const struct {
		const char *given, *url, *host, *path;
	} rows[] = {
		{ "https://a.example.com/", "https://a.example.com", "a.example.com", "/" },
		{ "https://a.example.com:443", "https://a.example.com", "a.example.com", "/" },
		{ "https://a.example.com:8443/", "https://a.example.com:8443", "a.example.com:8443", "/" },
		{ "HTTPS://a.example.com/p/q/", "https://a.example.com/p/q", "a.example.com", "/p/q" },
		{ "http://127.0.0.1:8000", "http://127.0.0.1:8000", "127.0.0.1:8000", "/" },
		{ "http://localhost:80", "http://localhost", "localhost", "/" },
		{ "http://[::1]:8000/", "http://[::1]:8000", "[::1]:8000", "/" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint_options options = { .region = "us-east-1", .url = rows[i].given };
		struct endpoint endpoint;
		awsflock_error error;
		assert_int_equal(endpoint_resolve(&options, &endpoint, &error), AWSFLOCK_OK);
		assert_string_equal(endpoint.url, rows[i].url);
		assert_string_equal(endpoint.host, rows[i].host);
		assert_string_equal(endpoint.path, rows[i].path);
		assert_false(endpoint.is_aws);
		endpoint_clear(&endpoint);
	}
}

static void a_url_that_cannot_be_is_refused_without_repeating_it(void **state)
{
	(void)state;
	static const char *const bad[] = { "dynamodb.example.com",
					   "ftp://example.com",
					   "https://",
					   "https://user:secret@example.com",
					   "https://example.com:0",
					   "https://example.com:65536",
					   "https://example.com:",
					   "https://example.com:80x",
					   "https://example.com/?secret",
					   "https://example.com/#secret",
					   "https://example.com/a b",
					   "https://example.com/../x",
					   "https://example.com//x",
					   "https://exa mple.com",
					   "https://example.com\r\nHost: secret",
					   "https://[::1",
					   "https://[zz]" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct endpoint_options options = { .region = "us-east-1", .url = bad[i] };
		struct endpoint endpoint;
		awsflock_error error;
		assert_int_equal(endpoint_resolve(&options, &endpoint, &error), AWSFLOCK_INVALID);
		assert_null(strstr(error.message, "secret"));
		assert_non_null(strstr(error.message, "(from the command line)"));
	}
}

static void plain_http_beyond_loopback_needs_permission(void **state)
{
	(void)state;
	static const char *const far[] = { "http://example.com",
					   "http://127.0.0.1.example.com",
					   "http://localhost.example.com",
					   "http://10.0.0.1:8000",
					   "http://[fe80::1]",
					   "http://127" };
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		struct endpoint_options options = { .region = "us-east-1", .url = far[i] };
		assert_refused(&options, "allow_plain_http");
		options.allow_plain_http = true;
		assert_url(&options, far[i], "the command line");
	}
}

#define TEST(name) cmocka_unit_test_setup(name, clear_environment)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_region_comes_from_the_first_place_that_names_one),
		TEST(empty_variables_name_nothing),
		TEST(an_ignored_environment_names_nothing),
		TEST(without_a_region_the_error_says_how_to_give_one),
		TEST(a_region_that_is_no_host_label_is_refused),
		TEST(each_partition_has_its_own_names),
		TEST(the_profile_may_ask_for_fips_and_dual_stack),
		TEST(a_switch_that_is_neither_true_nor_false_is_refused),
		TEST(the_url_comes_from_the_first_place_that_names_one),
		TEST(awss_urls_can_be_ignored_but_ours_stay),
		TEST(without_a_profile_the_region_decides),
		TEST(host_path_and_port_are_what_the_request_needs),
		TEST(a_url_that_cannot_be_is_refused_without_repeating_it),
		TEST(plain_http_beyond_loopback_needs_permission),
	};
	return cmocka_run_group_tests_name("endpoint", tests, NULL, NULL);
}
