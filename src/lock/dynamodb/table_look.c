/* Looking at a table.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/table_look.h"

#include <string.h>

#include "base/error.h"
#include "base/runtime.h"

bool json_set(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

const char *json_text(struct json_object *object, const char *name)
{
	struct json_object *member;

	if (!object || !json_object_object_get_ex(object, name, &member) ||
	    !json_object_is_type(member, json_type_string))
		return NULL;
	return json_object_get_string(member);
}

struct json_object *json_member(struct json_object *object, const char *name, enum json_type type)
{
	struct json_object *member;

	if (!object || !json_object_object_get_ex(object, name, &member) || !json_object_is_type(member, type))
		return NULL;
	return member;
}

struct json_object *table_request(const struct table_dynamodb *table)
{
	struct json_object *request = json_object_new_object();

	if (request && json_set(request, "TableName", json_object_new_string(table->name)))
		return request;
	json_object_put(request);
	return NULL;
}

awsflock_code table_call(const struct table_dynamodb *table, const char *operation, struct json_object *request,
			 struct dynamodb_result *result, awsflock_error *error)
{
	const struct dynamodb_call options = { .operation = operation,
					       .request = request,
					       .give_up_boot_ns = runtime_boot_ns(table->runtime) +
								  STORE_ONE_TRY_MS * NS_PER_MS,
					       .table = table->name,
					       .may_be_empty = strcmp(operation, "TagResource") == 0 };
	awsflock_code code;

	*result = (struct dynamodb_result){ 0 };
	if (!request)
		return error_out_of_memory(error);
	code = dynamodb_call(table->client, &options, table->time, result, error);
	if (code == AWSFLOCK_CLOCK_SKEW && result->has_date) {
		dynamodb_result_clear(result);
		code = dynamodb_call(table->client, &options, table->time, result, error);
	}
	json_object_put(request);
	return code;
}

awsflock_code table_describe(const struct table_dynamodb *table, struct json_object **description,
			     awsflock_error *error)
{
	struct dynamodb_result result;
	awsflock_code code = table_call(table, "DescribeTable", table_request(table), &result, error);

	*description = NULL;
	if (code == AWSFLOCK_NO_TABLE && result.not_found) {
		code = AWSFLOCK_OK;
	} else if (code == AWSFLOCK_OK) {
		*description = json_object_get(json_member(result.reply, "Table", json_type_object));
		if (!*description)
			code = error_set(error, AWSFLOCK_PROTOCOL,
					 "DescribeTable told nothing of %s: is it DynamoDB that answers there?",
					 table->where);
	}
	dynamodb_result_clear(&result);
	return code;
}

const char *table_status(struct json_object *description)
{
	const char *status = json_text(description, "TableStatus");

	return status ? status : "unknown";
}

static bool is_lock_id_string(struct json_object *definitions)
{
	size_t count = definitions ? json_object_array_length(definitions) : 0;

	for (size_t i = 0; i < count; i++) {
		struct json_object *definition = json_object_array_get_idx(definitions, i);
		const char *name = json_text(definition, "AttributeName");
		const char *type = json_text(definition, "AttributeType");

		if (name && type && strcmp(name, "lock_id") == 0)
			return strcmp(type, "S") == 0;
	}
	return false;
}

bool table_has_our_key(struct json_object *description)
{
	struct json_object *schema = json_member(description, "KeySchema", json_type_array);
	struct json_object *only;
	const char *name, *type;

	if (!schema || json_object_array_length(schema) != 1)
		return false;
	only = json_object_array_get_idx(schema, 0);
	name = json_text(only, "AttributeName");
	type = json_text(only, "KeyType");
	return name && type && strcmp(name, "lock_id") == 0 && strcmp(type, "HASH") == 0 &&
	       is_lock_id_string(json_member(description, "AttributeDefinitions", json_type_array));
}

enum table_expiry table_judge_expiry(struct json_object *reply, const char **attribute)
{
	struct json_object *description = json_member(reply, "TimeToLiveDescription", json_type_object);
	const char *status = json_text(description, "TimeToLiveStatus");
	const char *name = json_text(description, "AttributeName");

	*attribute = name ? name : "another attribute";
	if (!status || strcmp(status, "DISABLED") == 0)
		return TABLE_EXPIRY_OFF;
	if (strcmp(status, "DISABLING") == 0)
		return TABLE_EXPIRY_ENDING;
	return name && strcmp(name, "expiration_time") == 0 ? TABLE_EXPIRY_ON : TABLE_EXPIRY_ELSEWHERE;
}

enum table_replicas table_judge_replicas(struct json_object *description)
{
	struct json_object *replicas = json_member(description, "Replicas", json_type_array);
	const char *consistency = json_text(description, "MultiRegionConsistency");

	if (!replicas || json_object_array_length(replicas) == 0)
		return TABLE_REPLICAS_NONE;
	return consistency && strcmp(consistency, "STRONG") == 0 ? TABLE_REPLICAS_STRONG : TABLE_REPLICAS_EVENTUAL;
}
