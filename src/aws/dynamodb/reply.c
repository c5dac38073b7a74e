/* See reply.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/dynamodb/reply.h"

#include <json-c/json.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define JSON_DEPTH 16

/* DynamoDB refuses requests dated more than five minutes away; botocore, too, takes four for its sign of skew. */
#define SKEW_SECONDS 240
/* AWS's secret keys have 40 characters, session tokens hundreds. */
#define SECRET_LEAST 16

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

bool dynamodb_attempt_is(const struct dynamodb_attempt *attempt, const char *type)
{
	return strcmp(attempt->error_type, type) == 0;
}

static bool is_wrong_signature(const struct dynamodb_attempt *attempt)
{
	return dynamodb_attempt_is(attempt, "InvalidSignatureException") ||
	       dynamodb_attempt_is(attempt, "SignatureDoesNotMatch");
}

static bool is_skew(const struct dynamodb_attempt *attempt)
{
	int64_t away = attempt->http.date_seconds - attempt->signed_seconds;

	if (!is_wrong_signature(attempt))
		return false;
	if (strstr(attempt->message, "Signature expired") || strstr(attempt->message, "Signature not yet current"))
		return true;
	return attempt->http.has_date && (away > SKEW_SECONDS || away < -SKEW_SECONDS);
}

/* ValidationException says of a table with another key that the key given does not fit. */
static bool is_key_mismatch(const struct dynamodb_attempt *attempt)
{
	static const char *const signs[] = { "does not match the schema", "Missing the key",
					     "Type mismatch for key", "number of conditions on the keys",
					     "required keys was not given" };

	if (!dynamodb_attempt_is(attempt, "ValidationException"))
		return false;
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (strstr(attempt->message, signs[i]))
			return true;
	}
	return false;
}

static bool is_server_failure(long status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

static struct error_class classify(const struct dynamodb_attempt *attempt)
{
	struct error_class class = { attempt->error_type, RETRY_NOT, AWSFLOCK_PROTOCOL };

	if (is_skew(attempt))
		return (struct error_class){ class.type, RETRY_CLOCK_SKEW, AWSFLOCK_CLOCK_SKEW };
	if (is_key_mismatch(attempt))
		return (struct error_class){ class.type, RETRY_NOT, AWSFLOCK_BAD_TABLE };
	for (size_t i = 0; i < sizeof(error_classes) / sizeof(error_classes[0]); i++) {
		if (dynamodb_attempt_is(attempt, error_classes[i].type))
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
	if (body->size == 0 || body->size > INT32_MAX || memchr(body->data, '\0', body->size))
		return true;
	tokener = json_tokener_new_ex(JSON_DEPTH);
	if (!tokener)
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

/* A secret that was made up for an emulator ("x", "key") is in many a message, and is none. */
static bool contains_secret(const char *message, const char *secret)
{
	return secret && strlen(secret) >= SECRET_LEAST && strstr(message, secret);
}

/* Some refusals repeat what was signed: the Authorization header, the session token.  Such a message is dropped. */
static bool repeats_secrets(const struct credentials *credentials, const char *message)
{
	if (strcasestr(message, "AWS4-HMAC") || strcasestr(message, "x-amz-security-token"))
		return true;
	return contains_secret(message, credentials->session_token) ||
	       contains_secret(message, credentials->secret_access_key);
}

static void read_error(struct dynamodb_attempt *attempt)
{
	const char *type = attempt->reply ? string_member(attempt->reply, "__type") : NULL;
	const char *message = attempt->reply ? string_member(attempt->reply, "message") : NULL;
	const char *hash = type ? strrchr(type, '#') : NULL;

	if (attempt->reply && !message)
		message = string_member(attempt->reply, "Message");
	if (hash)
		type = hash + 1;
	if (type && strlen(type) < DYNAMODB_TYPE_SIZE)
		text_sanitise(type, attempt->error_type, DYNAMODB_TYPE_SIZE);
	if (message && repeats_secrets(attempt->credentials, message))
		message = "its message is not shown, for it repeats what was signed";
	text_sanitise_message(message ? message : "no reason given", attempt->message, DYNAMODB_MESSAGE_SIZE);
}

/* ---- Sentences ---------------------------------------------------------------------------------------------- */

static awsflock_code explain_no_table(const struct dynamodb_attempt *attempt, awsflock_error *error)
{
	const struct endpoint *endpoint = attempt->endpoint;

	return error_set(error, AWSFLOCK_NO_TABLE,
			 "table '%s' does not exist in %s%s%s: create it with awsflock create-table",
			 attempt->call->table, endpoint->region, endpoint->is_aws ? "" : " at ",
			 endpoint->is_aws ? "" : endpoint->url);
}

static bool is_denied(const struct dynamodb_attempt *attempt)
{
	return strncmp(attempt->error_type, "AccessDenied", strlen("AccessDenied")) == 0;
}

static bool is_expired(const struct dynamodb_attempt *attempt)
{
	return strncmp(attempt->error_type, "ExpiredToken", strlen("ExpiredToken")) == 0;
}

static enum error_detail detail_of(const struct dynamodb_attempt *attempt, awsflock_code code)
{
	if (code == AWSFLOCK_CREDENTIALS)
		return is_expired(attempt) ? ERROR_DETAIL_EXPIRED : ERROR_DETAIL_KEY;
	if (code != AWSFLOCK_ACCESS || is_denied(attempt))
		return ERROR_DETAIL_NONE;
	return is_wrong_signature(attempt) ? ERROR_DETAIL_SECRET : ERROR_DETAIL_SIGNATURE;
}

static awsflock_code explain_access(const struct dynamodb_attempt *attempt, awsflock_error *error)
{
	if (is_wrong_signature(attempt))
		return error_set(
			error, AWSFLOCK_ACCESS,
			"the signature was refused: the secret access key from the %s does not belong to its "
			"access key id (%s)",
			attempt->credentials->source, attempt->message);
	if (is_denied(attempt))
		return error_set(
			error, AWSFLOCK_ACCESS,
			"%s on table '%s' was refused (%s: %s): the policy of these credentials must allow "
			"dynamodb:%s on it",
			attempt->call->operation, attempt->call->table, attempt->error_type, attempt->message,
			attempt->call->operation);
	return error_set(error, AWSFLOCK_ACCESS, "%s on table '%s' was refused: %s: %s", attempt->call->operation,
			 attempt->call->table, attempt->error_type, attempt->message);
}

static awsflock_code explain_credentials(const struct dynamodb_attempt *attempt, awsflock_error *error)
{
	return error_set(error, AWSFLOCK_CREDENTIALS,
			 is_expired(attempt)
				 ? "the credentials from the %s have expired: get new ones (%s)"
				 : "AWS does not know the credentials from the %s: check the access key id and the "
				   "session token (%s)",
			 attempt->credentials->source, attempt->message);
}

static awsflock_code explain(const struct dynamodb_attempt *attempt, awsflock_code code, awsflock_error *error)
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
		if (dynamodb_attempt_is(attempt, "ResourceInUseException"))
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
			attempt->endpoint->url, attempt->http.status);
	return error_set(error, code, "%s on table '%s' was refused: %s: %s", call->operation, call->table,
			 attempt->error_type, attempt->message);
}

/* ---- What a reply is worth ----------------------------------------------------------------------------------- */

void dynamodb_judge_no_reply(struct dynamodb_attempt *attempt, awsflock_code code)
{
	attempt->unknown = attempt->http.fate == HTTP_UNKNOWN;
	attempt->cause = code == AWSFLOCK_UNREACHABLE ? RETRY_TRANSIENT : RETRY_NOT;
}

/* False without memory. */
static bool parse_reply(struct dynamodb_attempt *attempt)
{
	bool empty = attempt->http.status == 200 && attempt->http.body.size == 0;

	if (!attempt->call->may_be_empty || !empty)
		return parse_object(&attempt->http.body, &attempt->reply);
	attempt->reply = json_object_new_object();
	return attempt->reply != NULL;
}

/* An answer after a silent resend is the second one to the same request: the first may have been carried out, or
 * may still be. */
static awsflock_code judge_reply(struct dynamodb_attempt *attempt, awsflock_error *error)
{
	long status = attempt->http.status;
	struct error_class class;

	if (!parse_reply(attempt)) {
		attempt->unknown = true;
		return error_out_of_memory(error);
	}
	if (status == 200 && attempt->reply) {
		attempt->unknown = attempt->http.resent;
		return AWSFLOCK_OK;
	}
	if (status == 200) {
		attempt->unknown = true;
		attempt->cause = RETRY_NOT;
		return explain(attempt, AWSFLOCK_PROTOCOL, error);
	}
	read_error(attempt);
	if (status == 400 && dynamodb_attempt_is(attempt, "ConditionalCheckFailedException")) {
		attempt->unknown = attempt->http.resent;
		return AWSFLOCK_OK;
	}
	class = classify(attempt);
	attempt->cause = class.cause;
	attempt->unknown = status >= 500 || attempt->http.resent;
	explain(attempt, class.code, error);
	error_set_detail(error, detail_of(attempt, class.code));
	return class.code;
}

awsflock_code dynamodb_judge(struct dynamodb_attempt *attempt, awsflock_error *error)
{
	awsflock_code code;

	if (!crc_matches(&attempt->http)) {
		attempt->unknown = true;
		attempt->cause = RETRY_TRANSIENT;
		code = error_set(error, AWSFLOCK_UNREACHABLE,
				 "the answer from %s was damaged on its way: try again", attempt->endpoint->url);
	} else {
		code = judge_reply(attempt, error);
	}
	if (code != AWSFLOCK_OK && error)
		error->http_status = attempt->http.status;
	return code;
}
