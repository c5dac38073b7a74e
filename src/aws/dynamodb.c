/* DynamoDB's JSON protocol: sign, send, judge, try again.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb.h"

#include <stdlib.h>
#include <string.h>

#include "aws/sigv4.h"
#include "base/error.h"
#include "base/text.h"

#define TARGET_PREFIX "DynamoDB_20120810."
#define REPLY_LIMIT_DEFAULT ((size_t)1024 * 1024)
#define JSON_DEPTH 16
#define ERROR_TYPE_SIZE 64
#define MESSAGE_SIZE 320
#define ATTEMPTS_MAX 100

/* DynamoDB refuses requests dated more than five minutes away; botocore, too, takes four for its sign of skew. */
#define SKEW_SECONDS 240

struct dynamodb {
	struct runtime *runtime;
	struct http_transport *transport;
	struct profile profile;
	struct endpoint endpoint;
	bool profile_given, ignore_environment, allow_plain_http;
	int64_t connect_timeout_ms, request_timeout_ms;
	struct credentials_supply supply;
	struct retry retry;
};

/* One request and what is known of its reply. */
struct attempt {
	struct dynamodb *client;
	const struct dynamodb_call *call;
	const char *body;
	struct server_time *time;
	int64_t signed_seconds; /* what X-Amz-Date said */
	struct http_reply http;
	struct json_object *reply;        /* NULL: not a JSON object */
	char error_type[ERROR_TYPE_SIZE]; /* "" where the reply names none */
	char message[MESSAGE_SIZE];       /* the server's, sanitised */
	enum retry_cause cause;
	bool unknown; /* it may have been carried out unseen */
};

/* ---- What errors mean --------------------------------------------------------------------------------------- */

static const struct error_class {
	const char *type;
	enum retry_cause cause;
	awsflock_code code;
} error_classes[] = {
	{ "ThrottlingException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "Throttling", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "ThrottledException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "RequestThrottledException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "RequestThrottled", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "TooManyRequestsException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "ProvisionedThroughputExceededException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "RequestLimitExceeded", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "LimitExceededException", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "BandwidthLimitExceeded", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "SlowDown", RETRY_THROTTLED, AWSFLOCK_THROTTLED },
	{ "InternalServerError", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	{ "InternalFailure", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	{ "ServiceUnavailable", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	{ "RequestTimeout", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	{ "RequestTimeoutException", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	/* Strongly consistent global tables refuse one of two simultaneous writes. */
	{ "ReplicatedWriteConflictException", RETRY_TRANSIENT, AWSFLOCK_UNREACHABLE },
	{ "RequestTimeTooSkewed", RETRY_CLOCK_SKEW, AWSFLOCK_CLOCK_SKEW },
	{ "RequestExpired", RETRY_CLOCK_SKEW, AWSFLOCK_CLOCK_SKEW },
	{ "RequestInTheFuture", RETRY_CLOCK_SKEW, AWSFLOCK_CLOCK_SKEW },
	/* Skew or a wrong secret: see is_skew(). */
	{ "InvalidSignatureException", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "SignatureDoesNotMatch", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "ExpiredTokenException", RETRY_CREDENTIALS, AWSFLOCK_CREDENTIALS },
	{ "ExpiredToken", RETRY_CREDENTIALS, AWSFLOCK_CREDENTIALS },
	{ "UnrecognizedClientException", RETRY_CREDENTIALS, AWSFLOCK_CREDENTIALS },
	{ "InvalidClientTokenId", RETRY_CREDENTIALS, AWSFLOCK_CREDENTIALS },
	{ "AccessDeniedException", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "AccessDenied", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "MissingAuthenticationToken", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "MissingAuthenticationTokenException", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "IncompleteSignature", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "IncompleteSignatureException", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "OptInRequired", RETRY_NOT, AWSFLOCK_ACCESS },
	{ "ResourceNotFoundException", RETRY_NOT, AWSFLOCK_NO_TABLE },
	{ "ResourceInUseException", RETRY_NOT, AWSFLOCK_BAD_TABLE },
};

static bool is_type(const struct attempt *attempt, const char *type)
{
	return strcmp(attempt->error_type, type) == 0;
}

static bool is_skew(const struct attempt *attempt)
{
	int64_t away = attempt->http.date_seconds - attempt->signed_seconds;

	if (!is_type(attempt, "InvalidSignatureException") && !is_type(attempt, "SignatureDoesNotMatch"))
		return false;
	if (strstr(attempt->message, "Signature expired") != NULL ||
	    strstr(attempt->message, "Signature not yet current") != NULL)
		return true;
	return attempt->http.has_date && (away > SKEW_SECONDS || away < -SKEW_SECONDS);
}

/* ValidationException says of a table with another key that the key given does not fit. */
static bool is_key_mismatch(const struct attempt *attempt)
{
	static const char *const signs[] = { "does not match the schema", "Missing the key",
					     "Type mismatch for key", "number of conditions on the keys",
					     "required keys was not given" };

	if (!is_type(attempt, "ValidationException"))
		return false;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strstr(attempt->message, signs[i]) != NULL)
			return true;
	}
	return false;
}

static bool is_server_failure(long status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

static struct error_class classify(const struct attempt *attempt)
{
	struct error_class class = { attempt->error_type, RETRY_NOT, AWSFLOCK_PROTOCOL };

	if (is_skew(attempt))
		return (struct error_class){ class.type, RETRY_CLOCK_SKEW, AWSFLOCK_CLOCK_SKEW };
	if (is_key_mismatch(attempt))
		return (struct error_class){ class.type, RETRY_NOT, AWSFLOCK_BAD_TABLE };
	for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++) {
		if (is_type(attempt, error_classes[i].type))
			return error_classes[i];
	}
	if (is_server_failure(attempt->http.status)) {
		class.cause = RETRY_TRANSIENT;
		class.code = AWSFLOCK_UNREACHABLE;
	} else if (attempt->http.status == 429) {
		class.cause = RETRY_THROTTLED;
		class.code = AWSFLOCK_THROTTLED;
	}
	return class;
}

/* ---- Reading a reply ---------------------------------------------------------------------------------------- */

/* CRC-32 as in IEEE 802.3 and zlib; bit by bit, for replies are small. */
static uint32_t crc32_of(const char *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= (unsigned char)bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (UINT32_C(0xEDB88320) & (0 - (crc & 1)));
	}
	return ~crc;
}

static bool crc_matches(const struct http_reply *http)
{
	int64_t told;

	if (http->crc32[0] == '\0')
		return true;
	return text_parse_int64(http->crc32, 0, UINT32_MAX, &told) &&
	       (uint32_t)told == crc32_of(buf_text(&http->body), http->body.size);
}

/* Memory ran out.  Older versions of json-c say "success" then, and stand still before the end. */
static bool lacks_memory(struct json_tokener *tokener, const struct buf *body)
{
	enum json_tokener_error error = json_tokener_get_error(tokener);

#if JSON_C_VERSION_NUM >= ((0 << 16) | (17 << 8))
	if (error == json_tokener_error_memory)
		return true;
#endif
	return error == json_tokener_success && json_tokener_get_parse_end(tokener) != body->size;
}

/* The whole body as one JSON object into *OUT, NULL where it is none.  False: memory ran out. */
static bool parse_object(const struct buf *body, struct json_object **out)
{
	struct json_tokener *tokener;
	struct json_object *object;
	bool lacks;

	*out = NULL;
	if (body->size == 0 || body->size > INT32_MAX || memchr(body->data, '\0', body->size) != NULL)
		return true;
	tokener = json_tokener_new_ex(JSON_DEPTH);
	if (tokener == NULL)
		return false;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, body->data, (int)body->size);
	lacks = lacks_memory(tokener, body);
	if (!lacks && json_tokener_get_error(tokener) == json_tokener_success &&
	    json_object_is_type(object, json_type_object))
		*out = object;
	else
		json_object_put(object);
	json_tokener_free(tokener);
	return !lacks;
}

static const char *string_member(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, json_type_string))
		return NULL;
	return json_object_get_string(member);
}

/* Some refusals repeat what was signed: the Authorization header, the session token.  Such a message is dropped. */
static bool repeats_secrets(const struct credentials *credentials, const char *message)
{
	if (strcasestr(message, "AWS4-HMAC") != NULL || strcasestr(message, "x-amz-security-token") != NULL)
		return true;
	if (credentials->session_token != NULL && strstr(message, credentials->session_token) != NULL)
		return true;
	return credentials->secret_access_key != NULL && strstr(message, credentials->secret_access_key) != NULL;
}

static void read_error(struct attempt *attempt)
{
	const char *type = attempt->reply != NULL ? string_member(attempt->reply, "__type") : NULL;
	const char *message = attempt->reply != NULL ? string_member(attempt->reply, "message") : NULL;
	const char *hash = type != NULL ? strrchr(type, '#') : NULL;

	if (attempt->reply != NULL && message == NULL)
		message = string_member(attempt->reply, "Message");
	if (hash != NULL)
		type = hash + 1;
	if (type != NULL && strlen(type) < ERROR_TYPE_SIZE)
		text_sanitise(type, attempt->error_type, ERROR_TYPE_SIZE);
	if (message != NULL && repeats_secrets(&attempt->client->supply.credentials, message))
		message = "its message is not shown, for it repeats what was signed";
	text_sanitise(message != NULL ? message : "no reason given", attempt->message, MESSAGE_SIZE);
}

/* ---- Sentences ---------------------------------------------------------------------------------------------- */

static awsflock_code explain_no_table(const struct attempt *attempt, awsflock_error *error)
{
	const struct endpoint *endpoint = &attempt->client->endpoint;

	return error_set(error, AWSFLOCK_NO_TABLE,
			 "table '%s' does not exist in %s%s%s: create it with awsflock create-table",
			 attempt->call->table, endpoint->region, endpoint->is_aws ? "" : " at ",
			 endpoint->is_aws ? "" : endpoint->url);
}

static awsflock_code explain_access(const struct attempt *attempt, awsflock_error *error)
{
	if (is_type(attempt, "InvalidSignatureException") || is_type(attempt, "SignatureDoesNotMatch"))
		return error_set(
			error, AWSFLOCK_ACCESS,
			"the signature was refused: the secret access key from the %s does not belong to its "
			"access key id (%s)",
			attempt->client->supply.credentials.source, attempt->message);
	if (strncmp(attempt->error_type, "AccessDenied", strlen("AccessDenied")) == 0)
		return error_set(
			error, AWSFLOCK_ACCESS,
			"%s on table '%s' was refused (%s: %s): the policy of these credentials must allow "
			"dynamodb:%s on it",
			attempt->call->operation, attempt->call->table, attempt->error_type, attempt->message,
			attempt->call->operation);
	return error_set(error, AWSFLOCK_ACCESS, "%s on table '%s' was refused: %s: %s", attempt->call->operation,
			 attempt->call->table, attempt->error_type, attempt->message);
}

static awsflock_code explain_credentials(const struct attempt *attempt, awsflock_error *error)
{
	bool expired = strncmp(attempt->error_type, "ExpiredToken", strlen("ExpiredToken")) == 0;

	return error_set(error, AWSFLOCK_CREDENTIALS,
			 expired ? "the credentials from the %s have expired: get new ones (%s)"
				 : "AWS does not know the credentials from the %s: check the access key id and the "
				   "session token (%s)",
			 attempt->client->supply.credentials.source, attempt->message);
}

static awsflock_code explain(const struct attempt *attempt, awsflock_code code, awsflock_error *error)
{
	const struct dynamodb_call *call = attempt->call;

	switch (code) {
	case AWSFLOCK_NO_TABLE:
		return explain_no_table(attempt, error);
	case AWSFLOCK_ACCESS:
		return explain_access(attempt, error);
	case AWSFLOCK_CREDENTIALS:
		return explain_credentials(attempt, error);
	case AWSFLOCK_THROTTLED:
		return error_set(
			error, code,
			"%s on table '%s' was refused for load: raise the table's throughput or try later (%s)",
			call->operation, call->table, attempt->message);
	case AWSFLOCK_UNREACHABLE:
		return error_set(error, code, "%s failed on the server's side (HTTP %ld): try again later (%s)",
				 call->operation, attempt->http.status, attempt->message);
	case AWSFLOCK_CLOCK_SKEW:
		return error_set(error, code, "the server refuses this machine's time: set the clock right (%s)",
				 attempt->message);
	case AWSFLOCK_BAD_TABLE:
		if (is_type(attempt, "ResourceInUseException"))
			return error_set(error, code, "table '%s' is being changed: try again in a minute (%s)",
					 call->table, attempt->message);
		return error_set(error, code,
				 "table '%s' has another key than lock_id (a string): name another table, or "
				 "create one with "
				 "awsflock create-table (%s)",
				 call->table, attempt->message);
	default:
		break;
	}
	if (attempt->error_type[0] == '\0')
		return error_set(
			error, code,
			"what answers at %s is not DynamoDB (HTTP %ld): check the endpoint URL, and for a proxy or "
			"login page in between",
			attempt->client->endpoint.url, attempt->http.status);
	return error_set(error, code, "%s on table '%s' was refused: %s: %s", call->operation, call->table,
			 attempt->error_type, attempt->message);
}

/* ---- One attempt -------------------------------------------------------------------------------------------- */

static awsflock_code have_credentials(struct dynamodb *client, const struct server_time *time,
				      int64_t give_up_boot_ns, awsflock_error *error)
{
	struct credentials_context context = { .runtime = client->runtime,
					       .transport = client->transport,
					       .profile = &client->profile,
					       .region = client->endpoint.region,
					       .profile_given = client->profile_given,
					       .ignore_environment = client->ignore_environment,
					       .allow_plain_http = client->allow_plain_http,
					       .give_up_boot_ns = give_up_boot_ns,
					       .connect_timeout_ms = client->connect_timeout_ms,
					       .request_timeout_ms = client->request_timeout_ms };

	return credentials_supply_have(&client->supply, &context, time, error);
}

/* Milliseconds that the attempt may take; 0: none. */
static int64_t time_left_ms(const struct attempt *attempt)
{
	struct dynamodb *client = attempt->client;
	int64_t left_ns, left_ms;

	if (attempt->call->give_up_boot_ns == INT64_MAX)
		return client->request_timeout_ms;
	left_ns = attempt->call->give_up_boot_ns - runtime_boot_ns(client->runtime);
	if (left_ns <= 0)
		return 0;
	left_ms = left_ns / NS_PER_MS + 1;
	return left_ms < client->request_timeout_ms ? left_ms : client->request_timeout_ms;
}

static awsflock_code sign(struct attempt *attempt, const char *target, char date[SIGV4_DATE_SIZE],
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

static awsflock_code post(struct attempt *attempt, const char *target, const char *date, const char *authorization,
			  int64_t timeout_ms, awsflock_error *error)
{
	struct dynamodb *client = attempt->client;
	const char *token = client->supply.credentials.session_token;
	const struct http_header headers[] = {
		{ "Host", client->endpoint.host },  { "Content-Type", "application/x-amz-json-1.0" },
		{ "X-Amz-Target", target },         { "X-Amz-Date", date },
		{ "Authorization", authorization }, { "X-Amz-Security-Token", token }
	};
	size_t count = sizeof(headers) / sizeof(headers[0]) - (token == NULL ? 1 : 0);
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

static awsflock_code sign_and_post(struct attempt *attempt, int64_t timeout_ms, awsflock_error *error)
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

/* The transport failed: what does that mean for a next attempt? */
static void judge_no_reply(struct attempt *attempt, awsflock_code code)
{
	attempt->unknown = attempt->http.fate == HTTP_UNKNOWN;
	attempt->cause = code == AWSFLOCK_UNREACHABLE ? RETRY_TRANSIENT : RETRY_NOT;
}

/* False without memory. */
static bool parse_reply(struct attempt *attempt)
{
	bool empty = attempt->http.status == 200 && attempt->http.body.size == 0;

	if (!attempt->call->may_be_empty || !empty)
		return parse_object(&attempt->http.body, &attempt->reply);
	attempt->reply = json_object_new_object();
	return attempt->reply != NULL;
}

/* An answer after a silent resend is the second one to the same request: the first may have been carried out, or
 * may still be. */
static awsflock_code judge_reply(struct attempt *attempt, awsflock_error *error)
{
	long status = attempt->http.status;
	struct error_class class;

	if (!parse_reply(attempt)) {
		attempt->unknown = true;
		return error_out_of_memory(error);
	}
	if (status == 200 && attempt->reply != NULL) {
		attempt->unknown = attempt->http.resent;
		return AWSFLOCK_OK;
	}
	if (status == 200) {
		attempt->unknown = true;
		attempt->cause = RETRY_NOT;
		return explain(attempt, AWSFLOCK_PROTOCOL, error);
	}
	read_error(attempt);
	if (status == 400 && is_type(attempt, "ConditionalCheckFailedException")) {
		attempt->unknown = attempt->http.resent;
		return AWSFLOCK_OK;
	}
	class = classify(attempt);
	attempt->cause = class.cause;
	attempt->unknown = status >= 500 || attempt->http.resent;
	return explain(attempt, class.code, error);
}

static awsflock_code judge(struct attempt *attempt, awsflock_error *error)
{
	awsflock_code code;

	if (!crc_matches(&attempt->http)) {
		attempt->unknown = true;
		attempt->cause = RETRY_TRANSIENT;
		code = error_set(error, AWSFLOCK_UNREACHABLE,
				 "the answer from %s was damaged on its way: try again",
				 attempt->client->endpoint.url);
	} else {
		code = judge_reply(attempt, error);
	}
	if (code != AWSFLOCK_OK && error != NULL)
		error->http_status = attempt->http.status;
	return code;
}

static awsflock_code try_once(struct attempt *attempt, awsflock_error *error)
{
	struct dynamodb *client = attempt->client;
	int64_t timeout_ms;
	awsflock_code code = have_credentials(client, attempt->time, attempt->call->give_up_boot_ns, error);

	attempt->cause = RETRY_NOT;
	if (code != AWSFLOCK_OK)
		return code;
	timeout_ms = time_left_ms(attempt);
	if (timeout_ms <= 0)
		return error_set(error, AWSFLOCK_UNREACHABLE, "no time was left to ask %s", client->endpoint.url);
	code = sign_and_post(attempt, timeout_ms, error);
	if (attempt->http.fate == HTTP_ANSWERED && attempt->http.has_date)
		server_time_observe(attempt->time, attempt->http.date_seconds, attempt->http.sent_boot_ns,
				    attempt->http.received_boot_ns);
	if (code == AWSFLOCK_OK)
		return judge(attempt, error);
	judge_no_reply(attempt, code);
	return code;
}

static void attempt_clear(struct attempt *attempt)
{
	json_object_put(attempt->reply);
	buf_free(&attempt->http.body);
}

/* ---- The call ----------------------------------------------------------------------------------------------- */

static void log_attempt(const struct attempt *attempt, awsflock_code code, const awsflock_error *error)
{
	const struct http_reply *http = &attempt->http;
	long long took_ms = (http->received_boot_ns - http->sent_boot_ns) / NS_PER_MS;

	if (http->fate == HTTP_ANSWERED)
		runtime_log(attempt->client->runtime, AWSFLOCK_LOG_DEBUG,
			    "%s: HTTP %ld%s%s in %lld ms%s (request %s)", attempt->call->operation, http->status,
			    attempt->error_type[0] != '\0' ? " " : "", attempt->error_type, took_ms,
			    http->reused_connection ? ", kept connection" : "",
			    http->request_id[0] != '\0' ? http->request_id : "unnamed");
	else if (code != AWSFLOCK_OK && error != NULL)
		runtime_log(attempt->client->runtime, AWSFLOCK_LOG_DEBUG, "%s: %s", attempt->call->operation,
			    error->message);
}

static void take_times(const struct attempt *attempt, struct dynamodb_result *result)
{
	const struct http_reply *http = &attempt->http;

	if (result->first_sent_boot_ns == 0)
		result->first_sent_boot_ns = http->sent_boot_ns;
	result->received_boot_ns = http->received_boot_ns;
	result->has_date = http->fate == HTTP_ANSWERED && http->has_date;
	result->date_seconds = result->has_date ? http->date_seconds : 0;
}

/* What the caller learns of the attempt that was the last. */
static void take_result(struct attempt *attempt, awsflock_code code, struct dynamodb_result *result)
{
	result->in_use = is_type(attempt, "ResourceInUseException");
	result->not_found = is_type(attempt, "ResourceNotFoundException");
	result->unsupported =
		is_type(attempt, "UnknownOperationException") || is_type(attempt, "ValidationException");
	if (code != AWSFLOCK_OK)
		return;
	result->condition_failed = is_type(attempt, "ConditionalCheckFailedException");
	result->maybe_applied = result->maybe_applied || !result->condition_failed;
	result->reply = attempt->reply;
	attempt->reply = NULL;
}

/* Whether to go on after a failure; *REREAD tells whether the credentials were read anew before. */
static bool goes_on(const struct attempt *attempt, bool *reread)
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
		struct attempt attempt = { .client = client, .call = call, .body = body, .time = time };

		code = try_once(&attempt, error);
		log_attempt(&attempt, code, error);
		take_times(&attempt, result);
		result->attempt_unknown = result->attempt_unknown || attempt.unknown;
		result->maybe_applied = result->maybe_applied || attempt.unknown;
		again = code != AWSFLOCK_OK && goes_on(&attempt, &reread);
		if (!again)
			take_result(&attempt, code, result);
		attempt_clear(&attempt);
	}
	if (code == AWSFLOCK_OK)
		retry_succeeded(&client->retry);
	else if (runtime_stop_requested(client->runtime))
		code = error_set(error, AWSFLOCK_CANCELLED, "told to stop during %s", call->operation);
	return code;
}

awsflock_code dynamodb_call(struct dynamodb *client, const struct dynamodb_call *call, struct server_time *time,
			    struct dynamodb_result *result, awsflock_error *error)
{
	const int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *body = json_object_to_json_string_ext(call->request, flags);
	awsflock_code code;

	*result = (struct dynamodb_result){ 0 };
	if (body == NULL)
		return error_out_of_memory(error);
	if (runtime_stop_requested(client->runtime))
		return error_set(error, AWSFLOCK_CANCELLED, "told to stop before %s", call->operation);
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

	if (text == NULL || text[0] == '\0')
		text = profile_config_get(&client->profile, "max_attempts");
	if (text == NULL || text[0] == '\0')
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

	if (text == NULL || text[0] == '\0')
		text = profile_config_get(&client->profile, "retry_mode");
	if (text == NULL || text[0] == '\0' || strcmp(text, "standard") == 0 || strcmp(text, "legacy") == 0 ||
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

	if (client == NULL) {
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
	if (*client == NULL)
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
