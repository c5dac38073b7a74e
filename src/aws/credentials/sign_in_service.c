/* Asking the services behind a sign-in.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in_service.h"

#include <stdio.h>
#include <string.h>

#include "aws/credentials/json.h"
#include "aws/endpoint.h"
#include "aws/retry.h"
#include "base/error.h"
#include "base/text.h"

#define ATTEMPTS_MAX 3
#define REPLY_MAX ((size_t)64 * 1024)

struct exchange {
	const struct credentials_context *context;
	const struct sign_in_request *request;
	struct endpoint endpoint;
	struct buf url;
	struct http_reply http;
	struct sign_in_reply *reply;
	enum retry_cause cause;
};

void sign_in_reply_clear(struct sign_in_reply *reply)
{
	credentials_json_put(reply->body);
	*reply = (struct sign_in_reply){ 0 };
}

/* ---- One request -------------------------------------------------------------------------------------------- */

static int64_t time_left_ms(const struct credentials_context *context)
{
	int64_t now_ns = runtime_boot_ns(context->runtime), left_ms;

	if (context->give_up_boot_ns - now_ns <= 0)
		return 0;
	left_ms = (context->give_up_boot_ns - now_ns) / NS_PER_MS + 1;
	return left_ms < context->request_timeout_ms ? left_ms : context->request_timeout_ms;
}

static awsflock_code send_request(struct exchange *exchange, const char *header_value, awsflock_error *error)
{
	const struct credentials_context *context = exchange->context;
	const char *body = exchange->request->body;
	int64_t left_ms = time_left_ms(context);
	const struct http_header headers[] = { { exchange->request->header_name, header_value },
					       { "Content-Type", "application/json" } };
	/* A GET's only header is the first one, a POST without a proof has the last alone. */
	size_t skipped = !exchange->request->header_name ? 1 : 0;
	const struct http_request request = { .method = body ? "POST" : "GET",
					      .url = buf_text(&exchange->url),
					      .headers = headers + skipped,
					      .header_count = (body ? 2 : 1) - skipped,
					      .body = body,
					      .body_size = body ? strlen(body) : 0,
					      .connect_timeout_ms = context->connect_timeout_ms < left_ms
									    ? context->connect_timeout_ms
									    : left_ms,
					      .total_timeout_ms = left_ms,
					      .reply_limit = REPLY_MAX,
					      .finish_once_sent = exchange->request->spends };

	if (left_ms <= 0)
		return error_set(error, AWSFLOCK_UNREACHABLE, "no time was left to ask %s", exchange->endpoint.url);
	return context->transport->send(context->transport, &request, &exchange->http, error);
}

static awsflock_code prove_and_send(struct exchange *exchange, awsflock_error *error)
{
	const struct sign_in_request *request = exchange->request;
	struct buf proof = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;

	if (!request->prove)
		return send_request(exchange, request->header_value, error);
	code = request->prove(request->prove_arg, buf_text(&exchange->url), &proof, error);
	if (code == AWSFLOCK_OK)
		code = send_request(exchange, buf_text(&proof), error);
	buf_free(&proof);
	return code;
}

/* ---- What came back ----------------------------------------------------------------------------------------- */

static enum retry_cause cause_of(long status)
{
	if (status == 429)
		return RETRY_THROTTLED;
	return status == 500 || status == 502 || status == 503 || status == 504 ? RETRY_TRANSIENT : RETRY_NOT;
}

static void copy_first(const char *const *texts, size_t count, char *out, size_t size)
{
	for (size_t i = 0; i < count && out[0] == '\0'; i++) {
		if (texts[i])
			text_sanitise_message(texts[i], out, size);
	}
}

/* The code is in the body, or in a header before a colon. */
static void take_refusal(struct exchange *exchange)
{
	struct sign_in_reply *reply = exchange->reply;
	char *header = exchange->http.error_type;
	const char *codes[] = { credentials_json_text(reply->body, "error"), header[0] != '\0' ? header : NULL,
				"no code" };
	const char *messages[] = { credentials_json_text(reply->body, "error_description"),
				   credentials_json_text(reply->body, "message"),
				   credentials_json_text(reply->body, "Message") };

	header[strcspn(header, ":")] = '\0';
	copy_first(codes, 3, reply->error, sizeof(reply->error));
	copy_first(messages, 3, reply->message, sizeof(reply->message));
}

static awsflock_code judge_reply(struct exchange *exchange, awsflock_error *error)
{
	const struct http_reply *http = &exchange->http;
	struct sign_in_reply *reply = exchange->reply;

	reply->status = http->status;
	reply->body = credentials_json_parse(&http->body);
	reply->now_seconds =
		http->has_date ? http->date_seconds : runtime_real_ns(exchange->context->runtime) / NS_PER_S;
	exchange->cause = cause_of(http->status);
	if (!reply->body && (http->status == 200 || http->error_type[0] == '\0'))
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "what answers at %s is no sign-in service of AWS (HTTP %ld): check for a proxy or "
				 "login page in between",
				 exchange->endpoint.url, http->status);
	if (http->status != 200)
		take_refusal(exchange);
	return AWSFLOCK_OK;
}

static awsflock_code try_once(struct exchange *exchange, awsflock_error *error)
{
	awsflock_code code;

	sign_in_reply_clear(exchange->reply);
	exchange->http = (struct http_reply){ .fate = HTTP_NOT_SENT };
	code = prove_and_send(exchange, error);
	if (code == AWSFLOCK_OK)
		code = judge_reply(exchange, error);
	else
		exchange->cause = code == AWSFLOCK_UNREACHABLE ? RETRY_TRANSIENT : RETRY_NOT;
	buf_free(&exchange->http.body);
	return code == AWSFLOCK_UNREACHABLE || code == AWSFLOCK_PROTOCOL ? AWSFLOCK_CREDENTIALS : code;
}

static awsflock_code try_repeatedly(struct exchange *exchange, awsflock_error *error)
{
	struct runtime *runtime = exchange->context->runtime;
	struct retry retry;
	awsflock_code code;

	retry_init(&retry);
	retry.max_attempts = ATTEMPTS_MAX;
	retry_begin(&retry);
	do {
		code = try_once(exchange, error);
	} while (exchange->cause != RETRY_NOT &&
		 retry_again(&retry, runtime, exchange->cause, exchange->context->give_up_boot_ns));
	if (code != AWSFLOCK_OK && runtime_stop_requested(runtime))
		code = error_set(error, AWSFLOCK_CANCELLED, "told to stop while asking %s", exchange->endpoint.url);
	return code;
}

awsflock_code sign_in_ask(const struct credentials_context *context, const struct sign_in_request *request,
			  struct sign_in_reply *reply, awsflock_error *error)
{
	const struct endpoint_options options = { .profile = context->profile,
						  .allow_plain_http = context->allow_plain_http,
						  .ignore_environment = context->ignore_environment };
	struct exchange exchange = { .context = context, .request = request, .reply = reply };
	awsflock_code code;

	*reply = (struct sign_in_reply){ 0 };
	if (!context->transport)
		return error_set(error, AWSFLOCK_INTERNAL, "there is no way to ask a sign-in service");
	code = endpoint_resolve_service(&options, request->service, request->region, &exchange.endpoint, error);
	if (code == AWSFLOCK_OK && !buf_printf(&exchange.url, "%s%s", exchange.endpoint.url, request->path))
		code = error_out_of_memory(error);
	if (code == AWSFLOCK_OK)
		code = try_repeatedly(&exchange, error);
	if (code != AWSFLOCK_OK)
		sign_in_reply_clear(reply);
	buf_free(&exchange.url);
	endpoint_clear(&exchange.endpoint);
	return code;
}
