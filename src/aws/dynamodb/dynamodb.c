/* DynamoDB's JSON protocol: sign, send, try again.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb/dynamodb.h"

#include <stdlib.h>
#include <string.h>

#include "aws/dynamodb/reply.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/text.h"

#define TARGET_PREFIX "DynamoDB_20120810."
#define REPLY_LIMIT_DEFAULT ((size_t)1024 * 1024)
#define ATTEMPTS_MAX 100
/* What looking ahead may take at the most, while a lease is to be renewed. */
#define FORESEE_NS (2 * NS_PER_S)

struct dynamodb {
	struct runtime *runtime;
	struct http_transport *transport;
	struct profile profile;
	struct endpoint endpoint;
	bool profile_given, ignore_environment, allow_plain_http;
	awsflock_mfa_fn *ask_mfa;
	void *ask_mfa_arg;
	int64_t connect_timeout_ms, request_timeout_ms;
	struct credentials_supply supply;
	struct retry retry;
};

/* ---- One attempt -------------------------------------------------------------------------------------------- */

static struct credentials_context context_for(struct dynamodb *client, int64_t give_up_boot_ns)
{
	return (struct credentials_context){ .runtime = client->runtime,
					     .transport = client->transport,
					     .profile = &client->profile,
					     .region = client->endpoint.region,
					     .profile_given = client->profile_given,
					     .ignore_environment = client->ignore_environment,
					     .allow_plain_http = client->allow_plain_http,
					     .give_up_boot_ns = give_up_boot_ns,
					     .connect_timeout_ms = client->connect_timeout_ms,
					     .request_timeout_ms = client->request_timeout_ms,
					     .ask_mfa = client->ask_mfa,
					     .ask_mfa_arg = client->ask_mfa_arg };
}

static awsflock_code have_credentials(struct dynamodb *client, const struct server_time *time,
				      int64_t give_up_boot_ns, awsflock_error *error)
{
	struct credentials_context context = context_for(client, give_up_boot_ns);

	return credentials_supply_have(&client->supply, &context, time, error);
}

static awsflock_code sign(struct dynamodb_attempt *attempt, const char *target, char date[SIGV4_DATE_SIZE],
			  struct buf *authorization, awsflock_error *error)
{
	struct dynamodb *client = attempt->client;
	const struct http_header headers[] = { { "Host", client->endpoint.host },
					       { "Content-Type", "application/x-amz-json-1.0" },
					       { "X-Amz-Target", target } };
	const struct sigv4_request request = { .method = "POST",
					       .path = client->endpoint.path,
					       .query = "",
					       .region = client->endpoint.region,
					       .service = "dynamodb",
					       .time_seconds = attempt->signed_seconds,
					       .headers = headers,
					       .header_count = sizeof(headers) / sizeof(headers[0]),
					       .body = attempt->body,
					       .body_size = strlen(attempt->body) };
	const struct sigv4_keys keys = { .access_key_id = client->supply.credentials.access_key_id,
					 .secret_access_key = client->supply.credentials.secret_access_key,
					 .session_token = client->supply.credentials.session_token };

	return sigv4_sign(&request, &keys, date, authorization, error);
}

static awsflock_code post(struct dynamodb_attempt *attempt, const char *target, const char *date,
			  const char *authorization, int64_t timeout_ms, awsflock_error *error)
{
	struct dynamodb *client = attempt->client;
	const char *token = client->supply.credentials.session_token;
	const struct http_header headers[] = {
		{ "Host", client->endpoint.host },  { "Content-Type", "application/x-amz-json-1.0" },
		{ "X-Amz-Target", target },         { "X-Amz-Date", date },
		{ "Authorization", authorization }, { "X-Amz-Security-Token", token }
	};
	size_t count = sizeof(headers) / sizeof(headers[0]) - (!token ? 1 : 0);
	size_t limit = attempt->call->reply_limit;
	const struct http_request request = { .method = "POST",
					      .url = client->endpoint.url,
					      .headers = headers,
					      .header_count = count,
					      .body = attempt->body,
					      .body_size = strlen(attempt->body),
					      .connect_timeout_ms = client->connect_timeout_ms < timeout_ms
									    ? client->connect_timeout_ms
									    : timeout_ms,
					      .total_timeout_ms = timeout_ms,
					      .reply_limit = limit != 0 ? limit : REPLY_LIMIT_DEFAULT };

	return client->transport->send(client->transport, &request, &attempt->http, error);
}

static awsflock_code sign_and_post(struct dynamodb_attempt *attempt, int64_t timeout_ms, awsflock_error *error)
{
	struct runtime *runtime = attempt->client->runtime;
	char date[SIGV4_DATE_SIZE];
	struct buf authorization = BUF_INIT, target = BUF_INIT;
	awsflock_code code = AWSFLOCK_MEMORY;

	attempt->signed_seconds =
		server_time_guess_ms(attempt->time, runtime_boot_ns(runtime), runtime_real_ns(runtime)) / MS_PER_S;
	if (buf_printf(&target, TARGET_PREFIX "%s", attempt->call->operation))
		code = sign(attempt, buf_text(&target), date, &authorization, error);
	else
		error_out_of_memory(error);
	if (code == AWSFLOCK_OK)
		code = post(attempt, buf_text(&target), date, buf_text(&authorization), timeout_ms, error);
	buf_free(&authorization);
	buf_free(&target);
	return code;
}

static awsflock_code try_request_once(struct dynamodb_attempt *attempt, awsflock_error *error)
{
	struct dynamodb *client = attempt->client;
	int64_t timeout_ms;
	awsflock_code code = have_credentials(client, attempt->time, attempt->call->give_up_boot_ns, error);

	attempt->cause = RETRY_NOT;
	if (code != AWSFLOCK_OK)
		return code;
	timeout_ms = retry_attempt_ms(&client->retry, client->runtime, client->request_timeout_ms,
				      attempt->call->give_up_boot_ns);
	if (timeout_ms <= 0)
		return error_set(error, AWSFLOCK_UNREACHABLE, "no time was left to ask %s", client->endpoint.url);
	code = sign_and_post(attempt, timeout_ms, error);
	if (attempt->http.fate == HTTP_ANSWERED && attempt->http.has_date)
		server_time_observe(attempt->time, attempt->http.date_seconds, attempt->http.sent_boot_ns,
				    attempt->http.received_boot_ns);
	if (code == AWSFLOCK_OK)
		return dynamodb_judge(attempt, error);
	dynamodb_judge_no_reply(attempt, code);
	return code;
}

static void attempt_clear(struct dynamodb_attempt *attempt)
{
	json_object_put(attempt->reply);
	buf_free(&attempt->http.body);
}

/* ---- The call ----------------------------------------------------------------------------------------------- */

static void log_attempt(const struct dynamodb_attempt *attempt, awsflock_code code, const awsflock_error *error)
{
	const struct http_reply *http = &attempt->http;
	long long took_ms = (http->received_boot_ns - http->sent_boot_ns) / NS_PER_MS;

	if (http->fate == HTTP_ANSWERED)
		runtime_log(attempt->client->runtime, AWSFLOCK_LOG_DEBUG,
			    "%s: HTTP %ld%s%s in %lld ms%s (request %s)", attempt->call->operation, http->status,
			    attempt->error_type[0] != '\0' ? " " : "", attempt->error_type, took_ms,
			    http->reused_connection ? ", kept connection" : "",
			    http->request_id[0] != '\0' ? http->request_id : "unnamed");
	else if (code != AWSFLOCK_OK && error)
		runtime_log(attempt->client->runtime, AWSFLOCK_LOG_DEBUG, "%s: %s", attempt->call->operation,
			    error->message);
}

static void take_times(const struct dynamodb_attempt *attempt, struct dynamodb_result *result)
{
	const struct http_reply *http = &attempt->http;

	if (result->first_sent_boot_ns == 0)
		result->first_sent_boot_ns = http->sent_boot_ns;
	result->received_boot_ns = http->received_boot_ns;
	result->has_date = http->fate == HTTP_ANSWERED && http->has_date;
	result->date_seconds = result->has_date ? http->date_seconds : 0;
}

/* What the caller learns of the attempt that was the last. */
static void take_result(struct dynamodb_attempt *attempt, awsflock_code code, struct dynamodb_result *result)
{
	result->in_use = dynamodb_attempt_is(attempt, "ResourceInUseException");
	result->not_found = dynamodb_attempt_is(attempt, "ResourceNotFoundException");
	result->unsupported = dynamodb_attempt_is(attempt, "UnknownOperationException") ||
			      dynamodb_attempt_is(attempt, "ValidationException");
	if (code != AWSFLOCK_OK)
		return;
	result->condition_failed = dynamodb_attempt_is(attempt, "ConditionalCheckFailedException");
	result->maybe_applied = result->maybe_applied || !result->condition_failed;
	result->reply = attempt->reply;
	attempt->reply = NULL;
}

/* Whether to go on after a failure; *REREAD tells whether the credentials were read anew before. */
static bool goes_on(const struct dynamodb_attempt *attempt, bool *reread)
{
	struct dynamodb *client = attempt->client;

	if (attempt->cause == RETRY_CREDENTIALS) {
		if (*reread)
			return false;
		*reread = true;
		credentials_supply_refused(&client->supply, client->runtime, &client->profile);
	}
	return retry_again(&client->retry, client->runtime, attempt->cause, attempt->call->give_up_boot_ns);
}

static awsflock_code call_with_retries(struct dynamodb *client, const struct dynamodb_call *call, const char *body,
				       struct server_time *time, struct dynamodb_result *result,
				       awsflock_error *error)
{
	bool reread = false, again = true;
	awsflock_code code = AWSFLOCK_OK;

	retry_begin(&client->retry);
	while (again) {
		struct dynamodb_attempt attempt = { .client = client,
						    .call = call,
						    .endpoint = &client->endpoint,
						    .credentials = &client->supply.credentials,
						    .body = body,
						    .time = time,
						    .http = { .fate = HTTP_NOT_SENT } };

		code = try_request_once(&attempt, error);
		log_attempt(&attempt, code, error);
		take_times(&attempt, result);
		result->sent = result->sent || attempt.http.fate != HTTP_NOT_SENT;
		result->attempt_unknown = result->attempt_unknown || attempt.unknown;
		result->maybe_applied = result->maybe_applied || attempt.unknown;
		again = code != AWSFLOCK_OK && goes_on(&attempt, &reread);
		if (!again)
			take_result(&attempt, code, result);
		attempt_clear(&attempt);
	}
	if (code == AWSFLOCK_OK)
		retry_succeeded(&client->retry);
	else if (runtime_stop_requested(client->runtime) && (code != AWSFLOCK_CANCELLED || result->sent))
		code = error_set(error, AWSFLOCK_CANCELLED, "cancelled during %s", call->operation);
	return code;
}

awsflock_code dynamodb_call(struct dynamodb *client, const struct dynamodb_call *call, struct server_time *time,
			    struct dynamodb_result *result, awsflock_error *error)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *body = json_object_to_json_string_ext(call->request, flags);
	awsflock_code code;

	*result = (struct dynamodb_result){ 0 };
	if (!body)
		return error_out_of_memory(error);
	if (runtime_stop_requested(client->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled before %s", call->operation);
	code = call_with_retries(client, call, body, time, result, error);
	if (code == AWSFLOCK_OK)
		error_clear(error);
	return code;
}

void dynamodb_result_clear(struct dynamodb_result *result)
{
	json_object_put(result->reply);
	result->reply = NULL;
}

/* ---- The client --------------------------------------------------------------------------------------------- */

static awsflock_code configure_attempts(struct dynamodb *client, awsflock_error *error)
{
	const char *text = client->ignore_environment ? NULL : secure_getenv("AWS_MAX_ATTEMPTS");
	int64_t attempts;

	if (!text || text[0] == '\0')
		text = profile_config_get(&client->profile, "max_attempts");
	if (!text || text[0] == '\0')
		return AWSFLOCK_OK;
	if (!text_parse_int64(text, 1, INT32_MAX, &attempts))
		return error_set(
			error, AWSFLOCK_CONFIG,
			"AWS_MAX_ATTEMPTS (or max_attempts of the profile) must be a number from 1 up, not '%s'",
			text);
	/* The quota ends the retries long before so many. */
	client->retry.max_attempts = attempts < ATTEMPTS_MAX ? (int)attempts : ATTEMPTS_MAX;
	return AWSFLOCK_OK;
}

/* Every mode that AWS's tools know is taken, and means the standard one here: the legacy one lacks the quota, and
 * the adaptive one slows many parallel requests of one process down, of which there is one here. */
static awsflock_code check_retry_mode(const struct dynamodb *client, awsflock_error *error)
{
	const char *text = client->ignore_environment ? NULL : secure_getenv("AWS_RETRY_MODE");

	if (!text || text[0] == '\0')
		text = profile_config_get(&client->profile, "retry_mode");
	if (!text || text[0] == '\0' || strcmp(text, "standard") == 0 || strcmp(text, "legacy") == 0 ||
	    strcmp(text, "adaptive") == 0)
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_CONFIG,
		"AWS_RETRY_MODE (or retry_mode of the profile) must be standard, adaptive or legacy, not '%s'",
		text);
}

static void give_up_options(const struct dynamodb_options *options)
{
	struct profile profile = options->profile;
	struct endpoint endpoint = options->endpoint;

	options->transport->free(options->transport);
	profile_clear(&profile);
	endpoint_clear(&endpoint);
}

awsflock_code dynamodb_new(const struct dynamodb_options *options, struct dynamodb **out, awsflock_error *error)
{
	struct dynamodb *client = calloc(1, sizeof(*client));
	awsflock_code code;

	if (!client) {
		give_up_options(options);
		return error_out_of_memory(error);
	}
	client->runtime = options->runtime;
	client->transport = options->transport;
	client->profile = options->profile;
	client->endpoint = options->endpoint;
	client->profile_given = options->profile_given;
	client->ignore_environment = options->ignore_environment;
	client->allow_plain_http = options->allow_plain_http;
	client->ask_mfa = options->ask_mfa;
	client->ask_mfa_arg = options->ask_mfa_arg;
	client->connect_timeout_ms = options->connect_timeout_ms;
	client->request_timeout_ms = options->request_timeout_ms;
	retry_init(&client->retry);
	code = configure_attempts(client, error);
	if (code == AWSFLOCK_OK)
		code = check_retry_mode(client, error);
	if (code != AWSFLOCK_OK) {
		dynamodb_free(&client);
		return code;
	}
	*out = client;
	return AWSFLOCK_OK;
}

void dynamodb_free(struct dynamodb **client)
{
	if (!client || !*client)
		return;
	(*client)->transport->free((*client)->transport);
	profile_clear(&(*client)->profile);
	endpoint_clear(&(*client)->endpoint);
	credentials_supply_clear(&(*client)->supply);
	free(*client);
	*client = NULL;
}

const struct endpoint *dynamodb_endpoint(const struct dynamodb *client)
{
	return &client->endpoint;
}

awsflock_code dynamodb_credentials(struct dynamodb *client, const struct server_time *time,
				   const struct credentials **out, awsflock_error *error)
{
	awsflock_code code = have_credentials(client, time, INT64_MAX, error);

	if (code == AWSFLOCK_OK)
		*out = &client->supply.credentials;
	return code;
}

void dynamodb_foresee(struct dynamodb *client, const struct server_time *time, int64_t seconds)
{
	int64_t give_up_ns = runtime_boot_ns(client->runtime) + FORESEE_NS;
	struct credentials_context context = context_for(client, give_up_ns);

	credentials_supply_foresee(&client->supply, &context, time, seconds);
}
