/* See expression.h.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/expression.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* ---- Requests: names, values and expressions in the making -------------------------------------------------- */

struct expression {
	struct json_object *request, *names, *values;
	struct buf update, condition;
	bool failed; /* no memory; sticky */
};

static void put(struct expression *expression, struct json_object *object, const char *key,
		struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return;
	json_object_put(value);
	expression->failed = true;
}

static struct json_object *typed_value(const char *type, struct json_object *value)
{
	struct json_object *object = value ? json_object_new_object() : NULL;

	if (object && json_object_object_add(object, type, value) == 0)
		return object;
	json_object_put(value);
	json_object_put(object);
	return NULL;
}

struct json_object *expression_string(const char *text)
{
	return typed_value("S", json_object_new_string(text));
}

/* DynamoDB's numbers travel as text. */
static struct json_object *number_value(int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	return typed_value("N", json_object_new_string(text));
}

/* Attributes are only named by an alias: some of their names are reserved words. */
static void use_name(struct expression *expression, const char *name)
{
	char alias[32];

	snprintf(alias, sizeof(alias), "#%s", name);
	put(expression, expression->names, alias, json_object_new_string(name));
}

/* "SET #a = :a, #b = :b": one more assignment of VALUE, named :NAME, to the attribute NAME. */
static void set_to(struct expression *expression, const char *name, const char *expression_text)
{
	use_name(expression, name);
	buf_printf(&expression->update, "%s#%s = %s", expression->update.size == 0 ? "SET " : ", ", name,
		   expression_text);
}

static void set_attribute(struct expression *expression, const char *name, struct json_object *value)
{
	char placeholder[32];

	snprintf(placeholder, sizeof(placeholder), ":%s", name);
	put(expression, expression->values, placeholder, value);
	set_to(expression, name, placeholder);
}

static void set_string(struct expression *expression, const char *name, const char *text)
{
	set_attribute(expression, name, expression_string(text));
}

static void set_number(struct expression *expression, const char *name, int64_t number)
{
	set_attribute(expression, name, number_value(number));
}

static void remove_attributes(struct expression *expression, const char *const *names)
{
	const char *before = " REMOVE ";

	for (; *names; names++) {
		use_name(expression, *names);
		buf_printf(&expression->update, "%s#%s", before, *names);
		before = ", ";
	}
}

static void begin_request(struct expression *expression, const char *table, const char *lock)
{
	struct json_object *key = json_object_new_object();

	*expression = (struct expression){ .request = json_object_new_object(),
					   .names = json_object_new_object(),
					   .values = json_object_new_object() };
	if (!expression->request || !expression->names || !expression->values || !key) {
		json_object_put(key);
		expression->failed = true;
		return;
	}
	put(expression, key, "lock_id", expression_string(lock));
	put(expression, expression->request, "TableName", json_object_new_string(table));
	put(expression, expression->request, "Key", key);
}

/* Puts the parts together; false where memory ran out. */
static bool finish_request(struct expression *expression, const char *return_values)
{
	struct json_object *request = expression->request;

	if (expression->failed || expression->update.failed || expression->condition.failed)
		return false;
	if (expression->update.size > 0)
		put(expression, request, "UpdateExpression", json_object_new_string(buf_text(&expression->update)));
	put(expression, request, "ConditionExpression", json_object_new_string(buf_text(&expression->condition)));
	put(expression, request, "ExpressionAttributeNames", expression->names);
	expression->names = NULL;
	put(expression, request, "ExpressionAttributeValues", expression->values);
	expression->values = NULL;
	put(expression, request, "ReturnValues", json_object_new_string(return_values));
	put(expression, request, "ReturnValuesOnConditionCheckFailure", json_object_new_string("ALL_OLD"));
	return !expression->failed;
}

static void expression_clear(struct expression *expression)
{
	json_object_put(expression->request);
	json_object_put(expression->names);
	json_object_put(expression->values);
	buf_free(&expression->update);
	buf_free(&expression->condition);
}

/* ---- Conditions --------------------------------------------------------------------------------------------- */

static void if_ours(struct expression *expression, const struct store_write *write)
{
	use_name(expression, "lease_id");
	use_name(expression, "released_time");
	buf_puts(&expression->condition, "#lease_id IN (");
	for (size_t i = 0; i < write->accepted_count; i++) {
		char placeholder[32];

		snprintf(placeholder, sizeof(placeholder), ":accepted%zu", i);
		put(expression, expression->values, placeholder, expression_string(write->accepted[i]));
		buf_printf(&expression->condition, "%s%s", i > 0 ? ", " : "", placeholder);
	}
	buf_puts(&expression->condition, ") AND attribute_not_exists(#released_time)");
}

static void if_seen(struct expression *expression, const struct store_write *write)
{
	use_name(expression, "lease_id");
	put(expression, expression->values, ":seen", expression_string(write->accepted[0]));
	buf_puts(&expression->condition, "#lease_id = :seen");
}

/* No clock decides here.  The fence keeps a delayed duplicate of an old acquire out of a tombstone. */
static void if_free(struct expression *expression)
{
	use_name(expression, "lock_id");
	buf_puts(&expression->condition,
		 "attribute_not_exists(#lock_id) OR (attribute_exists(#released_time) AND #fence < :fence)");
}

/* ---- Updates ------------------------------------------------------------------------------------------------ */

static struct json_object *holder_value(struct expression *expression, const struct holder *holder)
{
	const struct {
		const char *name, *text;
	} texts[] = { { "user", holder->user },       { "host", holder->host },   { "tty", holder->tty },
		      { "service", holder->service }, { "rhost", holder->rhost }, { "purpose", holder->purpose } };
	struct json_object *map = json_object_new_object();

	if (!map)
		return NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].text)
			put(expression, map, texts[i].name, expression_string(texts[i].text));
	}
	if (holder->pid > 0)
		put(expression, map, "pid", number_value(holder->pid));
	return typed_value("M", map);
}

/* Everything that a grant writes; what the last holder left goes. */
static void set_grant(struct expression *expression, const struct store_write *write)
{
	const char *gone[6] = { "released_time", "broken_by", "broken_time" };
	size_t gone_count = 3;

	set_string(expression, "lease_id", write->lease_id);
	set_number(expression, "lease_duration", write->lease_duration);
	set_number(expression, "expiration_time", write->expiration_time);
	set_number(expression, "fence", (int64_t)write->fence);
	set_number(expression, "acquired_time", write->now_time);
	if (write->owner)
		set_string(expression, "owner", write->owner);
	else
		gone[gone_count++] = "owner";
	if (write->holder)
		set_attribute(expression, "holder", holder_value(expression, write->holder));
	else
		gone[gone_count++] = "holder";
	remove_attributes(expression, gone);
}

static void set_renewal(struct expression *expression, const struct store_write *write)
{
	set_string(expression, "lease_id", write->lease_id);
	set_number(expression, "lease_duration", write->lease_duration);
	set_number(expression, "expiration_time", write->expiration_time);
	if (write->owner)
		set_string(expression, "owner", write->owner);
	if (write->fence != 0)
		set_number(expression, "fence", (int64_t)write->fence);
	if_ours(expression, write);
	if (write->only_if_longer)
		buf_puts(&expression->condition, " AND #expiration_time <= :expiration_time");
}

static void set_eviction(struct expression *expression, const struct store_write *write)
{
	set_string(expression, "broken_by", write->broken_by);
	set_number(expression, "broken_time", write->now_time);
}

static void set_tombstone(struct expression *expression, const struct store_write *write)
{
	static const char *const gone[] = { "holder", "acquired_time", NULL };

	set_string(expression, "lease_id", write->lease_id);
	set_number(expression, "released_time", write->now_time);
	set_number(expression, "expiration_time", write->expiration_time);
	put(expression, expression->values, ":fence", number_value((int64_t)write->fence));
	put(expression, expression->values, ":one", number_value(1));
	set_to(expression, "fence", "if_not_exists(#fence, :fence) + :one");
	if (write->broken_by)
		set_eviction(expression, write);
	remove_attributes(expression, gone);
	if_ours(expression, write);
}

static void express_write(struct expression *expression, const struct store_write *write)
{
	switch (write->kind) {
	case STORE_ACQUIRE:
		set_grant(expression, write);
		if_free(expression);
		break;
	case STORE_RECLAIM:
		set_grant(expression, write);
		if_seen(expression, write);
		break;
	case STORE_RENEW:
		set_renewal(expression, write);
		break;
	case STORE_RELEASE:
		set_tombstone(expression, write);
		break;
	case STORE_DELETE:
		if_ours(expression, write);
		break;
	case STORE_BREAK:
		set_string(expression, "lease_id", write->lease_id);
		set_eviction(expression, write);
		if_ours(expression, write);
		break;
	case STORE_SETTLE:
		set_number(expression, "expiration_time", write->expiration_time);
		if_seen(expression, write);
		break;
	}
}

struct json_object *expression_write(const char *table, const struct store_write *write)
{
	struct expression expression;
	struct json_object *request = NULL;

	begin_request(&expression, table, write->lock);
	if (!expression.failed)
		express_write(&expression, write);
	if (finish_request(&expression, write->kind == STORE_DELETE ? "ALL_OLD" : "ALL_NEW")) {
		request = expression.request;
		expression.request = NULL;
	}
	expression_clear(&expression);
	return request;
}
