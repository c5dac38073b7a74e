/* A transport that answers as it was told to, and keeps what it was sent.  SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_FAKE_HTTP_H
#define UNIT_FAKE_HTTP_H

#include <json-c/json.h>

#include "aws/dynamodb/dynamodb.h"
#include "fake_store.h"

#define FAKE_HTTP_MAX 16
#define FAKE_LATENCY_NS (20 * NS_PER_MS)

struct fake_answer {
	long status; /* 0: none, see code and fate */
	const char *body;
	awsflock_code code; /* of the transport's failure */
	enum http_fate fate;
	const char *crc32;
	bool no_date;
	int64_t date_offset_s; /* added to the fake server's clock, which starts at FAKE_EPOCH_START_S */
	bool reused, resent;
};

struct fake_request {
	char *method, *url;
	char *headers; /* "Name: value\n" each */
	char *body, *target, *date, *authorization, *token, *host;
	int64_t connect_timeout_ms, total_timeout_ms;
	size_t reply_limit;
	bool no_proxy;
};

struct fake_http {
	struct http_transport transport; /* first */
	struct fake_runtime *runtime;
	struct fake_answer answers[FAKE_HTTP_MAX];
	size_t answer_count;
	struct fake_request requests[FAKE_HTTP_MAX];
	size_t request_count;
	int freed;
};

void fake_http_init(struct fake_http *fake, struct fake_runtime *runtime);
void fake_http_clear(struct fake_http *fake);
/* The next answer, to be refined; it starts as STATUS and BODY with a date. */
struct fake_answer *fake_http_plan(struct fake_http *fake, long status, const char *body);
/* The next request meets no answer. */
struct fake_answer *fake_http_plan_failure(struct fake_http *fake, awsflock_code code, enum http_fate fate);
/* The body of request INDEX, parsed; the caller puts it. */
struct json_object *fake_http_body(const struct fake_http *fake, size_t index);

/* A client on FAKE with a profile that has AWS's example keys, in us-east-1 at AWS's own endpoint or at URL.  Looks
 * at no environment. */
struct dynamodb *fake_http_client(struct fake_http *fake, const char *url);

#endif
