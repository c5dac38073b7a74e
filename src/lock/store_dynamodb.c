/* The DynamoDB store: each write of the protocol as one conditional UpdateItem (or DeleteItem).
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/store_dynamodb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "lock/table_dynamodb.h"

/* What an IN of DynamoDB's expressions takes. */
#define ACCEPTED_MAX 100
#define SCAN_PAGE_ITEMS 100
#define SCAN_REPLY_LIMIT ((size_t)16 * 1024 * 1024)
/* DynamoDB's numbers have 38 digits at most. */
#define DIGITS_MAX 48

struct store_dynamodb {
	struct store store;
	struct dynamodb *client;
	char *table, *where;
	/* A failed condition's reply without an item means that there is none.  So it is with DynamoDB itself;
	 * other servers are believed once they have shown that they know ReturnValuesOnConditionCheckFailure. */
	bool shows_items;
};

/* ---- Requests: names, values and expressions in the making -------------------------------------------------- */

struct expression {
	struct json_object *request, *names, *values;
	struct buf update, condition;
	bool failed; /* no memory; sticky */
};

static void put(struct expression *expression, struct json_object *object, const char *key,
		struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, key, value) == 0)
		return;
	json_object_put(value);
	expression->failed = true;
}

static struct json_object *typed(const char *type, struct json_object *value)
{
	struct json_object *object = value != NULL ? json_object_new_object() : NULL;

	if (object != NULL && json_object_object_add(object, type, value) == 0)
		return object;
	json_object_put(value);
	json_object_put(object);
	return NULL;
}

static struct json_object *string_value(const char *text)
{
	return typed("S", json_object_new_string(text));
}

/* DynamoDB's numbers travel as text. */
static struct json_object *number_value(int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	return typed("N", json_object_new_string(text));
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

static void set(struct expression *expression, const char *name, struct json_object *value)
{
	char placeholder[32];

	snprintf(placeholder, sizeof(placeholder), ":%s", name);
	put(expression, expression->values, placeholder, value);
	set_to(expression, name, placeholder);
}

static void set_string(struct expression *expression, const char *name, const char *text)
{
	set(expression, name, string_value(text));
}

static void set_number(struct expression *expression, const char *name, int64_t number)
{
	set(expression, name, number_value(number));
}

static void remove_attributes(struct expression *expression, const char *const *names)
{
	const char *before = " REMOVE ";

	for (; *names != NULL; names++) {
		use_name(expression, *names);
		buf_printf(&expression->update, "%s#%s", before, *names);
		before = ", ";
	}
}

static void begin(struct expression *expression, const char *table, const char *lock)
{
	struct json_object *key = json_object_new_object();

	*expression = (struct expression){ .request = json_object_new_object(),
					   .names = json_object_new_object(),
					   .values = json_object_new_object() };
	if (expression->request == NULL || expression->names == NULL || expression->values == NULL || key == NULL) {
		json_object_put(key);
		expression->failed = true;
		return;
	}
	put(expression, key, "lock_id", string_value(lock));
	put(expression, expression->request, "TableName", json_object_new_string(table));
	put(expression, expression->request, "Key", key);
}

/* Puts the parts together; false where memory ran out. */
static bool finish(struct expression *expression, const char *return_values)
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
		put(expression, expression->values, placeholder, string_value(write->accepted[i]));
		buf_printf(&expression->condition, "%s%s", i > 0 ? ", " : "", placeholder);
	}
	buf_puts(&expression->condition, ") AND attribute_not_exists(#released_time)");
}

static void if_seen(struct expression *expression, const struct store_write *write)
{
	use_name(expression, "lease_id");
	put(expression, expression->values, ":seen", string_value(write->accepted[0]));
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

	if (map == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].text != NULL)
			put(expression, map, texts[i].name, string_value(texts[i].text));
	}
	if (holder->pid > 0)
		put(expression, map, "pid", number_value(holder->pid));
	return typed("M", map);
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
	if (write->owner != NULL)
		set_string(expression, "owner", write->owner);
	else
		gone[gone_count++] = "owner";
	if (write->holder != NULL)
		set(expression, "holder", holder_value(expression, write->holder));
	else
		gone[gone_count++] = "holder";
	remove_attributes(expression, gone);
}

static void set_renewal(struct expression *expression, const struct store_write *write)
{
	set_string(expression, "lease_id", write->lease_id);
	set_number(expression, "lease_duration", write->lease_duration);
	set_number(expression, "expiration_time", write->expiration_time);
	if (write->owner != NULL)
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
	if (write->broken_by != NULL)
		set_eviction(expression, write);
	remove_attributes(expression, gone);
	if_ours(expression, write);
}

static void express(struct expression *expression, const struct store_write *write)
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

/* ---- Items -------------------------------------------------------------------------------------------------- */

/* The member TYPE of attribute NAME as text; NULL where the attribute is missing or of another type. */
static const char *attribute_text(struct json_object *item, const char *name, const char *type)
{
	struct json_object *attribute, *value;
	const char *text;

	if (!json_object_object_get_ex(item, name, &attribute) ||
	    !json_object_is_type(attribute, json_type_object) ||
	    !json_object_object_get_ex(attribute, type, &value) || !json_object_is_type(value, json_type_string))
		return NULL;
	text = json_object_get_string(value);
	/* A zero byte within would make the text look shorter than it is. */
	return text != NULL && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

static bool has_attribute(struct json_object *item, const char *name)
{
	return json_object_object_get_ex(item, name, NULL);
}

/* Takes "[digits][.digits]" off *TEXT: the digits into DIGITS, and how many stood behind the point. */
static bool take_mantissa(const char **text, char digits[DIGITS_MAX], size_t *count, int64_t *behind_point)
{
	bool point = false;

	*count = 0;
	*behind_point = 0;
	for (; (**text >= '0' && **text <= '9') || (**text == '.' && !point); (*text)++) {
		if (**text == '.') {
			point = true;
			continue;
		}
		if (*count == DIGITS_MAX - 1)
			return false;
		digits[(*count)++] = **text;
		*behind_point += point ? 1 : 0;
	}
	return *count > 0;
}

/* A whole number, perhaps as "1.7E9": DynamoDB may give numbers in the form in which they were sent to it. */
static bool parse_number(const char *text, int64_t *out)
{
	char digits[DIGITS_MAX], plain[DIGITS_MAX + 2];
	size_t count;
	int64_t behind_point, exponent = 0;
	bool negative = text[0] == '-';

	text += negative || text[0] == '+' ? 1 : 0;
	if (!take_mantissa(&text, digits, &count, &behind_point))
		return false;
	if ((*text == 'E' || *text == 'e') &&
	    !text_parse_int64(text + (text[1] == '+' ? 2 : 1), -130, 130, &exponent))
		return false;
	if (*text != '\0' && *text != 'E' && *text != 'e')
		return false;
	for (exponent -= behind_point; exponent < 0; exponent++) {
		if (count == 0 || digits[--count] != '0')
			return false;
		if (count == 0)
			digits[count++] = '0';
	}
	for (; exponent > 0; exponent--) {
		if (count == DIGITS_MAX - 1)
			return false;
		digits[count++] = '0';
	}
	snprintf(plain, sizeof(plain), "%s%.*s", negative ? "-" : "", (int)count, digits);
	return text_parse_int64(plain, INT64_MIN, INT64_MAX, out);
}

static bool attribute_number(struct json_object *item, const char *name, int64_t *out)
{
	const char *text = attribute_text(item, name, "N");

	return text != NULL && parse_number(text, out);
}

/* For what is only told to people: 0 where it is missing or no such number. */
static int64_t positive_number(struct json_object *item, const char *name)
{
	int64_t number;

	return attribute_number(item, name, &number) && number > 0 ? number : 0;
}

/* *OUT stays NULL where the attribute is missing or no string; false without memory. */
static bool copy_text(struct json_object *item, const char *name, char **out)
{
	const char *text = attribute_text(item, name, "S");

	*out = text != NULL ? strdup(text) : NULL;
	return text == NULL || *out != NULL;
}

static bool read_holder(struct json_object *item, struct holder *holder)
{
	struct json_object *attribute, *map;

	if (!json_object_object_get_ex(item, "holder", &attribute) ||
	    !json_object_is_type(attribute, json_type_object) || !json_object_object_get_ex(attribute, "M", &map) ||
	    !json_object_is_type(map, json_type_object))
		return true;
	holder->pid = positive_number(map, "pid");
	return copy_text(map, "user", &holder->user) && copy_text(map, "host", &holder->host) &&
	       copy_text(map, "tty", &holder->tty) && copy_text(map, "service", &holder->service) &&
	       copy_text(map, "rhost", &holder->rhost) && copy_text(map, "purpose", &holder->purpose);
}

static awsflock_code bad_item(const struct store_dynamodb *store, const char *lock, const char *attribute,
			      const char *expected, awsflock_error *error)
{
	return error_set(
		error, AWSFLOCK_BAD_ITEM,
		"the item of lock '%s' in %s is damaged: its %s is not %s; mend that attribute, or delete the item "
		"once nobody works under the lock",
		lock, store->where, attribute, expected);
}

static awsflock_code read_required(const struct store_dynamodb *store, const char *lock, struct json_object *object,
				   struct lock_item *item, awsflock_error *error)
{
	const char *lease_id = attribute_text(object, "lease_id", "S");

	if (lease_id == NULL || lease_id[0] == '\0')
		return bad_item(store, lock, "lease_id", "a string", error);
	if (!attribute_number(object, "expiration_time", &item->expiration_time) ||
	    __builtin_mul_overflow(item->expiration_time, MS_PER_S, &item->expires_store_ms))
		return bad_item(store, lock, "expiration_time", "a whole number of seconds", error);
	if (has_attribute(object, "lease_duration") &&
	    (!attribute_number(object, "lease_duration", &item->lease_duration) || item->lease_duration < 0))
		return bad_item(store, lock, "lease_duration", "a whole number of seconds", error);
	item->lock_id = strdup(lock);
	item->lease_id = strdup(lease_id);
	return item->lock_id != NULL && item->lease_id != NULL ? AWSFLOCK_OK : error_out_of_memory(error);
}

static awsflock_code read_optional(struct json_object *object, struct lock_item *item, awsflock_error *error)
{
	item->fence = (uint64_t)positive_number(object, "fence");
	item->acquired_time = positive_number(object, "acquired_time");
	item->broken_time = positive_number(object, "broken_time");
	item->released = has_attribute(object, "released_time");
	if (!copy_text(object, "owner", &item->owner) || !copy_text(object, "broken_by", &item->broken_by) ||
	    !read_holder(object, &item->holder))
		return error_out_of_memory(error);
	return AWSFLOCK_OK;
}

/* LOCK: whose item it must be; NULL: whatever it is. */
static awsflock_code read_item(const struct store_dynamodb *store, const char *lock, struct json_object *object,
			       struct lock_item *out, awsflock_error *error)
{
	const char *lock_id = attribute_text(object, "lock_id", "S");
	struct lock_item item = { 0 };
	awsflock_code code;

	if (lock_id == NULL)
		return bad_item(store, lock != NULL ? lock : "?", "lock_id", "a string", error);
	if (lock != NULL && strcmp(lock, lock_id) != 0)
		return error_set(error, AWSFLOCK_PROTOCOL, "asked for lock '%s', %s answered with '%s'", lock,
				 store->where, lock_id);
	code = read_required(store, lock_id, object, &item, error);
	if (code == AWSFLOCK_OK)
		code = read_optional(object, &item, error);
	if (code != AWSFLOCK_OK) {
		lock_item_clear(&item);
		return code;
	}
	*out = item;
	return AWSFLOCK_OK;
}

/* The object NAME of REPLY, or NULL. */
static struct json_object *object_member(struct json_object *reply, const char *name)
{
	struct json_object *member;

	if (!json_object_object_get_ex(reply, name, &member) || !json_object_is_type(member, json_type_object) ||
	    json_object_object_length(member) == 0)
		return NULL;
	return member;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

static void take_times(const struct dynamodb_result *result, struct store_reply *reply)
{
	reply->attempt_unknown = result->attempt_unknown;
	reply->maybe_applied = result->maybe_applied;
	reply->first_sent_boot_ns = result->first_sent_boot_ns;
	reply->received_boot_ns = result->received_boot_ns;
	reply->has_store_time = result->has_date;
	reply->store_time_ms = result->date_seconds * MS_PER_S;
}

static bool is_accepted(const struct store_write *write, const char *lease_id)
{
	for (size_t i = 0; i < write->accepted_count; i++) {
		if (strcmp(write->accepted[i], lease_id) == 0)
			return true;
	}
	return false;
}

/* Whether the item that a 200 shows is one that this write can have left (or, for STORE_DELETE, removed). */
static bool shows_our_write(const struct store_write *write, struct json_object *attributes)
{
	const char *lease_id = attribute_text(attributes, "lease_id", "S");

	if (lease_id == NULL)
		return false;
	switch (write->kind) {
	case STORE_DELETE:
		return is_accepted(write, lease_id);
	case STORE_SETTLE:
		return strcmp(lease_id, write->accepted[0]) == 0;
	default:
		return strcmp(lease_id, write->lease_id) == 0;
	}
}

static awsflock_code take_applied(struct store_dynamodb *store, const struct store_write *write,
				  struct json_object *reply_object, struct store_reply *reply,
				  awsflock_error *error)
{
	struct json_object *attributes = object_member(reply_object, "Attributes");
	awsflock_code code;

	reply->outcome = STORE_APPLIED;
	reply->maybe_applied = true;
	if (attributes == NULL || !shows_our_write(write, attributes))
		return error_set(
			error, AWSFLOCK_PROTOCOL,
			"%s said that the write was made, but does not show it: is it DynamoDB that answers there?",
			store->where);
	code = read_item(store, write->lock, attributes, &reply->item, error);
	reply->has_item = code == AWSFLOCK_OK;
	return code;
}

static awsflock_code take_refused(struct store_dynamodb *store, const struct store_write *write,
				  struct json_object *reply_object, struct store_reply *reply,
				  awsflock_error *error)
{
	struct json_object *item = object_member(reply_object, "Item");
	awsflock_code code;

	reply->outcome = STORE_REFUSED;
	if (item == NULL) {
		/* Without any item there would have been nothing to refuse an acquire for. */
		reply->item_unknown = !store->shows_items || write->kind == STORE_ACQUIRE;
		return AWSFLOCK_OK;
	}
	store->shows_items = true;
	code = read_item(store, write->lock, item, &reply->item, error);
	reply->has_item = code == AWSFLOCK_OK;
	return code;
}

static awsflock_code check_write(const struct store_write *write, awsflock_error *error)
{
	bool needs_accepted = write->kind != STORE_ACQUIRE;
	bool sets_fence = write->kind != STORE_DELETE && write->kind != STORE_BREAK && write->kind != STORE_SETTLE;

	if ((needs_accepted && write->accepted_count == 0) || write->accepted_count > ACCEPTED_MAX)
		return error_set(error, AWSFLOCK_INTERNAL, "a write under %zu lease ids", write->accepted_count);
	if (sets_fence && write->fence > INT64_MAX)
		return error_set(error, AWSFLOCK_INTERNAL, "a write of a fence beyond 63 bits");
	if (write->kind == STORE_BREAK && write->broken_by == NULL)
		return error_set(error, AWSFLOCK_INTERNAL, "an eviction by nobody");
	return AWSFLOCK_OK;
}

static awsflock_code send_write(struct store_dynamodb *store, const struct store_write *write,
				struct json_object *request, struct store_reply *reply, awsflock_error *error)
{
	const struct dynamodb_call call = { .operation = write->kind == STORE_DELETE ? "DeleteItem" : "UpdateItem",
					    .request = request,
					    .give_up_boot_ns = write->give_up_boot_ns,
					    .table = store->table };
	struct dynamodb_result result;
	awsflock_code code = dynamodb_call(store->client, &call, &store->store.time, &result, error);

	take_times(&result, reply);
	if (code == AWSFLOCK_OK && result.condition_failed)
		code = take_refused(store, write, result.reply, reply, error);
	else if (code == AWSFLOCK_OK)
		code = take_applied(store, write, result.reply, reply, error);
	dynamodb_result_clear(&result);
	return code;
}

static awsflock_code write_item(struct store *head, const struct store_write *write, struct store_reply *reply,
				awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;
	struct expression expression;
	awsflock_code code = check_write(write, error);

	*reply = (struct store_reply){ 0 };
	if (code != AWSFLOCK_OK)
		return code;
	begin(&expression, store->table, write->lock);
	if (!expression.failed)
		express(&expression, write);
	if (finish(&expression, write->kind == STORE_DELETE ? "ALL_OLD" : "ALL_NEW"))
		code = send_write(store, write, expression.request, reply, error);
	else
		code = error_out_of_memory(error);
	expression_clear(&expression);
	return code;
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* A read is the same whenever it is made, so that a refusal for the clock's sake is repeated with the time that it
 * told. */
static awsflock_code call_read(struct store_dynamodb *store, const struct dynamodb_call *call,
			       struct dynamodb_result *result, awsflock_error *error)
{
	awsflock_code code = dynamodb_call(store->client, call, &store->store.time, result, error);

	if (code != AWSFLOCK_CLOCK_SKEW || !result->has_date)
		return code;
	dynamodb_result_clear(result);
	return dynamodb_call(store->client, call, &store->store.time, result, error);
}

static bool add(struct json_object *object, const char *key, struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* The caller puts it; NULL without memory. */
static struct json_object *read_request(const char *table, const char *lock, bool consistent)
{
	struct json_object *request = json_object_new_object(), *key = json_object_new_object();

	if (request != NULL && key != NULL && add(key, "lock_id", string_value(lock)) &&
	    add(request, "TableName", json_object_new_string(table)) && add(request, "Key", json_object_get(key)) &&
	    add(request, "ConsistentRead", json_object_new_boolean(consistent))) {
		json_object_put(key);
		return request;
	}
	json_object_put(key);
	json_object_put(request);
	return NULL;
}

static awsflock_code read_lock(struct store *head, const char *lock, bool consistent, struct store_reply *reply,
			       awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;
	struct dynamodb_call call = { .operation = "GetItem", .give_up_boot_ns = INT64_MAX, .table = store->table };
	struct dynamodb_result result;
	struct json_object *item;
	awsflock_code code;

	*reply = (struct store_reply){ 0 };
	call.request = read_request(store->table, lock, consistent);
	if (call.request == NULL)
		return error_out_of_memory(error);
	code = call_read(store, &call, &result, error);
	take_times(&result, reply);
	reply->attempt_unknown = reply->maybe_applied = false; /* a read changes nothing */
	if (code == AWSFLOCK_OK && result.condition_failed)
		code = error_set(error, AWSFLOCK_PROTOCOL, "%s answers a read as if it had a condition: %s",
				 store->store.where, "check what stands between this machine and DynamoDB");
	item = code == AWSFLOCK_OK ? object_member(result.reply, "Item") : NULL;
	if (item != NULL) {
		code = read_item(store, lock, item, &reply->item, error);
		reply->has_item = code == AWSFLOCK_OK;
	}
	dynamodb_result_clear(&result);
	json_object_put(call.request);
	return code;
}

/* ---- Listing ------------------------------------------------------------------------------------------------ */

static bool add_prefix_filter(struct json_object *request, const char *prefix)
{
	struct json_object *names = json_object_new_object(), *values = json_object_new_object();
	bool added = names != NULL && values != NULL && add(names, "#lock_id", json_object_new_string("lock_id")) &&
		     add(values, ":prefix", string_value(prefix)) &&
		     add(request, "FilterExpression", json_object_new_string("begins_with(#lock_id, :prefix)")) &&
		     add(request, "ExpressionAttributeNames", json_object_get(names)) &&
		     add(request, "ExpressionAttributeValues", json_object_get(values));

	json_object_put(names);
	json_object_put(values);
	return added;
}

static struct json_object *scan_request(const char *table, const char *prefix)
{
	struct json_object *request = json_object_new_object();

	if (request != NULL && add(request, "TableName", json_object_new_string(table)) &&
	    add(request, "Limit", json_object_new_int(SCAN_PAGE_ITEMS)) &&
	    add(request, "ConsistentRead", json_object_new_boolean(true)) &&
	    (prefix == NULL || prefix[0] == '\0' || add_prefix_filter(request, prefix)))
		return request;
	json_object_put(request);
	return NULL;
}

/* False: the caller has seen enough. */
static bool hand_out(struct store_dynamodb *store, struct json_object *object, store_list_fn *each, void *arg)
{
	struct lock_item item = { 0 };
	awsflock_error error;
	bool more;

	if (!json_object_is_type(object, json_type_object))
		return each(arg, NULL, "an entry that is no item");
	if (read_item(store, NULL, object, &item, &error) != AWSFLOCK_OK)
		return each(arg, NULL, error.message);
	more = each(arg, &item, NULL);
	lock_item_clear(&item);
	return more;
}

static awsflock_code hand_out_page(struct store_dynamodb *store, struct json_object *page, store_list_fn *each,
				   void *arg, bool *more, awsflock_error *error)
{
	struct json_object *items;
	size_t count;

	if (!json_object_object_get_ex(page, "Items", &items) || !json_object_is_type(items, json_type_array))
		return error_set(error, AWSFLOCK_PROTOCOL, "the listing of %s came without a list of items",
				 store->where);
	count = json_object_array_length(items);
	for (size_t i = 0; *more && i < count; i++)
		*more = hand_out(store, json_object_array_get_idx(items, i), each, arg);
	return AWSFLOCK_OK;
}

/* One page; *MORE false at the end. */
static awsflock_code list_page(struct store_dynamodb *store, struct json_object *request, store_list_fn *each,
			       void *arg, bool *more, awsflock_error *error)
{
	const struct dynamodb_call call = { .operation = "Scan",
					    .request = request,
					    .reply_limit = SCAN_REPLY_LIMIT,
					    .give_up_boot_ns = INT64_MAX,
					    .table = store->table };
	struct json_object *last = NULL;
	struct dynamodb_result result;
	awsflock_code code = call_read(store, &call, &result, error);

	if (code == AWSFLOCK_OK) {
		code = hand_out_page(store, result.reply, each, arg, more, error);
		last = object_member(result.reply, "LastEvaluatedKey");
	}
	if (last == NULL)
		*more = false;
	else if (*more && !add(request, "ExclusiveStartKey", json_object_get(last)))
		code = error_out_of_memory(error);
	dynamodb_result_clear(&result);
	return code;
}

static awsflock_code list_locks(struct store *head, const char *prefix, store_list_fn *each, void *arg,
				awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;
	struct json_object *request = scan_request(store->table, prefix);
	awsflock_code code = AWSFLOCK_OK;
	bool more = true;

	if (request == NULL)
		return error_out_of_memory(error);
	while (code == AWSFLOCK_OK && more)
		code = list_page(store, request, each, arg, &more, error);
	json_object_put(request);
	return code;
}

/* ---- The store ---------------------------------------------------------------------------------------------- */

static awsflock_code create(struct store *head, const awsflock_table_options *options, awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;

	return table_dynamodb_create(
		&(struct table_dynamodb){ head->runtime, store->client, &head->time, store->table, store->where },
		options, error);
}

static void free_store(struct store *head)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;

	if (store == NULL)
		return;
	dynamodb_free(&store->client);
	free(store->table);
	free(store->where);
	free(store->store.name);
	free(store);
}

static const struct store_ops ops = { write_item, read_lock, list_locks, create, free_store };

static bool name_store(struct store_dynamodb *store)
{
	const struct endpoint *endpoint = dynamodb_endpoint(store->client);
	struct buf name = BUF_INIT, where = BUF_INIT;

	buf_printf(&name, "dynamodb %s %s %s", endpoint->url, endpoint->region, store->table);
	buf_printf(&where, "table '%s' in %s", store->table, endpoint->region);
	if (!endpoint->is_aws)
		buf_printf(&where, " at %s", endpoint->url);
	store->store.name = buf_steal(&name);
	store->where = buf_steal(&where);
	store->store.where = store->where;
	return store->store.name != NULL && store->where != NULL;
}

awsflock_code store_dynamodb_new(struct runtime *runtime, struct dynamodb *client, const char *table,
				 struct store **out, awsflock_error *error)
{
	struct store_dynamodb *store = calloc(1, sizeof(*store));

	if (store == NULL) {
		dynamodb_free(&client);
		return error_out_of_memory(error);
	}
	store->store.ops = &ops;
	store->store.runtime = runtime;
	store->client = client;
	store->table = strdup(table);
	store->shows_items = dynamodb_endpoint(client)->is_aws;
	server_time_init(&store->store.time);
	if (store->table == NULL || !name_store(store)) {
		free_store(&store->store);
		return error_out_of_memory(error);
	}
	*out = &store->store;
	return AWSFLOCK_OK;
}
