/* What DynamoDB's replies say: reading one, judging what it means for the caller and for a next attempt, and the
 * sentence for people.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_DYNAMODB_REPLY_H
#define AWS_DYNAMODB_REPLY_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials/credentials.h"
#include "aws/dynamodb/dynamodb.h"
#include "aws/endpoint.h"
#include "aws/http.h"
#include "aws/retry.h"
#include "awsflock.h"
#include "base/servertime.h"

#define DYNAMODB_TYPE_SIZE 64
#define DYNAMODB_MESSAGE_SIZE 320

/* One request and what is known of its reply. */
struct dynamodb_attempt {
	struct dynamodb *client;
	const struct dynamodb_call *call;
	const struct endpoint *endpoint;       /* the client's */
	const struct credentials *credentials; /* the client's, with which it was signed */
	const char *body;
	struct server_time *time;
	int64_t signed_seconds; /* what X-Amz-Date said */
	struct http_reply http;
	struct json_object *reply;           /* NULL: not a JSON object */
	char error_type[DYNAMODB_TYPE_SIZE]; /* "" where the reply names none */
	char message[DYNAMODB_MESSAGE_SIZE]; /* the server's, sanitised */
	enum retry_cause cause;
	bool unknown; /* it may have been carried out unseen */
};

/* Judges the whole reply in ATTEMPT->http: fills in all that stands below it there.  AWSFLOCK_OK: a 200 whose body
 * is a JSON object, or a failed condition.  The caller puts ATTEMPT->reply in any case. */
awsflock_code dynamodb_judge(struct dynamodb_attempt *attempt, awsflock_error *error);
/* The transport failed with CODE: what that means for a next attempt. */
void dynamodb_judge_no_reply(struct dynamodb_attempt *attempt, awsflock_code code);

/* True where the reply names this type of error, such as "ResourceInUseException". */
bool dynamodb_attempt_is(const struct dynamodb_attempt *attempt, const char *type);

#endif
