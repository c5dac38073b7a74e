/* Requests to STS: a form goes out, XML comes back.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "aws/credentials/sts_reply.h"
#include "aws/endpoint.h"
#include "aws/retry.h"
#include "aws/sigv4.h"
#include "base/error.h"
#include "base/servertime.h"
#include "base/text.h"
#include "base/timestamp.h"

#define ATTEMPTS_MAX 3
#define REPLY_MAX ((size_t)64 * 1024)
#define FORM_MAX ((size_t)256 * 1024)
#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"

struct sts_call {
	const struct credentials_context *context;
	const struct credentials *signer; /* NULL: unsigned */
	const char *role_arn;
	struct endpoint endpoint;
	struct buf form;
	struct server_time time; /* as STS tells it */
	struct http_reply http;
	enum retry_cause cause;
	struct retry retry;
};

/* ---- The form ----------------------------------------------------------------------------------------------- */

static void append_encoded(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c < 128 && isalnum(c)) || strchr("-._~", c))
			buf_append(out, text, 1);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void append_field(struct buf *form, const char *name, const char *value)
{
	buf_printf(form, "&%s=", name);
	append_encoded(form, value);
}

static void append_role(struct sts_call *call, const struct sts_role *role)
{
	struct runtime *runtime = call->context->runtime;
	char made_up[64], seconds[24];

	snprintf(made_up, sizeof(made_up), "awsflock-session-%lld",
		 (long long)(runtime_real_ns(runtime) / NS_PER_S));
	append_field(&call->form, "RoleArn", role->arn);
	append_field(&call->form, "RoleSessionName", role->session_name ? role->session_name : made_up);
	if (role->external_id)
		append_field(&call->form, "ExternalId", role->external_id);
	if (role->duration_seconds > 0) {
		snprintf(seconds, sizeof(seconds), "%lld", (long long)role->duration_seconds);
		append_field(&call->form, "DurationSeconds", seconds);
	}
	if (role->serial) {
		append_field(&call->form, "SerialNumber", role->serial);
		append_field(&call->form, "TokenCode", role->token_code);
	}
}

/* ---- One request -------------------------------------------------------------------------------------------- */

static awsflock_code sign(const struct sts_call *call, char date[SIGV4_DATE_SIZE], struct buf *authorization,
			  awsflock_error *error)
{
	struct runtime *runtime = call->context->runtime;
	const struct http_header headers[] = { { "Host", call->endpoint.host }, { "Content-Type", CONTENT_TYPE } };
	const struct sigv4_request request = { .method = "POST",
					       .path = call->endpoint.path,
					       .query = "",
					       .region = call->endpoint.region,
					       .service = "sts",
					       .time_seconds =
						       server_time_guess_ms(&call->time, runtime_boot_ns(runtime),
									    runtime_real_ns(runtime)) /
						       MS_PER_S,
					       .headers = headers,
					       .header_count = sizeof(headers) / sizeof(headers[0]),
					       .body = buf_text(&call->form),
					       .body_size = call->form.size };
	const struct sigv4_keys keys = { .access_key_id = call->signer->access_key_id,
					 .secret_access_key = call->signer->secret_access_key,
					 .session_token = call->signer->session_token };

	return sigv4_sign(&request, &keys, date, authorization, error);
}

static awsflock_code post(struct sts_call *call, const char *date, const char *authorization, awsflock_error *error)
{
	const struct credentials_context *context = call->context;
	const char *token = call->signer ? call->signer->session_token : NULL;
	const struct http_header headers[] = { { "Host", call->endpoint.host },
					       { "Content-Type", CONTENT_TYPE },
					       { "X-Amz-Date", date },
					       { "Authorization", authorization },
					       { "X-Amz-Security-Token", token } };
	int64_t left_ms = retry_attempt_ms(&call->retry, context->runtime, context->request_timeout_ms,
					   context->give_up_boot_ns);

	if (left_ms <= 0)
		return error_set(error, AWSFLOCK_UNREACHABLE, "no time was left to ask %s", call->endpoint.url);

	const struct http_request request = { .method = "POST",
					      .url = call->endpoint.url,
					      .headers = headers,
					      .header_count = !call->signer ? 2
							      : !token      ? 4
									    : 5,
					      .body = buf_text(&call->form),
					      .body_size = call->form.size,
					      .connect_timeout_ms = context->connect_timeout_ms < left_ms
									    ? context->connect_timeout_ms
									    : left_ms,
					      .total_timeout_ms = left_ms,
					      .reply_limit = REPLY_MAX };

	return context->transport->send(context->transport, &request, &call->http, error);
}

static awsflock_code sign_and_post(struct sts_call *call, awsflock_error *error)
{
	char date[SIGV4_DATE_SIZE] = "";
	struct buf authorization = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;

	if (call->signer)
		code = sign(call, date, &authorization, error);
	if (code == AWSFLOCK_OK)
		code = post(call, date, buf_text(&authorization), error);
	buf_free(&authorization);
	if (code == AWSFLOCK_OK && call->http.has_date)
		server_time_observe(&call->time, call->http.date_seconds, call->http.sent_boot_ns,
				    call->http.received_boot_ns);
	return code;
}

/* ---- What came back ----------------------------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(text, *list) == 0)
			return true;
	}
	return false;
}

static enum retry_cause cause_of(long status, const char *error_code)
{
	static const char *const throttled[] = {
		"Throttling",           "ThrottlingException",      "ThrottledException",
		"RequestLimitExceeded", "TooManyRequestsException", NULL
	};
	/* The first: STS could not reach the identity provider. */
	static const char *const transient[] = { "IDPCommunicationError", "RequestTimeout", "InternalFailure",
						 "ServiceUnavailable", NULL };
	static const char *const skewed[] = {
		"RequestExpired",        "RequestTimeTooSkewed",      "RequestInTheFuture",
		"SignatureDoesNotMatch", "InvalidSignatureException", NULL
	};

	if (is_one_of(error_code, throttled) || status == 429)
		return RETRY_THROTTLED;
	if (is_one_of(error_code, transient) || status == 500 || status == 502 || status == 503 || status == 504)
		return RETRY_TRANSIENT;
	return is_one_of(error_code, skewed) ? RETRY_CLOCK_SKEW : RETRY_NOT;
}

static bool is_expired(const char *kind)
{
	return strncmp(kind, "ExpiredToken", strlen("ExpiredToken")) == 0;
}

static enum error_detail detail_of(const char *kind)
{
	static const char *const wrong_signatures[] = { "SignatureDoesNotMatch", "InvalidSignatureException",
							NULL };
	static const char *const refusals[] = { "AccessDenied", "InvalidIdentityToken", "IDPRejectedClaim", NULL };

	if (is_expired(kind))
		return ERROR_DETAIL_EXPIRED;
	if (strcmp(kind, "InvalidClientTokenId") == 0)
		return ERROR_DETAIL_KEY;
	if (is_one_of(kind, wrong_signatures))
		return ERROR_DETAIL_SECRET;
	return is_one_of(kind, refusals) ? ERROR_DETAIL_ROLE : ERROR_DETAIL_NONE;
}

static void explain_refusal(struct sts_call *call, const struct sts_reply *reply, awsflock_error *error)
{
	char kind[64], message[256];

	text_sanitise(buf_text(&reply->error_code), kind, sizeof(kind));
	text_sanitise_message(buf_text(&reply->error_message), message, sizeof(message));
	/* Such a message repeats what was signed, or the token. */
	if (strcasestr(message, "AWS4-HMAC") || strcasestr(message, "security-token"))
		snprintf(message, sizeof(message), "its message is not shown, for it repeats what was signed");
	call->cause = cause_of(call->http.status, kind);
	if (call->signer && (is_expired(kind) || strcmp(kind, "InvalidClientTokenId") == 0))
		error_set(error, AWSFLOCK_CREDENTIALS,
			  "the role %s cannot be assumed: the credentials for it, from the %s, have expired or are "
			  "unknown: get new ones (%s)",
			  call->role_arn, call->signer->source, message);
	else
		error_set(error, AWSFLOCK_CREDENTIALS, "the role %s cannot be assumed: %s: %s", call->role_arn,
			  kind, message[0] != '\0' ? message : "no reason given");
	error_set_detail(error, detail_of(kind));
}

static awsflock_code take_role_credentials(struct sts_call *call, const struct sts_reply *reply,
					   struct credentials *out, awsflock_error *error)
{
	struct runtime *runtime = call->context->runtime;
	int64_t now_ms = server_time_guess_ms(&call->time, runtime_boot_ns(runtime), runtime_real_ns(runtime));
	awsflock_code code;

	if (reply->access_key_id.size == 0 || reply->secret_access_key.size == 0 ||
	    reply->session_token.size == 0 || !timestamp_parse(buf_text(&reply->expiration), &out->expires_time))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s answers without whole credentials: is it STS?",
				 call->endpoint.url);
	code = credentials_fill(out, buf_text(&reply->access_key_id), buf_text(&reply->secret_access_key),
				buf_text(&reply->session_token), error);
	if (code == AWSFLOCK_OK && reply->arn.size > 0) {
		out->identity = strdup(buf_text(&reply->arn));
		code = out->identity ? AWSFLOCK_OK : error_out_of_memory(error);
	}
	if (code == AWSFLOCK_OK)
		code = credentials_check_fresh(out, "STS", now_ms / MS_PER_S, error);
	return code;
}

static awsflock_code judge_sts_reply(struct sts_call *call, struct credentials *out, awsflock_error *error)
{
	struct sts_reply reply;
	bool parsed = sts_reply_parse(&call->http.body, &reply);
	awsflock_code code;

	call->cause = RETRY_NOT;
	if (parsed && call->http.status == 200) {
		code = take_role_credentials(call, &reply, out, error);
	} else if (parsed && reply.error_code.size > 0) {
		code = AWSFLOCK_CREDENTIALS;
		explain_refusal(call, &reply, error);
	} else {
		call->cause = cause_of(call->http.status, "");
		code = error_set(
			error, AWSFLOCK_CREDENTIALS,
			"what answers at %s is not STS (HTTP %ld): check AWS_ENDPOINT_URL_STS, and for a proxy "
			"or login page in between",
			call->endpoint.url, call->http.status);
	}
	sts_reply_clear(&reply);
	return code;
}

static awsflock_code send_sts_request(struct sts_call *call, struct credentials *out, awsflock_error *error)
{
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code;

	call->http = (struct http_reply){ .fate = HTTP_NOT_SENT };
	code = sign_and_post(call, &why);
	if (code == AWSFLOCK_OK) {
		code = judge_sts_reply(call, out, error);
	} else {
		call->cause = code == AWSFLOCK_UNREACHABLE ? RETRY_TRANSIENT : RETRY_NOT;
		if (code == AWSFLOCK_UNREACHABLE || code == AWSFLOCK_PROTOCOL)
			code = AWSFLOCK_CREDENTIALS;
		error_set(error, code, "the role %s cannot be assumed: %s", call->role_arn, why.message);
	}
	buf_free(&call->http.body);
	return code;
}

/* Once, with the time that the refusal told. */
static bool is_worth_another_time(const struct sts_call *call, bool *corrected)
{
	if (call->cause != RETRY_CLOCK_SKEW || *corrected || !call->time.known)
		return false;
	*corrected = true;
	return true;
}

static awsflock_code call_with_retries(struct sts_call *call, struct credentials *out, awsflock_error *error)
{
	struct runtime *runtime = call->context->runtime;
	bool corrected = false;
	awsflock_code code;

	retry_init(&call->retry);
	call->retry.max_attempts = ATTEMPTS_MAX;
	retry_begin(&call->retry);
	do {
		credentials_clear(out);
		*out = (struct credentials){ .expires_time = INT64_MAX };
		code = send_sts_request(call, out, error);
	} while (code != AWSFLOCK_OK &&
		 (is_worth_another_time(call, &corrected) ||
		  retry_again(&call->retry, runtime, call->cause, call->context->give_up_boot_ns)));
	if (code != AWSFLOCK_OK && runtime_stop_requested(runtime))
		code = error_set(error, AWSFLOCK_CANCELLED, "cancelled while assuming the role %s", call->role_arn);
	return code;
}

static awsflock_code find_endpoint(struct sts_call *call, awsflock_error *error)
{
	const struct endpoint_options options = { .profile = call->context->profile,
						  .allow_plain_http = call->context->allow_plain_http,
						  .ignore_environment = call->context->ignore_environment };

	if (!call->context->transport)
		return error_set(error, AWSFLOCK_INTERNAL, "there is no way to ask STS");
	return endpoint_resolve_service(&options, AWS_STS, call->context->region, &call->endpoint, error);
}

static awsflock_code run_call(struct sts_call *call, struct credentials *out, awsflock_error *error)
{
	const char *source = out->source;
	awsflock_code code = find_endpoint(call, error);

	server_time_init(&call->time);
	if (code == AWSFLOCK_OK && call->form.failed)
		code = call->form.over_limit ? error_set(error, AWSFLOCK_CREDENTIALS,
							 "the request for the role %s is too large", call->role_arn)
					     : error_out_of_memory(error);
	if (code == AWSFLOCK_OK)
		code = call_with_retries(call, out, error);
	out->source = source;
	endpoint_clear(&call->endpoint);
	buf_free(&call->form);
	return code;
}

awsflock_code sts_assume_role(const struct credentials_context *context, const struct sts_role *role,
			      const struct credentials *signer, struct credentials *out, awsflock_error *error)
{
	struct sts_call call = {
		.context = context, .signer = signer, .role_arn = role->arn, .form = { .limit = FORM_MAX }
	};

	buf_puts(&call.form, "Action=AssumeRole&Version=2011-06-15");
	append_role(&call, role);
	return run_call(&call, out, error);
}

awsflock_code sts_assume_role_with_web_identity(const struct credentials_context *context,
						const struct sts_role *role, const char *token,
						struct credentials *out, awsflock_error *error)
{
	struct sts_call call = { .context = context, .role_arn = role->arn, .form = { .limit = FORM_MAX } };

	buf_puts(&call.form, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15");
	append_role(&call, role);
	append_field(&call.form, "WebIdentityToken", token);
	return run_call(&call, out, error);
}
