/* See fake_http.h.  SPDX-License-Identifier: Apache-2.0 */
#include "fake_http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "cmocka_all.h"

static char *copy(const char *text)
{
	char *result = strdup(text);
	assert_non_null(result);
	return result;
}

static void keep_headers(const struct http_request *request, struct fake_request *kept)
{
	const struct {
		const char *name;
		char **out;
	} wanted[] = { { "X-Amz-Target", &kept->target },
		       { "X-Amz-Date", &kept->date },
		       { "Authorization", &kept->authorization },
		       { "X-Amz-Security-Token", &kept->token },
		       { "Host", &kept->host } };

	struct buf all = BUF_INIT;

	for (size_t i = 0; i < request->header_count; i++)
		buf_printf(&all, "%s: %s\n", request->headers[i].name, request->headers[i].value);
	kept->headers = buf_steal(&all);
	assert_non_null(kept->headers);
	for (size_t i = 0; i < request->header_count; i++)
		for (size_t j = 0; j < sizeof(wanted) / sizeof(wanted[0]); j++)
			if (strcasecmp(request->headers[i].name, wanted[j].name) == 0)
				*wanted[j].out = copy(request->headers[i].value);
}

static void keep(struct fake_http *fake, const struct http_request *request)
{
	assert_true(fake->request_count < FAKE_HTTP_MAX);
	struct fake_request *kept = &fake->requests[fake->request_count++];
	kept->body = strndup(request->body != NULL ? request->body : "", request->body_size);
	assert_non_null(kept->body);
	kept->method = copy(request->method);
	kept->url = copy(request->url);
	kept->no_proxy = request->no_proxy;
	kept->connect_timeout_ms = request->connect_timeout_ms;
	kept->total_timeout_ms = request->total_timeout_ms;
	kept->reply_limit = request->reply_limit;
	keep_headers(request, kept);
}

static awsflock_code fake_send(struct http_transport *transport, const struct http_request *request,
			       struct http_reply *reply, awsflock_error *error)
{
	struct fake_http *fake = (struct fake_http *)transport;
	size_t index = fake->request_count;

	keep(fake, request);
	assert_true(index < fake->answer_count); /* a request that no test foresaw */
	const struct fake_answer *answer = &fake->answers[index];
	*reply = (struct http_reply){ .fate = answer->fate, .body = { .limit = request->reply_limit } };
	reply->sent_boot_ns = fake->runtime->boot_ns;
	fake->runtime->boot_ns += FAKE_LATENCY_NS;
	reply->received_boot_ns = fake->runtime->boot_ns;
	if (answer->code != AWSFLOCK_OK)
		return error_set(error, answer->code, "the fake fails as planned");
	reply->status = answer->status;
	reply->reused_connection = answer->reused;
	reply->resent = answer->resent;
	reply->has_date = !answer->no_date;
	reply->date_seconds = FAKE_EPOCH_START_S + (fake->runtime->boot_ns - FAKE_BOOT_START_NS) / NS_PER_S +
			      answer->date_offset_s;
	if (answer->crc32 != NULL)
		strncpy(reply->crc32, answer->crc32, sizeof(reply->crc32) - 1);
	assert_true(buf_puts(&reply->body, answer->body));
	return AWSFLOCK_OK;
}

static void fake_free(struct http_transport *transport)
{
	((struct fake_http *)transport)->freed++;
}

void fake_http_init(struct fake_http *fake, struct fake_runtime *runtime)
{
	*fake = (struct fake_http){ .transport = { fake_send, fake_free }, .runtime = runtime };
}

void fake_http_clear(struct fake_http *fake)
{
	for (size_t i = 0; i < fake->request_count; i++) {
		struct fake_request *request = &fake->requests[i];
		free(request->body);
		free(request->method);
		free(request->url);
		free(request->headers);
		free(request->target);
		free(request->date);
		free(request->authorization);
		free(request->token);
		free(request->host);
	}
	fake->request_count = 0;
}

struct fake_answer *fake_http_plan(struct fake_http *fake, long status, const char *body)
{
	assert_true(fake->answer_count < FAKE_HTTP_MAX);
	struct fake_answer *answer = &fake->answers[fake->answer_count++];
	*answer = (struct fake_answer){ .status = status, .body = body, .fate = HTTP_ANSWERED };
	return answer;
}

struct fake_answer *fake_http_plan_failure(struct fake_http *fake, awsflock_code code, enum http_fate fate)
{
	struct fake_answer *answer = fake_http_plan(fake, 0, "");
	answer->code = code;
	answer->fate = fate;
	return answer;
}

struct json_object *fake_http_body(const struct fake_http *fake, size_t index)
{
	assert_true(index < fake->request_count);
	struct json_object *body = json_tokener_parse(fake->requests[index].body);
	assert_non_null(body);
	return body;
}

static void give_keys(struct profile *profile)
{
	static const char file[] = "[default]\naws_access_key_id = AKIDEXAMPLE\n"
				   "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"
				   "aws_session_token = FwoGZXIvYXdzEXAMPLETOKEN==\n";
	awsflock_error error;

	*profile = (struct profile){ .name = copy("default"), .credentials_path = copy("credentials") };
	assert_int_equal(ini_parse("credentials", file, sizeof(file) - 1, INI_AWS, &profile->credentials, &error),
			 AWSFLOCK_OK);
}

struct dynamodb *fake_http_client(struct fake_http *fake, const char *url)
{
	struct dynamodb_options options = { .runtime = &fake->runtime->runtime,
					    .transport = &fake->transport,
					    .ignore_environment = true,
					    .connect_timeout_ms = 5000,
					    .request_timeout_ms = 10000 };
	struct endpoint_options where = { .region = "us-east-1", .url = url, .ignore_environment = true };
	struct dynamodb *client;
	awsflock_error error;

	give_keys(&options.profile);
	assert_int_equal(endpoint_resolve(&where, &options.endpoint, &error), AWSFLOCK_OK);
	assert_int_equal(dynamodb_new(&options, &client, &error), AWSFLOCK_OK);
	return client;
}
