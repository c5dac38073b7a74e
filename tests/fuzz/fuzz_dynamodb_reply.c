/* SPDX-License-Identifier: Apache-2.0
 *
 * Any body with any status as DynamoDB's reply: the first line is the status, the rest the body.  It is judged with a
 * sentence, and nothing that a server says can bring control characters before people. */
#include "aws/dynamodb/reply.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "aws/dynamodb/dynamodb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_clean(const char *text)
{
	for (; text[0] != '\0'; text++)
		if ((unsigned char)text[0] < ' ' || text[0] == '\x7f')
			abort();
}

static void judge(long status, bool may_be_empty, const char *body, size_t size)
{
	struct endpoint endpoint = { .region = (char[]){ "us-east-1" },
				     .url = (char[]){ "https://table.example" } };
	struct credentials credentials = { .source = "environment", .expires_time = INT64_MAX };
	struct dynamodb_call call = { .operation = "GetItem", .table = "locks", .may_be_empty = may_be_empty };
	struct server_time time;
	struct dynamodb_attempt attempt = {
		.call = &call, .endpoint = &endpoint, .credentials = &credentials, .body = "{}", .time = &time
	};
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;

	server_time_init(&time);
	attempt.http.fate = HTTP_ANSWERED;
	attempt.http.status = status;
	buf_append(&attempt.http.body, body, size);
	code = dynamodb_judge(&attempt, &error);
	if (code == AWSFLOCK_OK && attempt.reply == NULL)
		abort();
	if (code != AWSFLOCK_OK && error.message[0] == '\0')
		abort();
	must_be_clean(error.message);
	must_be_clean(attempt.message);
	json_object_put(attempt.reply);
	buf_free(&attempt.http.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *body = memchr(data, '\n', size);
	char digits[4] = "";
	size_t head;

	if (body == NULL || body - text != 3)
		return 0;
	memcpy(digits, text, 3);
	head = 4;
	judge(strtol(digits, NULL, 10), false, text + head, size - head);
	judge(strtol(digits, NULL, 10), true, text + head, size - head);
	return 0;
}
