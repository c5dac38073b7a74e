/* Making the table: look, create where there is none, wait, check, add what is missing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "lock/dynamodb/table_look.h"

#define WAIT_LIMIT_NS (300 * NS_PER_S)
#define WAIT_FIRST_PAUSE_NS (250 * NS_PER_MS)
#define WAIT_LONGEST_PAUSE_NS (4 * NS_PER_S)
#define WAIT_LINE_EVERY_NS (10 * NS_PER_S)

struct creation {
	const struct table_dynamodb *table;
	const awsflock_table_options *options;
	bool created; /* by us, just now */
	/* Of the table that is there: */
	struct json_object *description;
};

/* ---- Telling ------------------------------------------------------------------------------------------------ */

static void tell_progress(const struct creation *creation, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void tell_progress(const struct creation *creation, const char *format, ...)
{
	char text[AWSFLOCK_ERROR_MESSAGE_SIZE], line[AWSFLOCK_ERROR_MESSAGE_SIZE];
	va_list arguments;

	if (!creation->options->progress)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	text_sanitise(text, line, sizeof(line));
	creation->options->progress(creation->options->progress_arg, line);
}

/* ---- Calls ------------------------------------------------------------------------------------------------- */

static bool append_member(struct json_object *array, struct json_object *value)
{
	if (value && json_object_array_add(array, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* {FIRST: FIRST_VALUE, SECOND: SECOND_VALUE}, or NULL without memory. */
static struct json_object *make_pair(const char *first, const char *first_value, const char *second,
				     const char *second_value)
{
	struct json_object *object = json_object_new_object();

	if (object && json_set(object, first, json_object_new_string(first_value)) &&
	    json_set(object, second, json_object_new_string(second_value)))
		return object;
	json_object_put(object);
	return NULL;
}

static struct json_object *array_of(struct json_object *only)
{
	struct json_object *array = only ? json_object_new_array() : NULL;

	if (!array) {
		json_object_put(only);
		return NULL;
	}
	if (append_member(array, only))
		return array;
	json_object_put(array);
	return NULL;
}

static struct json_object *named_request(const struct creation *creation)
{
	return table_request(creation->table);
}

static awsflock_code call_table(const struct creation *creation, const char *operation, struct json_object *request,
				struct dynamodb_result *result, awsflock_error *error)
{
	return table_call(creation->table, operation, request, result, error);
}

/* Whether a refusal can be put down to a server that knows less than DynamoDB. */
static bool is_lack(const struct creation *creation, const struct dynamodb_result *result)
{
	return result->unsupported && !dynamodb_endpoint(creation->table->client)->is_aws;
}

/* ---- Looking ------------------------------------------------------------------------------------------------ */

/* Brings creation->description up to date; *FOUND false where there is no such table. */
static awsflock_code describe_table(struct creation *creation, bool *found, awsflock_error *error)
{
	struct json_object *description = NULL;
	awsflock_code code = table_describe(creation->table, &description, error);

	*found = description != NULL;
	if (code == AWSFLOCK_OK && *found) {
		json_object_put(creation->description);
		creation->description = description;
	}
	return code;
}

static bool is_status(const struct creation *creation, const char *status)
{
	return strcmp(table_status(creation->description), status) == 0;
}

/* ---- Creating ----------------------------------------------------------------------------------------------- */

static struct json_object *tag_list(const awsflock_table_options *options)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; list && i < options->tag_count; i++) {
		if (!append_member(list, make_pair("Key", options->tags[i].key, "Value", options->tags[i].value))) {
			json_object_put(list);
			return NULL;
		}
	}
	return list;
}

static bool add_billing(struct json_object *request, const awsflock_table_options *options)
{
	struct json_object *units;

	if (options->read_units == 0 && options->write_units == 0)
		return json_set(request, "BillingMode", json_object_new_string("PAY_PER_REQUEST"));
	units = json_object_new_object();
	if (units && json_set(units, "ReadCapacityUnits", json_object_new_int64(options->read_units)) &&
	    json_set(units, "WriteCapacityUnits", json_object_new_int64(options->write_units)) &&
	    json_set(request, "BillingMode", json_object_new_string("PROVISIONED")))
		return json_set(request, "ProvisionedThroughput", units);
	json_object_put(units);
	return false;
}

/* PLAIN: without what emulators may not know. */
static struct json_object *create_request(const struct creation *creation, bool plain)
{
	const awsflock_table_options *options = creation->options;
	struct json_object *request = named_request(creation);
	bool done = request &&
		    json_set(request, "KeySchema",
			     array_of(make_pair("AttributeName", "lock_id", "KeyType", "HASH"))) &&
		    json_set(request, "AttributeDefinitions",
			     array_of(make_pair("AttributeName", "lock_id", "AttributeType", "S"))) &&
		    add_billing(request, options);

	if (done && options->deletion_protection && !plain)
		done = json_set(request, "DeletionProtectionEnabled", json_object_new_boolean(true));
	if (done && options->tag_count > 0 && !plain)
		done = json_set(request, "Tags", tag_list(options));
	if (done)
		return request;
	json_object_put(request);
	return NULL;
}

static awsflock_code create_table(struct creation *creation, awsflock_error *error)
{
	bool has_extras = creation->options->deletion_protection || creation->options->tag_count > 0;
	struct dynamodb_result result;
	awsflock_code code;

	tell_progress(creation, "creating %s", creation->table->where);
	code = call_table(creation, "CreateTable", create_request(creation, false), &result, error);
	if (code != AWSFLOCK_OK && is_lack(creation, &result) && has_extras) {
		char refusal[AWSFLOCK_ERROR_MESSAGE_SIZE];

		memcpy(refusal, error->message, sizeof(refusal));
		dynamodb_result_clear(&result);
		code = call_table(creation, "CreateTable", create_request(creation, true), &result, error);
		if (code == AWSFLOCK_OK)
			tell_progress(creation, "warning: created without deletion protection and tags: %s",
				      refusal);
	}
	creation->created = code == AWSFLOCK_OK;
	/* Somebody else was quicker, or our first request, whose answer was lost. */
	if (code != AWSFLOCK_OK && result.in_use)
		code = AWSFLOCK_OK;
	dynamodb_result_clear(&result);
	return code;
}

/* ---- Waiting ------------------------------------------------------------------------------------------------ */

/* Whether waiting will end: a table on its way out never becomes active. */
static awsflock_code check_status(const struct creation *creation, awsflock_error *error)
{
	if (is_status(creation, "ACTIVE") || is_status(creation, "CREATING") || is_status(creation, "UPDATING"))
		return AWSFLOCK_OK;
	if (is_status(creation, "DELETING"))
		return error_set(error, AWSFLOCK_BAD_TABLE,
				 "%s is being deleted: wait until it is gone, then try again",
				 creation->table->where);
	return error_set(error, AWSFLOCK_BAD_TABLE, "%s cannot serve: its status is %s", creation->table->where,
			 table_status(creation->description));
}

static awsflock_code pause_waiting(const struct creation *creation, int64_t begun_boot_ns, int64_t pause_ns,
				   awsflock_error *error)
{
	struct runtime *runtime = creation->table->runtime;

	if (runtime_boot_ns(runtime) - begun_boot_ns >= WAIT_LIMIT_NS)
		return error_set(error, AWSFLOCK_UNREACHABLE,
				 "%s did not become active in %d minutes: run this command again later",
				 creation->table->where, (int)(WAIT_LIMIT_NS / NS_PER_S / 60));
	if (!runtime_sleep_until(runtime, runtime_boot_ns(runtime) + pause_ns))
		return error_set(error, AWSFLOCK_CANCELLED, "cancelled while waiting for %s",
				 creation->table->where);
	return AWSFLOCK_OK;
}

/* Until the table is ACTIVE.  Right after CreateTable, DescribeTable may not know it yet. */
static awsflock_code wait_active(struct creation *creation, awsflock_error *error)
{
	struct runtime *runtime = creation->table->runtime;
	int64_t begun = runtime_boot_ns(runtime), told = begun, pause = WAIT_FIRST_PAUSE_NS;
	bool found;
	awsflock_code code;

	for (;;) {
		code = describe_table(creation, &found, error);
		if (code == AWSFLOCK_OK && found)
			code = check_status(creation, error);
		if (code != AWSFLOCK_OK || (found && is_status(creation, "ACTIVE")))
			return code;
		if (runtime_boot_ns(runtime) - told >= WAIT_LINE_EVERY_NS) {
			told = runtime_boot_ns(runtime);
			tell_progress(creation, "waiting for %s to become active: %s", creation->table->where,
				      found ? table_status(creation->description) : "not to be seen yet");
		}
		code = pause_waiting(creation, begun, pause, error);
		if (code != AWSFLOCK_OK)
			return code;
		pause = pause * 2 < WAIT_LONGEST_PAUSE_NS ? pause * 2 : WAIT_LONGEST_PAUSE_NS;
	}
}

/* ---- Expiry (TTL) ------------------------------------------------------------------------------------------- */

static struct json_object *expiry_request(const struct creation *creation)
{
	struct json_object *request = named_request(creation);
	struct json_object *specification = json_object_new_object();

	if (request && specification && json_set(specification, "Enabled", json_object_new_boolean(true)) &&
	    json_set(specification, "AttributeName", json_object_new_string("expiration_time")) &&
	    json_set(request, "TimeToLiveSpecification", json_object_get(specification))) {
		json_object_put(specification);
		return request;
	}
	json_object_put(specification);
	json_object_put(request);
	return NULL;
}

static awsflock_code enable_expiry(const struct creation *creation, awsflock_error *error)
{
	struct dynamodb_result result;
	awsflock_code code = call_table(creation, "UpdateTimeToLive", expiry_request(creation), &result, error);

	if (code == AWSFLOCK_OK) {
		tell_progress(creation, "TTL on expiration_time enabled");
	} else if (result.unsupported) { /* also by strongly consistent global tables */
		tell_progress(creation, "warning: no TTL, old locks will stay in the table: %s", error->message);
		code = AWSFLOCK_OK;
	}
	dynamodb_result_clear(&result);
	return code;
}

/* What DescribeTimeToLive told; *ENABLE true where TTL is off altogether. */
static void judge_expiry(const struct creation *creation, struct json_object *reply, bool *enable)
{
	const char *attribute;
	enum table_expiry expiry = table_judge_expiry(reply, &attribute);

	*enable = expiry == TABLE_EXPIRY_OFF;
	if (expiry == TABLE_EXPIRY_ENDING)
		tell_progress(creation,
			      "warning: TTL is being disabled: run this command again in an hour to enable it");
	else if (expiry == TABLE_EXPIRY_ELSEWHERE)
		tell_progress(creation,
			      "warning: TTL is on %s, not on expiration_time: old locks will stay in the table",
			      attribute);
	else if (expiry == TABLE_EXPIRY_ON)
		tell_progress(creation, "TTL on expiration_time is enabled");
}

static awsflock_code ensure_expiry(const struct creation *creation, awsflock_error *error)
{
	struct dynamodb_result result;
	bool enable = false;
	awsflock_code code = call_table(creation, "DescribeTimeToLive", named_request(creation), &result, error);

	if (code == AWSFLOCK_OK) {
		judge_expiry(creation, result.reply, &enable);
	} else if (result.unsupported) {
		tell_progress(creation, "warning: whether TTL is enabled cannot be told: %s", error->message);
		code = AWSFLOCK_OK;
	}
	dynamodb_result_clear(&result);
	return code == AWSFLOCK_OK && enable ? enable_expiry(creation, error) : code;
}

/* ---- Protection, tags, replicas ----------------------------------------------------------------------------- */

static awsflock_code protect_table(struct creation *creation, awsflock_error *error)
{
	struct json_object *request = named_request(creation);
	struct dynamodb_result result;
	awsflock_code code;

	if (request && !json_set(request, "DeletionProtectionEnabled", json_object_new_boolean(true))) {
		json_object_put(request);
		request = NULL;
	}
	code = call_table(creation, "UpdateTable", request, &result, error);
	if (code == AWSFLOCK_OK)
		tell_progress(creation, "deletion protection enabled");
	else if (is_lack(creation, &result))
		tell_progress(creation, "warning: no deletion protection: %s", error->message);
	if (is_lack(creation, &result))
		code = AWSFLOCK_OK;
	dynamodb_result_clear(&result);
	return code == AWSFLOCK_OK ? wait_active(creation, error) : code;
}

static awsflock_code ensure_protection(struct creation *creation, awsflock_error *error)
{
	struct json_object *enabled =
		json_member(creation->description, "DeletionProtectionEnabled", json_type_boolean);

	if (!creation->options->deletion_protection || creation->created)
		return AWSFLOCK_OK;
	if (enabled && json_object_get_boolean(enabled)) {
		tell_progress(creation, "deletion protection is enabled");
		return AWSFLOCK_OK;
	}
	return protect_table(creation, error);
}

static awsflock_code ensure_tags(const struct creation *creation, awsflock_error *error)
{
	const char *arn = json_text(creation->description, "TableArn");
	struct json_object *request;
	struct dynamodb_result result;
	awsflock_code code;

	if (creation->options->tag_count == 0 || creation->created || !arn)
		return AWSFLOCK_OK;
	request = json_object_new_object();
	if (request && (!json_set(request, "ResourceArn", json_object_new_string(arn)) ||
			!json_set(request, "Tags", tag_list(creation->options)))) {
		json_object_put(request);
		request = NULL;
	}
	code = call_table(creation, "TagResource", request, &result, error);
	if (code == AWSFLOCK_OK)
		tell_progress(creation, "%zu tags set", creation->options->tag_count);
	else if (is_lack(creation, &result))
		tell_progress(creation, "warning: no tags: %s", error->message);
	if (is_lack(creation, &result))
		code = AWSFLOCK_OK;
	dynamodb_result_clear(&result);
	return code;
}

static void warn_of_replicas(const struct creation *creation)
{
	if (table_judge_replicas(creation->description) == TABLE_REPLICAS_EVENTUAL)
		tell_progress(creation,
			      "warning: %s is a global table with asynchronous replication: a lock taken in one "
			      "region does "
			      "not keep others out in another; use it from one region only",
			      creation->table->where);
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

static awsflock_code check_key(const struct creation *creation, awsflock_error *error)
{
	if (table_has_our_key(creation->description))
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_BAD_TABLE,
		"%s has another key than lock_id (a string) alone, and a table's key cannot be changed: choose "
		"another table name",
		creation->table->where);
}

static awsflock_code check_options(const awsflock_table_options *options, awsflock_error *error)
{
	if (options->read_units < 0 || options->write_units < 0 ||
	    (options->read_units == 0) != (options->write_units == 0))
		return error_set(error, AWSFLOCK_INVALID,
				 "read units and write units must both be given, and both be at least 1");
	for (size_t i = 0; i < options->tag_count; i++) {
		if (!options->tags[i].key || options->tags[i].key[0] == '\0' || !options->tags[i].value)
			return error_set(error, AWSFLOCK_INVALID, "a tag needs a key and a value");
	}
	return AWSFLOCK_OK;
}

static awsflock_code make_usable(struct creation *creation, awsflock_error *error)
{
	bool found;
	awsflock_code code = describe_table(creation, &found, error);

	if (code == AWSFLOCK_OK && found)
		tell_progress(creation, "%s exists", creation->table->where);
	if (code == AWSFLOCK_OK && !found)
		code = create_table(creation, error);
	if (code == AWSFLOCK_OK && !(found && is_status(creation, "ACTIVE")))
		code = wait_active(creation, error);
	if (code == AWSFLOCK_OK)
		code = check_key(creation, error);
	return code;
}

awsflock_code table_dynamodb_create(const struct table_dynamodb *table, const awsflock_table_options *options,
				    awsflock_error *error)
{
	static const awsflock_table_options defaults = AWSFLOCK_TABLE_OPTIONS_INIT;
	struct creation creation = { .table = table, .options = options ? options : &defaults };
	awsflock_error own_error;
	awsflock_code code;

	/* The warnings quote it, so there has to be one. */
	if (!error)
		error = &own_error;
	error_clear(error);
	code = check_options(creation.options, error);
	if (code == AWSFLOCK_OK)
		code = make_usable(&creation, error);
	if (code == AWSFLOCK_OK)
		code = ensure_protection(&creation, error);
	if (code == AWSFLOCK_OK)
		code = ensure_expiry(&creation, error);
	if (code == AWSFLOCK_OK)
		code = ensure_tags(&creation, error);
	if (code == AWSFLOCK_OK) {
		warn_of_replicas(&creation);
		tell_progress(&creation, "%s is ready", table->where);
		error_clear(error);
	}
	json_object_put(creation.description);
	return code;
}
