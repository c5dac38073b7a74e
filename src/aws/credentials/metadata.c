/* Requests to metadata endpoints.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/metadata.h"

#include "base/error.h"

static int64_t time_left_ms(const struct credentials_context *context, int64_t timeout_ms)
{
	int64_t now_ns = runtime_boot_ns(context->runtime), left_ms;

	if (context->give_up_boot_ns - now_ns <= 0)
		return 0;
	left_ms = (context->give_up_boot_ns - now_ns) / NS_PER_MS + 1;
	return left_ms < timeout_ms ? left_ms : timeout_ms;
}

awsflock_code metadata_send(const struct credentials_context *context, const char *method, const char *url,
			    const struct http_header *header, int64_t timeout_ms, struct http_reply *reply,
			    awsflock_error *error)
{
	int64_t left_ms = time_left_ms(context, timeout_ms);
	const struct http_request request = { .method = method,
					      .url = url,
					      .headers = header,
					      .header_count = header ? 1 : 0,
					      .connect_timeout_ms = left_ms,
					      .total_timeout_ms = left_ms,
					      .reply_limit = METADATA_REPLY_MAX,
					      .no_proxy = true };

	*reply = (struct http_reply){ .fate = HTTP_NOT_SENT };
	if (!context->transport || left_ms <= 0)
		return error_set(error, AWSFLOCK_UNREACHABLE, "no time was left to ask %s", url);
	return context->transport->send(context->transport, &request, reply, error);
}

int64_t metadata_now_seconds(const struct credentials_context *context, const struct http_reply *reply)
{
	return reply->has_date ? reply->date_seconds : runtime_real_ns(context->runtime) / NS_PER_S;
}
