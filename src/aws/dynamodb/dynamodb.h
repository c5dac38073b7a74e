/* A DynamoDB client: one JSON call, signed, retried and judged.  Knows AWS's wire, nothing of locks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_DYNAMODB_DYNAMODB_H
#define AWS_DYNAMODB_DYNAMODB_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/supply.h"
#include "aws/endpoint.h"
#include "aws/http.h"
#include "aws/profile.h"
#include "aws/retry.h"
#include "awsflock.h"
#include "base/runtime.h"
#include "base/servertime.h"

struct dynamodb;

struct dynamodb_options {
	struct runtime *runtime;          /* the caller's, outlives the client */
	struct http_transport *transport; /* taken over, also on failure */
	struct profile profile;           /* taken over, also on failure (moved: the caller forgets its copy) */
	struct endpoint endpoint;         /* taken over likewise */
	bool profile_given, ignore_environment;
	bool allow_plain_http; /* for STS */
	awsflock_mfa_fn *ask_mfa;
	void *ask_mfa_arg;
	int64_t connect_timeout_ms, request_timeout_ms;
};

awsflock_code dynamodb_new(const struct dynamodb_options *options, struct dynamodb **out, awsflock_error *error);
void dynamodb_free(struct dynamodb **client);

const struct endpoint *dynamodb_endpoint(const struct dynamodb *client);
/* The credentials in force, loaded where none were so far; the client's, valid until the next call. */
awsflock_code dynamodb_credentials(struct dynamodb *client, const struct server_time *time,
				   const struct credentials **out, awsflock_error *error);

/* As credentials_supply_foresee(). */
void dynamodb_foresee(struct dynamodb *client, const struct server_time *time, int64_t seconds);

struct dynamodb_call {
	const char *operation;       /* "UpdateItem" */
	struct json_object *request; /* the caller's */
	size_t reply_limit;          /* 0: 1 MiB */
	int64_t give_up_boot_ns;     /* INT64_MAX: the client's own timeouts */
	const char *table;           /* for sentences */
	bool may_be_empty;           /* a 200 without a body is as good as {}: TagResource's is */
};

struct dynamodb_result {
	struct json_object *reply; /* of a 200; the caller puts it */
	bool condition_failed;     /* ConditionalCheckFailedException: reply is that error's object (with Item) */
	bool in_use;               /* ResourceInUseException: create-table met an existing or changing table */
	bool not_found;            /* ResourceNotFoundException (the call itself returns AWSFLOCK_NO_TABLE) */
	bool unsupported; /* UnknownOperationException or ValidationException: emulators refuse some calls */
	bool attempt_unknown, sent, maybe_applied; /* as in struct store_reply */
	int64_t first_sent_boot_ns, received_boot_ns;
	bool has_date;
	int64_t date_seconds;
};

/* Makes the call with retries and keeps TIME up to date from every reply, also from refusals.  AWSFLOCK_OK: a 200
 * whose body is a JSON object, or a failed condition.  AWSFLOCK_CLOCK_SKEW: the time has been learned, and the
 * caller may make a new operation.  result's flags and times are valid always. */
awsflock_code dynamodb_call(struct dynamodb *client, const struct dynamodb_call *call, struct server_time *time,
			    struct dynamodb_result *result, awsflock_error *error);
void dynamodb_result_clear(struct dynamodb_result *result);

#endif
