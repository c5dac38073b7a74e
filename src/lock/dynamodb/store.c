/* The DynamoDB store: each write of the protocol as one conditional UpdateItem (or DeleteItem).
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "lock/dynamodb/diagnosis.h"
#include "lock/dynamodb/expression.h"
#include "lock/dynamodb/item.h"
#include "lock/dynamodb/table.h"

#define SCAN_PAGE_ITEMS 100
#define SCAN_REPLY_LIMIT ((size_t)16 * 1024 * 1024)

struct store_dynamodb {
	struct store store;
	struct dynamodb *client;
	char *table, *where;
	/* A failed condition's reply without an item means that there is none.  So it is with DynamoDB itself;
	 * other servers are believed once they have shown that they know ReturnValuesOnConditionCheckFailure. */
	bool shows_items;
};

/* ---- Replies ----------------------------------------------------------------------------------------------- */

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
	reply->sent = result->sent;
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
	const char *lease_id = item_attribute_text(attributes, "lease_id", "S");

	if (!lease_id)
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
	if (!attributes || !shows_our_write(write, attributes))
		return error_set(
			error, AWSFLOCK_PROTOCOL,
			"%s said that the write was made, but does not show it: is it DynamoDB that answers there?",
			store->where);
	code = item_from_dynamodb(store->where, write->lock, attributes, &reply->item, error);
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
	if (!item) {
		/* Without any item there would have been nothing to refuse an acquire for. */
		reply->item_unknown = !store->shows_items || write->kind == STORE_ACQUIRE;
		return AWSFLOCK_OK;
	}
	store->shows_items = true;
	code = item_from_dynamodb(store->where, write->lock, item, &reply->item, error);
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
	if (write->kind == STORE_BREAK && !write->broken_by)
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
	struct json_object *request;
	awsflock_code code = check_write(write, error);

	*reply = (struct store_reply){ 0 };
	if (code != AWSFLOCK_OK)
		return code;
	request = expression_write(store->table, write);
	code = request ? send_write(store, write, request, reply, error) : error_out_of_memory(error);
	json_object_put(request);
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

static bool add_member(struct json_object *object, const char *key, struct json_object *value)
{
	if (value && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* The caller puts it; NULL without memory. */
static struct json_object *read_request(const char *table, const char *lock, bool consistent)
{
	struct json_object *request = json_object_new_object(), *key = json_object_new_object();

	if (request && key && add_member(key, "lock_id", expression_string(lock)) &&
	    add_member(request, "TableName", json_object_new_string(table)) &&
	    add_member(request, "Key", json_object_get(key)) &&
	    add_member(request, "ConsistentRead", json_object_new_boolean(consistent))) {
		json_object_put(key);
		return request;
	}
	json_object_put(key);
	json_object_put(request);
	return NULL;
}

static awsflock_code read_lock(struct store *head, const char *lock, bool consistent, int64_t give_up_boot_ns,
			       struct store_reply *reply, awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;
	struct dynamodb_call call = { .operation = "GetItem",
				      .give_up_boot_ns = give_up_boot_ns,
				      .table = store->table };
	struct dynamodb_result result;
	struct json_object *item;
	awsflock_code code;

	*reply = (struct store_reply){ 0 };
	call.request = read_request(store->table, lock, consistent);
	if (!call.request)
		return error_out_of_memory(error);
	code = call_read(store, &call, &result, error);
	take_times(&result, reply);
	reply->attempt_unknown = reply->maybe_applied = false; /* a read changes nothing */
	if (code == AWSFLOCK_OK && result.condition_failed)
		code = error_set(error, AWSFLOCK_PROTOCOL, "%s answers a read as if it had a condition: %s",
				 store->store.where, "check what stands between this machine and DynamoDB");
	item = code == AWSFLOCK_OK ? object_member(result.reply, "Item") : NULL;
	if (item) {
		code = item_from_dynamodb(store->where, lock, item, &reply->item, error);
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
	bool added =
		names && values && add_member(names, "#lock_id", json_object_new_string("lock_id")) &&
		add_member(values, ":prefix", expression_string(prefix)) &&
		add_member(request, "FilterExpression", json_object_new_string("begins_with(#lock_id, :prefix)")) &&
		add_member(request, "ExpressionAttributeNames", json_object_get(names)) &&
		add_member(request, "ExpressionAttributeValues", json_object_get(values));

	json_object_put(names);
	json_object_put(values);
	return added;
}

static struct json_object *scan_request(const char *table, const char *prefix)
{
	struct json_object *request = json_object_new_object();

	if (request && add_member(request, "TableName", json_object_new_string(table)) &&
	    add_member(request, "Limit", json_object_new_int(SCAN_PAGE_ITEMS)) &&
	    add_member(request, "ConsistentRead", json_object_new_boolean(true)) &&
	    (!prefix || prefix[0] == '\0' || add_prefix_filter(request, prefix)))
		return request;
	json_object_put(request);
	return NULL;
}

/* *MORE false: the caller has seen enough. */
static awsflock_code hand_out(struct store_dynamodb *store, struct json_object *object, store_list_fn *each,
			      void *arg, bool *more, awsflock_error *error)
{
	struct lock_item item = { 0 };
	awsflock_error fault;
	awsflock_code code;

	if (!json_object_is_type(object, json_type_object)) {
		*more = each(arg, NULL, "an entry that is no item");
		return AWSFLOCK_OK;
	}
	code = item_from_dynamodb(store->where, NULL, object, &item, &fault);
	if (code == AWSFLOCK_MEMORY)
		return error_out_of_memory(error);
	if (code == AWSFLOCK_OK)
		*more = each(arg, &item, NULL);
	else
		*more = each(arg, NULL, fault.message);
	lock_item_clear(&item);
	return AWSFLOCK_OK;
}

static awsflock_code hand_out_page(struct store_dynamodb *store, struct json_object *page, store_list_fn *each,
				   void *arg, bool *more, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_OK;
	struct json_object *items;
	size_t count;

	if (!json_object_object_get_ex(page, "Items", &items) || !json_object_is_type(items, json_type_array))
		return error_set(error, AWSFLOCK_PROTOCOL, "the listing of %s came without a list of items",
				 store->where);
	count = json_object_array_length(items);
	for (size_t i = 0; code == AWSFLOCK_OK && *more && i < count; i++)
		code = hand_out(store, json_object_array_get_idx(items, i), each, arg, more, error);
	return code;
}

/* One page; *MORE false at the end. */
static awsflock_code list_page(struct store_dynamodb *store, struct json_object *request, store_list_fn *each,
			       void *arg, bool *more, awsflock_error *error)
{
	const struct dynamodb_call call = { .operation = "Scan",
					    .request = request,
					    .reply_limit = SCAN_REPLY_LIMIT,
					    .give_up_boot_ns = runtime_boot_ns(store->store.runtime) +
							       STORE_ONE_TRY_MS * NS_PER_MS,
					    .table = store->table };
	struct json_object *last = NULL;
	struct dynamodb_result result;
	awsflock_code code = call_read(store, &call, &result, error);

	if (code == AWSFLOCK_OK) {
		code = hand_out_page(store, result.reply, each, arg, more, error);
		last = object_member(result.reply, "LastEvaluatedKey");
	}
	if (!last)
		*more = false;
	else if (*more && !add_member(request, "ExclusiveStartKey", json_object_get(last)))
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

	if (!request)
		return error_out_of_memory(error);
	while (code == AWSFLOCK_OK && more)
		code = list_page(store, request, each, arg, &more, error);
	json_object_put(request);
	return code;
}

/* ---- The store ---------------------------------------------------------------------------------------------- */

static struct table_dynamodb table_of(struct store_dynamodb *store)
{
	return (struct table_dynamodb){ store->store.runtime, store->client, &store->store.time, store->table,
					store->where };
}

static awsflock_code create_table(struct store *head, const awsflock_table_options *options, awsflock_error *error)
{
	const struct table_dynamodb table = table_of((struct store_dynamodb *)head);

	return table_dynamodb_create(&table, options, error);
}

static bool diagnose_table(struct store *head, const char *scratch, const struct diagnosis *diagnosis)
{
	const struct table_dynamodb table = table_of((struct store_dynamodb *)head);

	return diagnose_dynamodb(head, &table, scratch, diagnosis);
}

static void free_store(struct store *head)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;

	if (!store)
		return;
	dynamodb_free(&store->client);
	free(store->table);
	free(store->where);
	free(store->store.name);
	free(store);
}

static awsflock_code sign_in(struct store *head, awsflock_error *error)
{
	struct store_dynamodb *store = (struct store_dynamodb *)head;
	const struct credentials *credentials;

	return dynamodb_credentials(store->client, &head->time, &credentials, error);
}

static void foresee(struct store *head, int64_t seconds)
{
	dynamodb_foresee(((struct store_dynamodb *)head)->client, &head->time, seconds);
}

static const struct store_ops ops = {
	.write = write_item,
	.read = read_lock,
	.list = list_locks,
	.create = create_table,
	.free = free_store,
	.diagnose = diagnose_table,
	.sign_in = sign_in,
	.foresee = foresee,
};

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
	return store->store.name && store->where;
}

awsflock_code store_dynamodb_new(struct runtime *runtime, struct dynamodb *client, const char *table,
				 struct store **out, awsflock_error *error)
{
	struct store_dynamodb *store = calloc(1, sizeof(*store));

	if (!store) {
		dynamodb_free(&client);
		return error_out_of_memory(error);
	}
	store->store.ops = &ops;
	store->store.runtime = runtime;
	store->client = client;
	store->table = strdup(table);
	store->shows_items = dynamodb_endpoint(client)->is_aws;
	server_time_init(&store->store.time);
	if (!store->table || !name_store(store)) {
		free_store(&store->store);
		return error_out_of_memory(error);
	}
	*out = &store->store;
	return AWSFLOCK_OK;
}
