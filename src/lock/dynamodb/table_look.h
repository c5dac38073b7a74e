/* SPDX-License-Identifier: Apache-2.0
 *
 * Looking at a table: what DynamoDB tells of it, and what that means for locks. */
#ifndef LOCK_DYNAMODB_TABLE_LOOK_H
#define LOCK_DYNAMODB_TABLE_LOOK_H

#include <json-c/json.h>
#include <stdbool.h>

#include "lock/dynamodb/table.h"
#include "lock/store.h"

/* OBJECT[KEY] = VALUE, which is taken over (NULL: no memory).  False where memory ran out. */
bool json_set(struct json_object *object, const char *key, struct json_object *value);
/* The member NAME of OBJECT where it is a string or of TYPE, else NULL; OBJECT may be NULL. */
const char *json_text(struct json_object *object, const char *name);
struct json_object *json_member(struct json_object *object, const char *name, enum json_type type);

/* {"TableName": name}, or NULL without memory. */
struct json_object *table_request(const struct table_dynamodb *table);
/* Makes one call; REQUEST (NULL: no memory) is put.  A refusal for the clock's sake is repeated with the time that
 * it told: each of the calls made so may be made twice. */
awsflock_code table_call(const struct table_dynamodb *table, const char *operation, struct json_object *request,
			 struct dynamodb_result *result, awsflock_error *error);

/* DescribeTable's description, which the caller puts; AWSFLOCK_OK with NULL where there is no such table. */
awsflock_code table_describe(const struct table_dynamodb *table, struct json_object **description,
			     awsflock_error *error);
const char *table_status(struct json_object *description);
/* Whether its key is lock_id, a string, alone. */
bool table_has_our_key(struct json_object *description);

/* TTL, out of DescribeTimeToLive's reply. */
enum table_expiry {
	TABLE_EXPIRY_ON,
	TABLE_EXPIRY_OFF,
	TABLE_EXPIRY_ENDING,
	TABLE_EXPIRY_ELSEWHERE
};
enum table_expiry table_judge_expiry(struct json_object *reply, const char **attribute);

/* Global tables: strongly consistent ones exclude between regions, the others do not. */
enum table_replicas {
	TABLE_REPLICAS_NONE,
	TABLE_REPLICAS_STRONG,
	TABLE_REPLICAS_EVENTUAL
};
enum table_replicas table_judge_replicas(struct json_object *description);

#endif
