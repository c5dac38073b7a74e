/* Tests of aws/dynamodb/dynamodb.c over a fake transport.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_http.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define TOKEN "FwoGZXIvYXdzEXAMPLETOKEN=="
#define TYPE "com.amazonaws.dynamodb.v20120810#"

/* One client, and one call with all that it told. */
struct bench {
	struct fake_runtime runtime;
	struct fake_http http;
	struct dynamodb *client;
	struct server_time time;
	struct dynamodb_call call;
	struct dynamodb_result result;
	awsflock_error error;
};

static void bench_init(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	fake_runtime_init(&bench->runtime);
	fake_http_init(&bench->http, &bench->runtime);
	bench->client = fake_http_client(&bench->http, NULL);
	server_time_init(&bench->time);
	bench->call = (struct dynamodb_call){ .operation = "UpdateItem",
					      .request = json_tokener_parse("{\"TableName\":\"awsflock\"}"),
					      .give_up_boot_ns = INT64_MAX,
					      .table = "awsflock" };
}

static void bench_clear(struct bench *bench)
{
	dynamodb_result_clear(&bench->result);
	json_object_put(bench->call.request);
	dynamodb_free(&bench->client);
	assert_int_equal(bench->http.freed, 1);
	fake_http_clear(&bench->http);
}

static awsflock_code make_call(struct bench *bench)
{
	dynamodb_result_clear(&bench->result);
	return dynamodb_call(bench->client, &bench->call, &bench->time, &bench->result, &bench->error);
}

/* One call that meets one answer, and asks no more. */
static awsflock_code answer_to(long status, const char *body, struct bench *bench)
{
	bench_init(bench);
	fake_http_plan(&bench->http, status, body);
	awsflock_code code = make_call(bench);
	assert_int_equal(bench->http.request_count, 1);
	return code;
}

static bool told_to_stop(void *arg)
{
	return *(bool *)arg;
}

static void a_reply_is_handed_out_with_its_times(void **state)
{
	(void)state;
	struct bench bench;
	assert_int_equal(answer_to(200, "{\"Attributes\":{}}", &bench), AWSFLOCK_OK);
	assert_true(json_object_object_get_ex(bench.result.reply, "Attributes", NULL));
	assert_false(bench.result.condition_failed);
	assert_false(bench.result.attempt_unknown);
	assert_true(bench.result.maybe_applied);
	assert_int_equal(bench.result.first_sent_boot_ns, FAKE_BOOT_START_NS);
	assert_int_equal(bench.result.received_boot_ns, FAKE_BOOT_START_NS + FAKE_LATENCY_NS);
	assert_true(bench.result.has_date);
	assert_int_equal(bench.result.date_seconds, FAKE_EPOCH_START_S);
	assert_true(bench.time.known);
	bench_clear(&bench);
}

static void the_request_carries_what_dynamodb_wants(void **state)
{
	(void)state;
	struct bench bench;
	answer_to(200, "{}", &bench);
	const struct fake_request *request = &bench.http.requests[0];
	assert_string_equal(request->target, "DynamoDB_20120810.UpdateItem");
	assert_string_equal(request->host, "dynamodb.us-east-1.amazonaws.com");
	assert_string_equal(request->token, TOKEN);
	assert_string_equal(request->body, "{\"TableName\":\"awsflock\"}");
	assert_string_equal(request->date, "20260921T141320Z"); /* FAKE_EPOCH_START_S */
	assert_non_null(strstr(request->authorization,
			       "Credential=AKIDEXAMPLE/20260921/us-east-1/dynamodb/aws4_request, "
			       "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, "));
	assert_int_equal(request->reply_limit, 1024 * 1024);
	assert_int_equal(request->total_timeout_ms, 10000);
	assert_int_equal(request->connect_timeout_ms, 5000);
	bench_clear(&bench);
}

static void a_failed_condition_is_an_answer_with_its_item(void **state)
{
	(void)state;
	static const char *const bodies[] = {
		"{\"__type\":\"" TYPE "ConditionalCheckFailedException\",\"message\":\"no\",\"Item\":{}}",
		"{\"__type\":\"ConditionalCheckFailedException\",\"Message\":\"no\",\"Item\":{}}"
	};
	for (size_t i = 0; i < 2; i++) {
		struct bench bench;
		assert_int_equal(answer_to(400, bodies[i], &bench), AWSFLOCK_OK);
		assert_true(bench.result.condition_failed);
		assert_false(bench.result.maybe_applied);
		assert_true(json_object_object_get_ex(bench.result.reply, "Item", NULL));
		bench_clear(&bench);
	}
}

static void a_200_that_is_no_json_object_may_have_been_applied_and_is_an_error(void **state)
{
	(void)state;
	static const char *const bodies[] = { "",
					      "<html><body>Please log in</body></html>",
					      "[]",
					      "\"text\"",
					      "null",
					      "{\"Attributes\":",
					      "{} {}",
					      "{}x",
					      "{\"a\":\"\xff\"}",
					      "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}" };
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct bench bench;
		assert_int_equal(answer_to(200, bodies[i], &bench), AWSFLOCK_PROTOCOL);
		assert_true(bench.result.maybe_applied);
		assert_null(bench.result.reply);
		assert_non_null(strstr(bench.error.message, "is not DynamoDB"));
		bench_clear(&bench);
	}
}

static void only_where_it_may_be_empty_an_empty_200_is_an_answer(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		bool may_be_empty;
		awsflock_code code;
	} rows[] = { { "", true, AWSFLOCK_OK },
		     { "", false, AWSFLOCK_PROTOCOL },
		     { "x", true, AWSFLOCK_PROTOCOL },
		     { "{}", true, AWSFLOCK_OK } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		bench_init(&bench);
		bench.call.may_be_empty = rows[i].may_be_empty;
		fake_http_plan(&bench.http, 200, rows[i].body);
		assert_int_equal(make_call(&bench), rows[i].code);
		if (rows[i].code == AWSFLOCK_OK)
			assert_int_equal(json_object_object_length(bench.result.reply), 0);
		bench_clear(&bench);
	}
}

static void refusals_are_told_apart_and_not_repeated(void **state)
{
	(void)state;
	static const struct {
		const char *type;
		awsflock_code code;
		const char *sentence;
	} rows[] = {
		{ "AccessDeniedException", AWSFLOCK_ACCESS,
		  "(AccessDeniedException: because): the policy of these credentials must allow "
		  "dynamodb:UpdateItem" },
		{ "ResourceNotFoundException", AWSFLOCK_NO_TABLE,
		  "table 'awsflock' does not exist in us-east-1: create it with awsflock create-table" },
		{ "ResourceInUseException", AWSFLOCK_BAD_TABLE, "is being changed" },
		{ "ValidationException", AWSFLOCK_PROTOCOL, "ValidationException: because" },
		{ "UnknownOperationException", AWSFLOCK_PROTOCOL, "UnknownOperationException" },
		{ "RequestTimeTooSkewed", AWSFLOCK_CLOCK_SKEW, "set the clock right" },
		{ "RequestExpired", AWSFLOCK_CLOCK_SKEW, "set the clock right" },
		{ "RequestInTheFuture", AWSFLOCK_CLOCK_SKEW, "set the clock right" },
		{ "SignatureDoesNotMatch", AWSFLOCK_ACCESS, "secret access key from the credentials file" },
		{ "InvalidSignatureException", AWSFLOCK_ACCESS, "secret access key from the credentials file" },
		{ "TransactionConflictException", AWSFLOCK_PROTOCOL, "TransactionConflictException" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		char body[256];
		snprintf(body, sizeof(body), "{\"__type\":\"" TYPE "%s\",\"message\":\"because\"}", rows[i].type);
		assert_int_equal(answer_to(400, body, &bench), rows[i].code);
		if (strstr(bench.error.message, rows[i].sentence) == NULL)
			print_error("%s\n", bench.error.message);
		assert_non_null(strstr(bench.error.message, rows[i].sentence));
		assert_int_equal(bench.error.http_status, 400);
		assert_false(bench.result.maybe_applied);
		assert_int_equal(bench.result.not_found, rows[i].code == AWSFLOCK_NO_TABLE);
		assert_int_equal(bench.result.in_use, strcmp(rows[i].type, "ResourceInUseException") == 0);
		bench_clear(&bench);
	}
}

static void a_key_that_does_not_fit_names_the_table_as_the_fault(void **state)
{
	(void)state;
	struct bench bench;
	assert_int_equal(answer_to(400,
				   "{\"__type\":\"ValidationException\",\"message\":"
				   "\"The provided key element does not match the schema\"}",
				   &bench),
			 AWSFLOCK_BAD_TABLE);
	assert_non_null(strstr(bench.error.message, "another key than lock_id"));
	bench_clear(&bench);
}

static void throttling_is_retried_and_then_reported_as_such(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	for (int i = 0; i < 4; i++)
		fake_http_plan(&bench.http, 400,
			       "{\"__type\":\"ProvisionedThroughputExceededException\",\"message\":\"slow\"}");
	assert_int_equal(make_call(&bench), AWSFLOCK_THROTTLED);
	assert_int_equal(bench.http.request_count, 4);
	assert_false(bench.result.maybe_applied); /* a throttled request was certainly not carried out */
	bench_clear(&bench);
}

static void every_attempt_is_the_same_request(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 503, "busy");
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.http.request_count, 2);
	assert_string_equal(bench.http.requests[0].body, bench.http.requests[1].body);
	assert_string_equal(bench.error.message, "");
	bench_clear(&bench);
}

static void a_server_failure_leaves_the_attempt_unknown(void **state)
{
	(void)state;
	static const long statuses[] = { 500, 502, 503, 504 };
	for (size_t i = 0; i < 4; i++) {
		struct bench bench;
		bench_init(&bench);
		fake_http_plan(&bench.http, statuses[i], "{\"__type\":\"InternalServerError\"}");
		fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
		assert_int_equal(make_call(&bench), AWSFLOCK_OK);
		assert_true(bench.result.condition_failed);
		assert_true(bench.result.attempt_unknown);
		assert_int_equal(bench.result.first_sent_boot_ns, FAKE_BOOT_START_NS);
		assert_true(bench.result.received_boot_ns > FAKE_BOOT_START_NS + FAKE_LATENCY_NS);
		bench_clear(&bench);
	}
}

static void lost_replies_are_retried_and_may_have_been_applied(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	for (int i = 0; i < 4; i++)
		fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_UNKNOWN);
	assert_int_equal(make_call(&bench), AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.http.request_count, 4);
	assert_true(bench.result.maybe_applied);
	assert_false(bench.result.has_date);
	bench_clear(&bench);
}

static void a_request_that_never_left_is_certainly_not_applied(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	for (int i = 0; i < 4; i++)
		fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_NOT_SENT);
	assert_int_equal(make_call(&bench), AWSFLOCK_UNREACHABLE);
	assert_false(bench.result.maybe_applied);
	assert_false(bench.result.attempt_unknown);
	bench_clear(&bench);
}

static void keep_lines(void *arg, awsflock_log_level level, const char *line)
{
	char *text = arg;
	size_t size = strlen(text);
	assert_int_equal(level, AWSFLOCK_LOG_DEBUG);
	snprintf(text + size, 1024 - size, "%s\n", line);
}

static void the_log_has_a_line_for_each_attempt_and_how_it_ended(void **state)
{
	(void)state;
	struct bench bench;
	char text[1024] = "";
	bench_init(&bench);
	bench.runtime.runtime.log = keep_lines;
	bench.runtime.runtime.log_arg = text;
	fake_http_plan_failure(&bench.http, AWSFLOCK_UNREACHABLE, HTTP_NOT_SENT);
	fake_http_plan(&bench.http, 500, "{\"__type\":\"InternalServerError\"}");
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);
	assert_non_null(strstr(text, "UpdateItem: the fake fails as planned"));
	assert_non_null(strstr(text, "UpdateItem: HTTP 500 InternalServerError in "));
	assert_non_null(strstr(text, "UpdateItem: HTTP 200 in "));
	bench_clear(&bench);
}

static void who_wants_no_error_may_have_a_log_all_the_same(void **state)
{
	(void)state;
	struct bench bench;
	char text[1024] = "";
	bench_init(&bench);
	bench.runtime.runtime.log = keep_lines;
	bench.runtime.runtime.log_arg = text;
	fake_http_plan_failure(&bench.http, AWSFLOCK_TLS, HTTP_NOT_SENT);
	assert_int_equal(dynamodb_call(bench.client, &bench.call, &bench.time, &bench.result, NULL), AWSFLOCK_TLS);
	assert_null(strstr(text, "UpdateItem"));
	bench_clear(&bench);
}

static void a_certificate_that_is_not_accepted_is_not_tried_again(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan_failure(&bench.http, AWSFLOCK_TLS, HTTP_NOT_SENT);
	assert_int_equal(make_call(&bench), AWSFLOCK_TLS);
	assert_int_equal(bench.http.request_count, 1);
	bench_clear(&bench);
}

static void a_conclusive_answer_after_a_silent_resend_is_the_second_one(void **state)
{
	(void)state;
	static const char *const bodies[] = { "{}", "{\"__type\":\"ConditionalCheckFailedException\"}" };
	for (size_t i = 0; i < 4; i++) {
		struct bench bench;
		bench_init(&bench);
		struct fake_answer *answer = fake_http_plan(&bench.http, i % 2 == 0 ? 200 : 400, bodies[i % 2]);
		answer->reused = true;
		answer->resent = i >= 2;
		assert_int_equal(make_call(&bench), AWSFLOCK_OK);
		assert_int_equal(bench.result.attempt_unknown, i >= 2);
		bench_clear(&bench);
	}
}

static void a_refusal_after_a_silent_resend_may_hide_a_write(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	struct fake_answer *answer = fake_http_plan(&bench.http, 400, "{\"__type\":\"AccessDeniedException\"}");
	answer->reused = answer->resent = true;
	assert_int_equal(make_call(&bench), AWSFLOCK_ACCESS);
	assert_true(bench.result.maybe_applied);
	bench_clear(&bench);
}

static void a_body_with_another_checksum_is_asked_for_again(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, "{}")->crc32 = "2745614146"; /* of other text */
	fake_http_plan(&bench.http, 200, "{}")->crc32 = "2745614147"; /* zlib's of "{}" */
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);
	assert_int_equal(bench.http.request_count, 2);
	assert_true(bench.result.attempt_unknown);
	bench_clear(&bench);
}

static void a_reply_without_a_date_is_handed_out_as_such(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, "{}")->no_date = true;
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);
	assert_false(bench.result.has_date);
	assert_false(bench.time.known);
	bench_clear(&bench);
}

static void a_refused_time_is_learned_and_the_next_call_uses_it(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.runtime.real_offset_ns -= 3600 * NS_PER_S; /* an hour slow */
	fake_http_plan(
		&bench.http, 400,
		"{\"__type\":\"InvalidSignatureException\",\"message\":\"The request signature we calculated "
		"does not match\"}");
	assert_int_equal(make_call(&bench), AWSFLOCK_CLOCK_SKEW);
	assert_int_equal(bench.http.request_count, 1);
	assert_true(bench.time.known);
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);
	assert_string_equal(bench.http.requests[0].date, "20260921T131320Z");
	assert_string_equal(bench.http.requests[1].date, "20260921T141320Z");
	bench_clear(&bench);
}

static void an_expired_token_is_read_anew_once(void **state)
{
	(void)state;
	static const char *const types[] = { "ExpiredTokenException", "UnrecognizedClientException",
					     "InvalidClientTokenId" };
	for (size_t i = 0; i < 3; i++) {
		struct bench bench;
		char body[128];
		bench_init(&bench);
		snprintf(body, sizeof(body), "{\"__type\":\"" TYPE "%s\",\"message\":\"m\"}", types[i]);
		fake_http_plan(&bench.http, 400, body);
		fake_http_plan(&bench.http, 400, body);
		assert_int_equal(make_call(&bench), AWSFLOCK_CREDENTIALS);
		assert_int_equal(bench.http.request_count, 2);
		assert_non_null(strstr(bench.error.message, "the credentials file"));
		bench_clear(&bench);
	}
}

static void no_message_shows_what_was_signed(void **state)
{
	(void)state;
	static const char *const leaks[] = { "not a valid key=value pair in Authorization header: "
					     "'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE, Signature=0123'",
					     "The Canonical String was ... x-amz-security-token:" TOKEN,
					     "token " TOKEN, "secret " SECRET };
	static const char *const types[] = { "IncompleteSignatureException", "InvalidSignatureException",
					     "AccessDeniedException", "ValidationException" };
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++) {
			struct bench bench;
			char body[512];
			snprintf(body, sizeof(body), "{\"__type\":\"%s\",\"message\":\"%s\"}", types[j], leaks[i]);
			assert_int_not_equal(answer_to(400, body, &bench), AWSFLOCK_OK);
			assert_null(strstr(bench.error.message, TOKEN));
			assert_null(strstr(bench.error.message, SECRET));
			assert_null(strstr(bench.error.message, "Signature="));
			bench_clear(&bench);
		}
}

static void messages_cannot_steer_a_terminal(void **state)
{
	(void)state;
	struct bench bench;
	answer_to(400, "{\"__type\":\"AccessDeniedException\",\"message\":\"a\\u001b[2Jb\\nc\"}", &bench);
	assert_null(strchr(bench.error.message, '\033'));
	assert_null(strchr(bench.error.message, '\n'));
	bench_clear(&bench);
}

static void refusals_of_something_else_than_dynamodb_point_at_the_endpoint(void **state)
{
	(void)state;
	static const long statuses[] = { 301, 403, 404, 407 };
	for (size_t i = 0; i < 4; i++) {
		struct bench bench;
		assert_int_equal(answer_to(statuses[i], "<html>no</html>", &bench), AWSFLOCK_PROTOCOL);
		assert_non_null(strstr(bench.error.message, "is not DynamoDB"));
		assert_int_equal(bench.error.http_status, statuses[i]);
		bench_clear(&bench);
	}
}

static void no_attempt_goes_on_beyond_the_callers_end(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.call.give_up_boot_ns = bench.runtime.boot_ns + 1500 * NS_PER_MS;
	for (int i = 0; i < 4; i++)
		fake_http_plan(&bench.http, 400, "{\"__type\":\"ThrottlingException\"}");
	assert_int_equal(make_call(&bench), AWSFLOCK_THROTTLED);
	for (size_t i = 0; i < bench.http.request_count; i++) {
		assert_true(bench.http.requests[i].total_timeout_ms <= 1501);
		assert_true(bench.http.requests[i].connect_timeout_ms <= bench.http.requests[i].total_timeout_ms);
	}
	assert_true(bench.runtime.boot_ns < bench.call.give_up_boot_ns + FAKE_LATENCY_NS);
	bench_clear(&bench);
}

static void with_no_time_left_nothing_is_sent(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.call.give_up_boot_ns = bench.runtime.boot_ns;
	assert_int_equal(make_call(&bench), AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.http.request_count, 0);
	assert_false(bench.result.maybe_applied);
	bench_clear(&bench);
}

static void a_stop_ends_the_call_and_tells_whether_something_was_sent(void **state)
{
	(void)state;
	struct bench bench;
	bool stop = true;
	bench_init(&bench);
	bench.runtime.runtime.stop = told_to_stop;
	bench.runtime.runtime.stop_arg = &stop;
	assert_int_equal(make_call(&bench), AWSFLOCK_CANCELLED);
	assert_int_equal(bench.http.request_count, 0);
	assert_false(bench.result.maybe_applied);

	/* While giving back, a stop is not listened to. */
	bench.runtime.runtime.stop_ignored = true;
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(make_call(&bench), AWSFLOCK_OK);

	bench.runtime.runtime.stop_ignored = false;
	stop = false;
	fake_http_plan_failure(&bench.http, AWSFLOCK_CANCELLED, HTTP_UNKNOWN);
	assert_int_equal(make_call(&bench), AWSFLOCK_CANCELLED);
	assert_true(bench.result.maybe_applied);
	bench_clear(&bench);
}

static void without_credentials_nothing_is_sent(void **state)
{
	(void)state;
	struct fake_runtime runtime;
	struct fake_http http;
	fake_runtime_init(&runtime);
	fake_http_init(&http, &runtime);
	struct dynamodb_options options = { .runtime = &runtime.runtime,
					    .transport = &http.transport,
					    .profile = { .name = strdup("default") },
					    .ignore_environment = true,
					    .connect_timeout_ms = 1000,
					    .request_timeout_ms = 1000 };
	struct endpoint_options where = { .region = "us-east-1", .ignore_environment = true };
	struct dynamodb *client;
	struct server_time time;
	struct dynamodb_result result;
	awsflock_error error;
	struct dynamodb_call call = { .operation = "GetItem",
				      .request = json_object_new_object(),
				      .give_up_boot_ns = INT64_MAX,
				      .table = "awsflock" };

	assert_int_equal(endpoint_resolve(&where, &options.endpoint, &error), AWSFLOCK_OK);
	assert_int_equal(dynamodb_new(&options, &client, &error), AWSFLOCK_OK);
	server_time_init(&time);
	fake_http_plan_failure(&http, AWSFLOCK_UNREACHABLE, HTTP_NOT_SENT);
	assert_int_equal(dynamodb_call(client, &call, &time, &result, &error), AWSFLOCK_CREDENTIALS);
	assert_int_equal(http.request_count, 1);
	assert_string_equal(http.requests[0].url, "http://169.254.169.254/latest/api/token");
	json_object_put(call.request);
	dynamodb_free(&client);
	fake_http_clear(&http);
}

static awsflock_code new_client_with(const char *variable, const char *value, struct bench *bench,
				     struct dynamodb **out)
{
	struct dynamodb_options options = { .runtime = &bench->runtime.runtime,
					    .transport = &bench->http.transport,
					    .profile = { .name = strdup("default") },
					    .connect_timeout_ms = 1000,
					    .request_timeout_ms = 1000 };
	struct endpoint_options where = { .region = "us-east-1", .ignore_environment = true };
	memset(bench, 0, sizeof(*bench));
	fake_runtime_init(&bench->runtime);
	fake_http_init(&bench->http, &bench->runtime);
	assert_int_equal(endpoint_resolve(&where, &options.endpoint, &bench->error), AWSFLOCK_OK);
	setenv(variable, value, 1);
	awsflock_code code = dynamodb_new(&options, out, &bench->error);
	unsetenv(variable);
	return code;
}

static void each_retry_mode_of_aws_is_taken_and_no_other(void **state)
{
	(void)state;
	static const char *const good[] = { "standard", "adaptive", "legacy", "" };
	struct bench bench;
	struct dynamodb *client = NULL;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(new_client_with("AWS_RETRY_MODE", good[i], &bench, &client), AWSFLOCK_OK);
		dynamodb_free(&client);
	}
	assert_int_equal(new_client_with("AWS_RETRY_MODE", "never", &bench, &client), AWSFLOCK_CONFIG);
	assert_non_null(strstr(bench.error.message, "AWS_RETRY_MODE"));
}

static void the_number_of_attempts_can_be_set(void **state)
{
	(void)state;
	struct bench bench;
	struct dynamodb *client = NULL;
	static const char *const bad[] = { "0", "-1", "x", "3 ", "1e3", "99999999999" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(new_client_with("AWS_MAX_ATTEMPTS", bad[i], &bench, &client), AWSFLOCK_CONFIG);
		assert_int_equal(bench.http.freed, 1); /* taken over, also on failure */
	}
	assert_int_equal(new_client_with("AWS_MAX_ATTEMPTS", "2", &bench, &client), AWSFLOCK_OK);
	struct dynamodb_call call = { .operation = "GetItem",
				      .request = json_object_new_object(),
				      .give_up_boot_ns = INT64_MAX,
				      .table = "awsflock" };
	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "example", 1);
	for (int i = 0; i < 2; i++)
		fake_http_plan(&bench.http, 503, "");
	server_time_init(&bench.time);
	assert_int_equal(dynamodb_call(client, &call, &bench.time, &bench.result, &bench.error),
			 AWSFLOCK_UNREACHABLE);
	assert_int_equal(bench.http.request_count, 2);
	unsetenv("AWS_ACCESS_KEY_ID");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	json_object_put(call.request);
	dynamodb_free(&client);
	fake_http_clear(&bench.http);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_handed_out_with_its_times),
		cmocka_unit_test(the_request_carries_what_dynamodb_wants),
		cmocka_unit_test(a_failed_condition_is_an_answer_with_its_item),
		cmocka_unit_test(a_200_that_is_no_json_object_may_have_been_applied_and_is_an_error),
		cmocka_unit_test(only_where_it_may_be_empty_an_empty_200_is_an_answer),
		cmocka_unit_test(refusals_are_told_apart_and_not_repeated),
		cmocka_unit_test(a_key_that_does_not_fit_names_the_table_as_the_fault),
		cmocka_unit_test(throttling_is_retried_and_then_reported_as_such),
		cmocka_unit_test(every_attempt_is_the_same_request),
		cmocka_unit_test(a_server_failure_leaves_the_attempt_unknown),
		cmocka_unit_test(lost_replies_are_retried_and_may_have_been_applied),
		cmocka_unit_test(a_request_that_never_left_is_certainly_not_applied),
		cmocka_unit_test(the_log_has_a_line_for_each_attempt_and_how_it_ended),
		cmocka_unit_test(who_wants_no_error_may_have_a_log_all_the_same),
		cmocka_unit_test(a_certificate_that_is_not_accepted_is_not_tried_again),
		cmocka_unit_test(a_conclusive_answer_after_a_silent_resend_is_the_second_one),
		cmocka_unit_test(a_refusal_after_a_silent_resend_may_hide_a_write),
		cmocka_unit_test(a_body_with_another_checksum_is_asked_for_again),
		cmocka_unit_test(a_reply_without_a_date_is_handed_out_as_such),
		cmocka_unit_test(a_refused_time_is_learned_and_the_next_call_uses_it),
		cmocka_unit_test(an_expired_token_is_read_anew_once),
		cmocka_unit_test(no_message_shows_what_was_signed),
		cmocka_unit_test(messages_cannot_steer_a_terminal),
		cmocka_unit_test(refusals_of_something_else_than_dynamodb_point_at_the_endpoint),
		cmocka_unit_test(no_attempt_goes_on_beyond_the_callers_end),
		cmocka_unit_test(with_no_time_left_nothing_is_sent),
		cmocka_unit_test(a_stop_ends_the_call_and_tells_whether_something_was_sent),
		cmocka_unit_test(without_credentials_nothing_is_sent),
		cmocka_unit_test(each_retry_mode_of_aws_is_taken_and_no_other),
		cmocka_unit_test(the_number_of_attempts_can_be_set),
	};
	return cmocka_run_group_tests_name("dynamodb", tests, NULL, NULL);
}
