/* Tests of the sources of credentials that are asked over a network, on a fake transport: what is sent where, and
 * how long it may take.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/imds_session.h"
#include "base/error.h"
#include "fake_http.h"

#define KEYS                                                                                                       \
	"{\"Code\":\"Success\",\"AccessKeyId\":\"ASIAX\",\"SecretAccessKey\":\"s\",\"Token\":\"t\","               \
	"\"Expiration\":\"2099-01-01T00:00:00Z\"}"
#define STS_KEYS                                                                                                   \
	"<R><X><Credentials><AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"                  \
	"<SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></X></R>"

struct bench {
	struct fake_runtime runtime;
	struct fake_http http;
	struct profile profile;
	struct credentials_context context;
	struct credentials credentials;
	awsflock_error error;
};

static struct bench bench;

static const char *const variables[] = { "AWS_ACCESS_KEY_ID",
					 "AWS_WEB_IDENTITY_TOKEN_FILE",
					 "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					 "AWS_CONTAINER_CREDENTIALS_FULL_URI",
					 "AWS_CONTAINER_AUTHORIZATION_TOKEN",
					 "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
					 "AWS_EC2_METADATA_DISABLED",
					 "AWS_EC2_METADATA_SERVICE_ENDPOINT",
					 "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
					 "AWS_METADATA_SERVICE_TIMEOUT",
					 "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
					 "AWS_ENDPOINT_URL_STS",
					 "AWS_ENDPOINT_URL",
					 "AWS_USE_FIPS_ENDPOINT",
					 "AWS_USE_DUALSTACK_ENDPOINT" };

static void use_profile(const char *config)
{
	profile_clear(&bench.profile);
	bench.profile.name = strdup("default");
	bench.profile.config_path = strdup("config");
	assert_int_equal(ini_parse("config", config, strlen(config), INI_AWS, &bench.profile.config, &bench.error),
			 AWSFLOCK_OK);
}

static int set_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	memset(&bench, 0, sizeof(bench));
	fake_runtime_init(&bench.runtime);
	fake_http_init(&bench.http, &bench.runtime);
	use_profile("");
	bench.context = (struct credentials_context){ .runtime = &bench.runtime.runtime,
						      .transport = &bench.http.transport,
						      .profile = &bench.profile,
						      .region = "eu-central-1",
						      .give_up_boot_ns = INT64_MAX,
						      .connect_timeout_ms = 5000,
						      .request_timeout_ms = 10000 };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	credentials_clear(&bench.credentials);
	fake_http_clear(&bench.http);
	profile_clear(&bench.profile);
	return 0;
}

/* Between the rows of a table. */
static void start_over(void)
{
	tear_down(NULL);
	set_up(NULL);
}

static awsflock_code load(void)
{
	return credentials_load(&bench.context, &bench.credentials, &bench.error);
}

static void assert_served_by(const char *source)
{
	if (load() != AWSFLOCK_OK)
		print_error("%s\n", bench.error.message);
	assert_string_equal(bench.credentials.access_key_id, "ASIAX");
	assert_string_equal(bench.credentials.source, source);
	assert_int_equal(bench.credentials.expires_time, 4070908800);
	assert_int_equal(bench.http.request_count, bench.http.answer_count);
}

/* ---- Containers --------------------------------------------------------------------------------------------- */

static void a_relative_uri_is_the_ecs_agents_and_goes_through_no_proxy(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1?x=2", 1);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/other",
	       1); /* the relative one comes first */
	fake_http_plan(&bench.http, 200, KEYS);
	assert_served_by("container");
	assert_string_equal(bench.http.requests[0].url, "http://169.254.170.2/v2/credentials/1?x=2");
	assert_string_equal(bench.http.requests[0].method, "GET");
	assert_string_equal(bench.http.requests[0].headers, "");
	assert_true(bench.http.requests[0].no_proxy);
	assert_int_equal(bench.http.requests[0].total_timeout_ms, 2000);
	assert_int_equal(bench.http.requests[0].reply_limit, 65536);
}

static void these_urls_of_containers_are_asked(void **state)
{
	(void)state;
	static const char *const urls[] = { "http://localhost:8080/x",  "http://127.0.0.1/",
					    "http://127.8.9.10:1/x",    "http://[::1]:8080/x",
					    "http://169.254.170.2/x",   "http://169.254.170.23/v1/credentials",
					    "http://[fd00:ec2::23]/v1", "http://[FD00:EC2:0::23]/v1",
					    "https://example.com/keys", "HTTP://LOCALHOST?x=1" };
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		start_over();
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", urls[i], 1);
		fake_http_plan(&bench.http, 200, KEYS);
		assert_served_by("container");
		assert_string_equal(bench.http.requests[0].url, urls[i]);
	}
}

static void a_container_that_gives_no_answer_is_asked_three_times_a_second_apart(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
	for (int i = 0; i < 3; i++)
		fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	assert_int_equal(load(), AWSFLOCK_CREDENTIALS);
	assert_int_equal(bench.http.request_count, 3);
	assert_true(bench.runtime.boot_ns - FAKE_BOOT_START_NS >= 2 * NS_PER_S);
	assert_true(bench.runtime.boot_ns - FAKE_BOOT_START_NS < 3 * NS_PER_S);
}

static void a_container_is_not_asked_beyond_the_callers_end(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
	bench.context.give_up_boot_ns = FAKE_BOOT_START_NS + NS_PER_S;
	fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	assert_int_equal(load(), AWSFLOCK_CREDENTIALS);
	assert_int_equal(bench.http.request_count, 1);
	assert_true(bench.http.requests[0].total_timeout_ms <= 1001);
}

static void expiry_is_judged_by_the_clock_of_who_gives_the_keys(void **state)
{
	(void)state;
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x", 1);
	bench.runtime.real_offset_ns += INT64_C(100) * 365 * 86400 * NS_PER_S; /* this machine's clock is off */
	fake_http_plan(&bench.http, 200, KEYS);
	assert_served_by("container");
}

/* ---- Instances ---------------------------------------------------------------------------------------------- */

static void plan_instance(void)
{
	fake_http_plan(&bench.http, 200, "SESSION==");
	fake_http_plan(&bench.http, 200, "role-of-instance");
	fake_http_plan(&bench.http, 200, KEYS);
}

static void an_instance_is_asked_for_session_role_and_keys_with_a_second_each(void **state)
{
	(void)state;
	static const char *const urls[] = {
		"http://169.254.169.254/latest/api/token",
		"http://169.254.169.254/latest/meta-data/iam/security-credentials/",
		"http://169.254.169.254/latest/meta-data/iam/security-credentials/role-of-instance"
	};
	plan_instance();
	assert_served_by("instance metadata");
	assert_true(bench.credentials.outlive_expiry);
	for (size_t i = 0; i < 3; i++) {
		const struct fake_request *request = &bench.http.requests[i];
		assert_string_equal(request->url, urls[i]);
		assert_string_equal(request->method, i == 0 ? "PUT" : "GET");
		assert_string_equal(request->headers, i == 0 ? "X-aws-ec2-metadata-token-ttl-seconds: 21600\n"
							     : "X-aws-ec2-metadata-token: SESSION==\n");
		assert_int_equal(request->total_timeout_ms, 1000);
		assert_int_equal(request->connect_timeout_ms, 1000);
		assert_true(request->no_proxy);
	}
}

static void the_metadata_endpoint_can_be_set(void **state)
{
	(void)state;
	static const struct {
		const char *variable, *value, *config, *url;
	} rows[] = {
		{ "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", "", "http://[fd00:ec2::254]/latest/api/token" },
		{ "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/a//", "",
		  "http://127.0.0.1:9/a/latest/api/token" },
		{ NULL, NULL, "[default]\nec2_metadata_service_endpoint_mode = ipv6\n",
		  "http://[fd00:ec2::254]/latest/api/token" },
		{ NULL, NULL, "[default]\nec2_metadata_service_endpoint = http://127.0.0.1:9\n",
		  "http://127.0.0.1:9/latest/api/token" },
		{ "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv4", "[default]\nimds_use_ipv6 = true\n",
		  "http://169.254.169.254/latest/api/token" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_over();
		use_profile(rows[i].config);
		if (rows[i].variable != NULL)
			setenv(rows[i].variable, rows[i].value, 1);
		fake_http_plan(&bench.http, 404, "");
		assert_int_equal(load(), AWSFLOCK_CREDENTIALS);
		assert_int_equal(bench.http.request_count, 1);
		assert_string_equal(bench.http.requests[0].url, rows[i].url);
	}
}

static void timeout_and_attempts_of_metadata_can_be_set(void **state)
{
	(void)state;
	setenv("AWS_METADATA_SERVICE_TIMEOUT", "5", 1);
	setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3", 1);
	fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_NOT_SENT);
	fake_http_plan(&bench.http, 503, "");
	plan_instance();
	assert_served_by("instance metadata");
	assert_int_equal(bench.http.requests[0].total_timeout_ms, 5000);
}

static void look_for_the_hop_limit(void *arg, awsflock_log_level level, const char *message)
{
	(void)level;
	*(bool *)arg |= strstr(message, "hop limit") != NULL;
}

static void a_session_whose_answer_is_lost_names_the_hop_limit(void **state)
{
	(void)state;
	bool is_named = false;

	bench.runtime.runtime.log = look_for_the_hop_limit;
	bench.runtime.runtime.log_arg = &is_named;
	fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	assert_int_equal(load(), AWSFLOCK_CREDENTIALS);
	assert_true(is_named);
	assert_int_equal(bench.http.request_count, 1);
}

static void the_order_to_stop_ends_the_chain(void **state)
{
	(void)state;
	fake_http_plan_failure(&bench.http, AWSFLOCK_CANCELLED, HTTP_UNKNOWN);
	assert_int_equal(load(), AWSFLOCK_CANCELLED);
}

static void a_region_of_the_instance_must_look_like_one(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "eu central", "eu-central-1\r\nx", "-x", "x/y", "<html>" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buf why_not = BUF_INIT;
		char *region = NULL;
		start_over();
		fake_http_plan(&bench.http, 200, "SESSION==");
		fake_http_plan(&bench.http, 200, bad[i]);
		assert_int_equal(imds_region(&bench.context, &region, &why_not, &bench.error), AWSFLOCK_OK);
		assert_null(region);
		assert_true(why_not.size > 0);
		buf_free(&why_not);
	}
}

/* ---- STS ---------------------------------------------------------------------------------------------------- */

#define ROLE                                                                                                       \
	"[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = default\n"                       \
	"aws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalr\n"

static void a_role_is_asked_for_at_the_regions_own_endpoint(void **state)
{
	(void)state;
	static const struct {
		const char *region, *variable, *url;
	} rows[] = {
		{ "eu-central-1", NULL, "https://sts.eu-central-1.amazonaws.com" },
		{ "us-east-1", NULL, "https://sts.us-east-1.amazonaws.com" },
		{ "cn-north-1", NULL, "https://sts.cn-north-1.amazonaws.com.cn" },
		{ "us-gov-west-1", NULL, "https://sts.us-gov-west-1.amazonaws.com" },
		{ "us-east-1", "AWS_USE_FIPS_ENDPOINT", "https://sts-fips.us-east-1.amazonaws.com" },
		{ "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT", "https://sts.us-gov-west-1.amazonaws.com" },
		{ "us-east-1", "AWS_USE_DUALSTACK_ENDPOINT", "https://sts.us-east-1.api.aws" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		start_over();
		use_profile(ROLE);
		bench.context.region = rows[i].region;
		if (rows[i].variable != NULL)
			setenv(rows[i].variable, "true", 1);
		fake_http_plan(&bench.http, 200, STS_KEYS);
		assert_served_by("assumed role");
		assert_string_equal(bench.http.requests[0].url, rows[i].url);
		assert_non_null(strstr(bench.http.requests[0].authorization, "/sts/aws4_request"));
		assert_false(bench.http.requests[0].no_proxy);
	}
}

static void the_endpoint_of_sts_can_be_set(void **state)
{
	(void)state;
	use_profile(ROLE);
	setenv("AWS_ENDPOINT_URL", "https://all.example.com", 1);
	setenv("AWS_ENDPOINT_URL_STS", "https://sts.example.com", 1);
	fake_http_plan(&bench.http, 200, STS_KEYS);
	assert_served_by("assumed role");
	assert_string_equal(bench.http.requests[0].url, "https://sts.example.com");
	credentials_clear(&bench.credentials);
	unsetenv("AWS_ENDPOINT_URL_STS");
	fake_http_plan(&bench.http, 200, STS_KEYS);
	assert_served_by("assumed role");
	assert_string_equal(bench.http.requests[1].url, "https://all.example.com");
}

static void sts_is_asked_again_after_what_may_pass(void **state)
{
	(void)state;
	use_profile(ROLE);
	fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	fake_http_plan(&bench.http, 503, "");
	fake_http_plan(&bench.http, 200, STS_KEYS);
	assert_served_by("assumed role");
}

static void a_denial_of_sts_is_final(void **state)
{
	(void)state;
	use_profile(ROLE);
	fake_http_plan(&bench.http, 403, "<E><Error><Code>AccessDenied</Code><Message>no</Message></Error></E>");
	assert_int_equal(load(), AWSFLOCK_CREDENTIALS);
	assert_int_equal(bench.http.request_count, 1);
	assert_non_null(strstr(bench.error.message, "AccessDenied: no"));
}

static void a_request_is_signed_anew_with_the_time_that_sts_told(void **state)
{
	(void)state;
	use_profile(ROLE);
	bench.runtime.real_offset_ns -= 3600 * NS_PER_S;
	fake_http_plan(&bench.http, 403,
		       "<E><Error><Code>SignatureDoesNotMatch</Code><Message>expired</Message></Error></E>");
	fake_http_plan(&bench.http, 200, STS_KEYS);
	assert_served_by("assumed role");
	assert_string_equal(bench.http.requests[0].date, "20260921T131320Z");
	assert_string_equal(bench.http.requests[1].date, "20260921T141320Z");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_relative_uri_is_the_ecs_agents_and_goes_through_no_proxy),
		TEST(these_urls_of_containers_are_asked),
		TEST(a_container_that_gives_no_answer_is_asked_three_times_a_second_apart),
		TEST(a_container_is_not_asked_beyond_the_callers_end),
		TEST(expiry_is_judged_by_the_clock_of_who_gives_the_keys),
		TEST(an_instance_is_asked_for_session_role_and_keys_with_a_second_each),
		TEST(the_metadata_endpoint_can_be_set),
		TEST(timeout_and_attempts_of_metadata_can_be_set),
		TEST(a_session_whose_answer_is_lost_names_the_hop_limit),
		TEST(the_order_to_stop_ends_the_chain),
		TEST(a_region_of_the_instance_must_look_like_one),
		TEST(a_role_is_asked_for_at_the_regions_own_endpoint),
		TEST(the_endpoint_of_sts_can_be_set),
		TEST(sts_is_asked_again_after_what_may_pass),
		TEST(a_denial_of_sts_is_final),
		TEST(a_request_is_signed_anew_with_the_time_that_sts_told),
	};
	return cmocka_run_group_tests_name("credentials_network", tests, NULL, NULL);
}
