/* Tests of lock/dynamodb/store.c over a fake transport: the exact expressions, and the reading of replies.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "fake_http.h"
#include "lock/dynamodb/store.h"

#define ID_A "aaaaaaaa-0000-4000-8000-000000000001"
#define ID_B "bbbbbbbb-0000-4000-8000-000000000002"
#define ID_C "cccccccc-0000-4000-8000-000000000003"

struct bench {
	struct fake_runtime runtime;
	struct fake_http http;
	struct store *store;
	struct store_reply reply;
	awsflock_error error;
};

static void bench_init_at(struct bench *bench, const char *url)
{
	memset(bench, 0, sizeof(*bench));
	fake_runtime_init(&bench->runtime);
	fake_http_init(&bench->http, &bench->runtime);
	struct dynamodb *client = fake_http_client(&bench->http, url);
	assert_int_equal(
		store_dynamodb_new(&bench->runtime.runtime, client, "awsflock", &bench->store, &bench->error),
		AWSFLOCK_OK);
}

static void bench_init(struct bench *bench)
{
	bench_init_at(bench, NULL);
}

static void bench_clear(struct bench *bench)
{
	store_reply_clear(&bench->reply);
	store_free(&bench->store);
	assert_int_equal(bench->http.freed, 1);
	fake_http_clear(&bench->http);
}

static const char *const accepted[] = { ID_A, ID_B };

static const struct holder holder = { .user = "ann", .host = "bastion", .purpose = "träum", .pid = 42 };

static struct store_write write_of(enum store_write_kind kind)
{
	return (struct store_write){ .kind = kind,
				     .lock = "ops",
				     .lease_id = ID_C,
				     .accepted = accepted,
				     .accepted_count = 2,
				     .lease_duration = 60,
				     .expires_store_ms = INT64_C(1790000062000),
				     .expiration_time = 1790000062,
				     .fence = UINT64_C(1790000000123),
				     .now_time = 1790000000,
				     .owner = "me",
				     .holder = &holder,
				     .give_up_boot_ns = INT64_MAX };
}

static awsflock_code write_once(struct bench *bench, const struct store_write *write)
{
	store_reply_clear(&bench->reply);
	return bench->store->ops->write(bench->store, write, &bench->reply, &bench->error);
}

/* The plain member NAME, "" where there is none. */
static const char *member(struct json_object *request, const char *name)
{
	struct json_object *found;
	return json_object_object_get_ex(request, name, &found) ? json_object_get_string(found) : "";
}

/* What is sent must mean the same as EXPECTED, member by member. */
static void assert_sent(const struct store_write *write, const char *target, const char *expected)
{
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
	assert_int_equal(write_once(&bench, write), AWSFLOCK_OK);
	struct json_object *sent = fake_http_body(&bench.http, 0), *wanted = json_tokener_parse(expected);
	assert_non_null(wanted);
	json_object_object_foreach(wanted, key, value)
	{
		if (strcmp(json_object_get_string(value), member(sent, key)) != 0)
			print_error("%s:\n sent   %s\n wanted %s\n", key, member(sent, key),
				    json_object_get_string(value));
		assert_string_equal(member(sent, key), json_object_get_string(value));
	}
	assert_int_equal(json_object_object_length(sent), json_object_object_length(wanted));
	assert_string_equal(bench.http.requests[0].target, target);
	json_object_put(sent);
	json_object_put(wanted);
	bench_clear(&bench);
}

#define UPDATE "DynamoDB_20120810.UpdateItem"
#define TABLE_AND_KEY "\"TableName\":\"awsflock\",\"Key\":{\"lock_id\":{\"S\":\"ops\"}}"
#define RETURNS "\"ReturnValues\":\"ALL_NEW\",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\""
#define GRANT_SET                                                                                                  \
	"\"UpdateExpression\":\"SET #lease_id = :lease_id, #lease_duration = :lease_duration, "                    \
	"#expiration_time = :expiration_time, #fence = :fence, #acquired_time = :acquired_time, "                  \
	"#owner = :owner, #holder = :holder REMOVE #released_time, #broken_by, #broken_time\""
#define GRANT_NAMES                                                                                                \
	"\"#lease_id\":\"lease_id\",\"#lease_duration\":\"lease_duration\","                                       \
	"\"#expiration_time\":\"expiration_time\",\"#fence\":\"fence\",\"#acquired_time\":\"acquired_time\","      \
	"\"#owner\":\"owner\",\"#holder\":\"holder\",\"#released_time\":\"released_time\","                        \
	"\"#broken_by\":\"broken_by\",\"#broken_time\":\"broken_time\""
#define GRANT_VALUES                                                                                               \
	"\":lease_id\":{\"S\":\"" ID_C "\"},\":lease_duration\":{\"N\":\"60\"},"                                   \
	"\":expiration_time\":{\"N\":\"1790000062\"},\":fence\":{\"N\":\"1790000000123\"},"                        \
	"\":acquired_time\":{\"N\":\"1790000000\"},\":owner\":{\"S\":\"me\"},"                                     \
	"\":holder\":{\"M\":{\"user\":{\"S\":\"ann\"},\"host\":{\"S\":\"bastion\"},"                               \
	"\"purpose\":{\"S\":\"träum\"},\"pid\":{\"N\":\"42\"}}}"
#define OURS "#lease_id IN (:accepted0, :accepted1) AND attribute_not_exists(#released_time)"
#define OURS_VALUES "\":accepted0\":{\"S\":\"" ID_A "\"},\":accepted1\":{\"S\":\"" ID_B "\"}"

static void acquire_needs_no_item_or_a_tombstone_with_a_lower_fence(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_ACQUIRE);
	assert_sent(&write, UPDATE,
		    "{" TABLE_AND_KEY "," RETURNS "," GRANT_SET
		    ",\"ConditionExpression\":\"attribute_not_exists(#lock_id) OR "
		    "(attribute_exists(#released_time) AND #fence < :fence)\""
		    ",\"ExpressionAttributeNames\":{" GRANT_NAMES ",\"#lock_id\":\"lock_id\"}"
		    ",\"ExpressionAttributeValues\":{" GRANT_VALUES "}}");
}

static void reclaim_needs_the_lease_that_was_seen(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_RECLAIM);
	write.accepted_count = 1;
	assert_sent(&write, UPDATE,
		    "{" TABLE_AND_KEY "," RETURNS "," GRANT_SET ",\"ConditionExpression\":\"#lease_id = :seen\""
		    ",\"ExpressionAttributeNames\":{" GRANT_NAMES "}"
		    ",\"ExpressionAttributeValues\":{" GRANT_VALUES ",\":seen\":{\"S\":\"" ID_A "\"}}}");
}

static void renew_needs_one_of_our_leases_and_no_tombstone(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_RENEW);
	write.owner = NULL;
	write.fence = 0;
	assert_sent(
		&write, UPDATE,
		"{" TABLE_AND_KEY "," RETURNS
		",\"UpdateExpression\":\"SET #lease_id = :lease_id, #lease_duration = :lease_duration, "
		"#expiration_time = :expiration_time\""
		",\"ConditionExpression\":\"" OURS "\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#lease_duration\":\"lease_duration\","
		"\"#expiration_time\":\"expiration_time\",\"#released_time\":\"released_time\"}"
		",\"ExpressionAttributeValues\":{\":lease_id\":{\"S\":\"" ID_C "\"},"
		"\":lease_duration\":{\"N\":\"60\"},\":expiration_time\":{\"N\":\"1790000062\"}," OURS_VALUES "}}");
}

static void renew_may_set_owner_and_fence_and_refuse_to_shorten(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_RENEW);
	write.only_if_longer = true;
	assert_sent(
		&write, UPDATE,
		"{" TABLE_AND_KEY "," RETURNS
		",\"UpdateExpression\":\"SET #lease_id = :lease_id, #lease_duration = :lease_duration, "
		"#expiration_time = :expiration_time, #owner = :owner, #fence = :fence\""
		",\"ConditionExpression\":\"" OURS " AND #expiration_time <= :expiration_time\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#lease_duration\":\"lease_duration\","
		"\"#expiration_time\":\"expiration_time\",\"#owner\":\"owner\",\"#fence\":\"fence\","
		"\"#released_time\":\"released_time\"}"
		",\"ExpressionAttributeValues\":{\":lease_id\":{\"S\":\"" ID_C "\"},"
		"\":lease_duration\":{\"N\":\"60\"},\":expiration_time\":{\"N\":\"1790000062\"},"
		"\":owner\":{\"S\":\"me\"},\":fence\":{\"N\":\"1790000000123\"}," OURS_VALUES "}}");
}

static void release_leaves_a_tombstone_with_a_higher_fence(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_RELEASE);
	assert_sent(
		&write, UPDATE,
		"{" TABLE_AND_KEY "," RETURNS
		",\"UpdateExpression\":\"SET #lease_id = :lease_id, #released_time = :released_time, "
		"#expiration_time = :expiration_time, #fence = if_not_exists(#fence, :fence) + :one "
		"REMOVE #holder, #acquired_time\""
		",\"ConditionExpression\":\"" OURS "\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#released_time\":\"released_time\","
		"\"#expiration_time\":\"expiration_time\",\"#fence\":\"fence\",\"#holder\":\"holder\","
		"\"#acquired_time\":\"acquired_time\"}"
		",\"ExpressionAttributeValues\":{\":lease_id\":{\"S\":\"" ID_C "\"},"
		"\":released_time\":{\"N\":\"1790000000\"},\":expiration_time\":{\"N\":\"1790000062\"},"
		"\":fence\":{\"N\":\"1790000000123\"},\":one\":{\"N\":\"1\"}," OURS_VALUES "}}");
}

static void release_by_an_administrator_says_by_whom(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_RELEASE);
	write.broken_by = "root";
	assert_sent(
		&write, UPDATE,
		"{" TABLE_AND_KEY "," RETURNS
		",\"UpdateExpression\":\"SET #lease_id = :lease_id, #released_time = :released_time, "
		"#expiration_time = :expiration_time, #fence = if_not_exists(#fence, :fence) + :one, "
		"#broken_by = :broken_by, #broken_time = :broken_time REMOVE #holder, #acquired_time\""
		",\"ConditionExpression\":\"" OURS "\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#released_time\":\"released_time\","
		"\"#expiration_time\":\"expiration_time\",\"#fence\":\"fence\",\"#broken_by\":\"broken_by\","
		"\"#broken_time\":\"broken_time\",\"#holder\":\"holder\",\"#acquired_time\":\"acquired_time\"}"
		",\"ExpressionAttributeValues\":{\":lease_id\":{\"S\":\"" ID_C "\"},"
		"\":released_time\":{\"N\":\"1790000000\"},\":expiration_time\":{\"N\":\"1790000062\"},"
		"\":fence\":{\"N\":\"1790000000123\"},\":one\":{\"N\":\"1\"},\":broken_by\":{\"S\":\"root\"},"
		"\":broken_time\":{\"N\":\"1790000000\"}," OURS_VALUES "}}");
}

static void delete_removes_only_what_is_ours(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_DELETE);
	assert_sent(
		&write, "DynamoDB_20120810.DeleteItem",
		"{" TABLE_AND_KEY
		",\"ReturnValues\":\"ALL_OLD\",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\""
		",\"ConditionExpression\":\"" OURS "\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#released_time\":\"released_time\"}"
		",\"ExpressionAttributeValues\":{" OURS_VALUES "}}");
}

static void break_leaves_the_expiry_alone(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_BREAK);
	write.accepted_count = 1;
	write.broken_by = "root";
	assert_sent(
		&write, UPDATE,
		"{" TABLE_AND_KEY "," RETURNS
		",\"UpdateExpression\":\"SET #lease_id = :lease_id, #broken_by = :broken_by, "
		"#broken_time = :broken_time\""
		",\"ConditionExpression\":\"#lease_id IN (:accepted0) AND attribute_not_exists(#released_time)\""
		",\"ExpressionAttributeNames\":{\"#lease_id\":\"lease_id\",\"#broken_by\":\"broken_by\","
		"\"#broken_time\":\"broken_time\",\"#released_time\":\"released_time\"}"
		",\"ExpressionAttributeValues\":{\":lease_id\":{\"S\":\"" ID_C
		"\"},\":broken_by\":{\"S\":\"root\"},"
		"\":broken_time\":{\"N\":\"1790000000\"},\":accepted0\":{\"S\":\"" ID_A "\"}}}");
}

static void settle_moves_the_expiry_of_the_lease_that_was_seen(void **state)
{
	(void)state;
	struct store_write write = write_of(STORE_SETTLE);
	write.expiration_time = 1;
	assert_sent(&write, UPDATE,
		    "{" TABLE_AND_KEY "," RETURNS
		    ",\"UpdateExpression\":\"SET #expiration_time = :expiration_time\""
		    ",\"ConditionExpression\":\"#lease_id = :seen\""
		    ",\"ExpressionAttributeNames\":{\"#expiration_time\":\"expiration_time\","
		    "\"#lease_id\":\"lease_id\"}"
		    ",\"ExpressionAttributeValues\":{\":expiration_time\":{\"N\":\"1\"},"
		    "\":seen\":{\"S\":\"" ID_A "\"}}}");
}

static void writes_that_cannot_be_are_never_sent(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	for (int kind = STORE_RECLAIM; kind <= STORE_SETTLE; kind++) {
		struct store_write write = write_of((enum store_write_kind)kind);
		write.accepted_count = 0;
		assert_int_equal(write_once(&bench, &write), AWSFLOCK_INTERNAL);
	}
	struct store_write write = write_of(STORE_ACQUIRE);
	write.fence = UINT64_C(1) << 63;
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_INTERNAL);
	assert_int_equal(bench.http.request_count, 0);
	bench_clear(&bench);
}

/* ---- Replies ------------------------------------------------------------------------------------------------- */

#define ITEM(attributes) "{\"lock_id\":{\"S\":\"ops\"}," attributes "}"
#define PLAIN_ITEM(id)                                                                                             \
	ITEM("\"lease_id\":{\"S\":\"" id "\"},\"expiration_time\":{\"N\":\"1790000062\"},"                         \
	     "\"lease_duration\":{\"N\":\"60\"}")
#define FAILED(item) "{\"__type\":\"ConditionalCheckFailedException\",\"Item\":" item "}"

static void an_applied_write_hands_out_the_whole_item(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_ACQUIRE);
	bench_init(&bench);
	fake_http_plan(&bench.http, 200,
		       "{\"Attributes\":" ITEM(
			       "\"lease_id\":{\"S\":\"" ID_C "\"},\"expiration_time\":{\"N\":\"1790000062\"},"
			       "\"lease_duration\":{\"N\":\"60\"},\"owner\":{\"S\":\"me\"},"
			       "\"fence\":{\"N\":\"1790000000123\"},\"acquired_time\":{\"N\":\"1790000000\"},"
			       "\"broken_by\":{\"S\":\"root\"},\"broken_time\":{\"N\":\"1790000001\"},"
			       "\"released_time\":{\"N\":\"1790000002\"},"
			       "\"holder\":{\"M\":{\"user\":{\"S\":\"ann\"},\"pid\":{\"N\":\"42\"},"
			       "\"tty\":{\"S\":\"pts/0\"}}}") "}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	const struct lock_item *item = &bench.reply.item;
	assert_int_equal(bench.reply.outcome, STORE_APPLIED);
	assert_true(bench.reply.has_item);
	assert_true(bench.reply.maybe_applied);
	assert_string_equal(item->lock_id, "ops");
	assert_string_equal(item->lease_id, ID_C);
	assert_string_equal(item->owner, "me");
	assert_int_equal(item->lease_duration, 60);
	assert_int_equal(item->expiration_time, 1790000062);
	assert_int_equal(item->expires_store_ms, INT64_C(1790000062000));
	assert_int_equal(item->fence, UINT64_C(1790000000123));
	assert_int_equal(item->acquired_time, 1790000000);
	assert_true(item->released);
	assert_string_equal(item->broken_by, "root");
	assert_int_equal(item->broken_time, 1790000001);
	assert_string_equal(item->holder.user, "ann");
	assert_string_equal(item->holder.tty, "pts/0");
	assert_null(item->holder.host);
	assert_int_equal(item->holder.pid, 42);
	assert_true(bench.reply.has_store_time);
	assert_int_equal(bench.reply.store_time_ms, FAKE_EPOCH_START_S * MS_PER_S);
	assert_int_equal(bench.reply.first_sent_boot_ns, FAKE_BOOT_START_NS);
	assert_int_equal(bench.reply.received_boot_ns, FAKE_BOOT_START_NS + FAKE_LATENCY_NS);
	bench_clear(&bench);
}

static void a_200_that_does_not_show_our_lease_is_no_grant(void **state)
{
	(void)state;
	static const char *const bodies[] = { "{}", "{\"Attributes\":{}}", "{\"Attributes\":[]}",
					      "{\"Attributes\":" PLAIN_ITEM(ID_A) "}",
					      "{\"Attributes\":" ITEM("\"lease_id\":{\"N\":\"1\"}") "}" };
	static const enum store_write_kind kinds[] = { STORE_ACQUIRE, STORE_RECLAIM, STORE_RENEW, STORE_RELEASE };
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++) {
			struct bench bench;
			struct store_write write = write_of(kinds[j]);
			bench_init(&bench);
			fake_http_plan(&bench.http, 200, bodies[i]);
			assert_int_equal(write_once(&bench, &write), AWSFLOCK_PROTOCOL);
			assert_true(bench.reply.maybe_applied);
			assert_false(bench.reply.has_item);
			bench_clear(&bench);
		}
}

static void a_deletion_shows_one_of_our_leases(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		awsflock_code code;
	} rows[] = { { "{\"Attributes\":" PLAIN_ITEM(ID_B) "}", AWSFLOCK_OK },
		     { "{\"Attributes\":" PLAIN_ITEM(ID_C) "}", AWSFLOCK_PROTOCOL },
		     { "{}", AWSFLOCK_PROTOCOL } };
	for (size_t i = 0; i < 3; i++) {
		struct bench bench;
		struct store_write write = write_of(STORE_DELETE);
		bench_init(&bench);
		fake_http_plan(&bench.http, 200, rows[i].body);
		assert_int_equal(write_once(&bench, &write), rows[i].code);
		bench_clear(&bench);
	}
}

static void another_locks_item_is_not_taken_for_ours(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_ACQUIRE);
	bench_init(&bench);
	fake_http_plan(&bench.http, 200,
		       "{\"Attributes\":{\"lock_id\":{\"S\":\"other\"},\"lease_id\":{\"S\":\"" ID_C "\"},"
		       "\"expiration_time\":{\"N\":\"1\"}}}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_PROTOCOL);
	assert_true(bench.reply.maybe_applied);
	bench_clear(&bench);
}

static void a_refused_write_shows_what_stood_in_the_way(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_ACQUIRE);
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, FAILED(PLAIN_ITEM(ID_A)));
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_int_equal(bench.reply.outcome, STORE_REFUSED);
	assert_true(bench.reply.has_item);
	assert_false(bench.reply.item_unknown);
	assert_false(bench.reply.maybe_applied);
	assert_string_equal(bench.reply.item.lease_id, ID_A);
	assert_int_equal(bench.reply.item.fence, 0);
	assert_null(bench.reply.item.owner);
	bench_clear(&bench);
}

static void an_acquire_refused_without_an_item_leaves_the_item_unknown(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_ACQUIRE);
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_int_equal(bench.reply.outcome, STORE_REFUSED);
	assert_true(bench.reply.item_unknown);
	bench_clear(&bench);
}

static void awss_own_refusal_without_an_item_means_that_there_is_none(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_RENEW);
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_false(bench.reply.item_unknown);
	assert_false(bench.reply.has_item);
	bench_clear(&bench);
}

static void another_servers_is_believed_once_it_has_shown_an_item(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_RENEW);
	bench_init_at(&bench, "http://127.0.0.1:8000");
	fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
	fake_http_plan(&bench.http, 400, FAILED(PLAIN_ITEM(ID_C)));
	fake_http_plan(&bench.http, 400, "{\"__type\":\"ConditionalCheckFailedException\"}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_true(bench.reply.item_unknown);
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_true(bench.reply.has_item);
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_OK);
	assert_false(bench.reply.item_unknown);
	bench_clear(&bench);
}

/* ---- Items --------------------------------------------------------------------------------------------------- */

static awsflock_code read_item_of(struct bench *bench, const char *item)
{
	char body[2048];
	bench_init(bench);
	snprintf(body, sizeof(body), "{\"Item\":%s}", item);
	fake_http_plan(&bench->http, 200, body);
	return bench->store->ops->read(bench->store, "ops", true, INT64_MAX, &bench->reply, &bench->error);
}

static void damaged_items_are_named_with_their_attribute(void **state)
{
	(void)state;
	static const struct {
		const char *item, *attribute;
	} rows[] = {
		{ ITEM("\"expiration_time\":{\"N\":\"1\"}"), "lease_id" },
		{ ITEM("\"lease_id\":{\"N\":\"1\"},\"expiration_time\":{\"N\":\"1\"}"), "lease_id" },
		{ ITEM("\"lease_id\":{\"S\":\"\"},\"expiration_time\":{\"N\":\"1\"}"), "lease_id" },
		{ ITEM("\"lease_id\":{\"S\":\"a\\u0000b\"},\"expiration_time\":{\"N\":\"1\"}"), "lease_id" },
		{ ITEM("\"lease_id\":\"x\",\"expiration_time\":{\"N\":\"1\"}"), "lease_id" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"S\":\"1\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1.5\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1x\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":1}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"9223372036854775807\"}"),
		  "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1E30\"}"), "expiration_time" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"},\"lease_duration\":{\"S\":"
		       "\"1\"}"),
		  "lease_duration" },
		{ ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"},\"lease_duration\":{\"N\":\"-"
		       "1\"}"),
		  "lease_duration" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		assert_int_equal(read_item_of(&bench, rows[i].item), AWSFLOCK_BAD_ITEM);
		assert_non_null(strstr(bench.error.message, rows[i].attribute));
		assert_non_null(strstr(bench.error.message, "lock 'ops' in table 'awsflock'"));
		assert_false(bench.reply.has_item);
		bench_clear(&bench);
	}
}

static void whole_numbers_in_any_spelling_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t number;
	} rows[] = { { "1700000000", 1700000000 },
		     { "1.7E9", 1700000000 },
		     { "1.7E+9", 1700000000 },
		     { "17e8", 1700000000 },
		     { "1700000000.0", 1700000000 },
		     { "17000000000E-1", 1700000000 },
		     { "-5", -5 },
		     { "0", 0 },
		     { "0.0", 0 },
		     { "0E-3", 0 } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		char item[256];
		snprintf(item, sizeof(item), ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"%s\"}"),
			 rows[i].text);
		assert_int_equal(read_item_of(&bench, item), AWSFLOCK_OK);
		assert_int_equal(bench.reply.item.expiration_time, rows[i].number);
		assert_int_equal(bench.reply.item.expires_store_ms, rows[i].number * 1000);
		bench_clear(&bench);
	}
}

static void a_fence_that_cannot_be_used_is_none(void **state)
{
	(void)state;
	static const char *const fences[] = { "{\"N\":\"0\"}",
					      "{\"N\":\"-3\"}",
					      "{\"N\":\"1.5\"}",
					      "{\"S\":\"7\"}",
					      "7",
					      "{\"N\":\"9223372036854775808\"}",
					      "{\"N\":\"1E37\"}" };
	for (size_t i = 0; i < sizeof(fences) / sizeof(fences[0]); i++) {
		struct bench bench;
		char item[256];
		snprintf(item, sizeof(item),
			 ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"},\"fence\":%s"),
			 fences[i]);
		assert_int_equal(read_item_of(&bench, item), AWSFLOCK_OK);
		assert_int_equal(bench.reply.item.fence, 0);
		bench_clear(&bench);
	}
}

static void what_is_only_for_people_may_be_of_any_type(void **state)
{
	(void)state;
	struct bench bench;
	assert_int_equal(
		read_item_of(&bench, ITEM("\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"},"
					  "\"owner\":{\"N\":\"1\"},\"acquired_time\":{\"S\":\"x\"},"
					  "\"holder\":{\"M\":{\"user\":{\"N\":\"1\"},\"pid\":{\"S\":\"x\"}}},"
					  "\"broken_by\":{\"BOOL\":true}")),
		AWSFLOCK_OK);
	assert_null(bench.reply.item.owner);
	assert_null(bench.reply.item.holder.user);
	assert_int_equal(bench.reply.item.holder.pid, 0);
	assert_int_equal(bench.reply.item.lease_duration, 0);
	bench_clear(&bench);
}

static void reading_asks_for_one_item_as_consistently_as_told(void **state)
{
	(void)state;
	for (int consistent = 0; consistent < 2; consistent++) {
		struct bench bench;
		bench_init(&bench);
		fake_http_plan(&bench.http, 200, "{}");
		assert_int_equal(bench.store->ops->read(bench.store, "ops", consistent, INT64_MAX, &bench.reply,
							&bench.error),
				 AWSFLOCK_OK);
		assert_false(bench.reply.has_item);
		assert_string_equal(bench.http.requests[0].target, "DynamoDB_20120810.GetItem");
		assert_string_equal(bench.http.requests[0].body,
				    consistent ? "{" TABLE_AND_KEY ",\"ConsistentRead\":true}"
					       : "{" TABLE_AND_KEY ",\"ConsistentRead\":false}");
		bench_clear(&bench);
	}
}

static void a_read_refused_for_the_clock_is_repeated_with_the_right_time(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.runtime.real_offset_ns += 7200 * NS_PER_S;
	fake_http_plan(&bench.http, 400, "{\"__type\":\"RequestInTheFuture\"}");
	fake_http_plan(&bench.http, 200, "{\"Item\":" PLAIN_ITEM(ID_A) "}");
	assert_int_equal(bench.store->ops->read(bench.store, "ops", true, INT64_MAX, &bench.reply, &bench.error),
			 AWSFLOCK_OK);
	assert_true(bench.reply.has_item);
	/* The latest that the server's time can be, for that is nearest to this machine's. */
	assert_string_equal(bench.http.requests[1].date, "20260921T141321Z");
	bench_clear(&bench);
}

static void a_write_refused_for_the_clock_is_left_to_the_caller(void **state)
{
	(void)state;
	struct bench bench;
	struct store_write write = write_of(STORE_ACQUIRE);
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, "{\"__type\":\"RequestInTheFuture\"}");
	assert_int_equal(write_once(&bench, &write), AWSFLOCK_CLOCK_SKEW);
	assert_int_equal(bench.http.request_count, 1);
	assert_true(bench.store->time.known);
	assert_false(bench.reply.maybe_applied);
	bench_clear(&bench);
}

/* ---- Listing ------------------------------------------------------------------------------------------------- */

struct seen {
	char names[256];
	int damaged, stop_after, count;
};

static bool note_item(void *arg, const struct lock_item *item, const char *damaged)
{
	struct seen *seen = arg;
	if (damaged != NULL) {
		seen->damaged++;
		assert_non_null(strstr(damaged, "expiration_time"));
	} else {
		assert_true(item->lock_id[0] != '\0');
		strcat(strcat(seen->names, item->lock_id), " ");
	}
	return ++seen->count != seen->stop_after;
}

#define LISTED(name)                                                                                               \
	"{\"lock_id\":{\"S\":\"" name "\"},\"lease_id\":{\"S\":\"x\"},\"expiration_time\":{\"N\":\"1\"}}"

static void a_listing_goes_through_all_pages_and_over_damaged_items(void **state)
{
	(void)state;
	struct bench bench;
	struct seen seen = { .stop_after = -1 };
	bench_init(&bench);
	fake_http_plan(&bench.http, 200,
		       "{\"Items\":[" LISTED("a") ",{\"lock_id\":{\"S\":\"bad\"},\"lease_id\":{\"S\":\"x\"}}],"
						  "\"LastEvaluatedKey\":{\"lock_id\":{\"S\":\"bad\"}}}");
	fake_http_plan(&bench.http, 200, "{\"Items\":[],\"LastEvaluatedKey\":{\"lock_id\":{\"S\":\"k\"}}}");
	fake_http_plan(&bench.http, 200, "{\"Items\":[" LISTED("z") "]}");
	assert_int_equal(bench.store->ops->list(bench.store, NULL, note_item, &seen, &bench.error), AWSFLOCK_OK);
	assert_string_equal(seen.names, "a z ");
	assert_int_equal(seen.damaged, 1);
	assert_string_equal(bench.http.requests[0].target, "DynamoDB_20120810.Scan");
	assert_string_equal(bench.http.requests[0].body,
			    "{\"TableName\":\"awsflock\",\"Limit\":100,\"ConsistentRead\":true}");
	assert_int_equal(bench.http.requests[0].reply_limit, 16 * 1024 * 1024);
	assert_string_equal(bench.http.requests[2].body,
			    "{\"TableName\":\"awsflock\",\"Limit\":100,\"ConsistentRead\":true,"
			    "\"ExclusiveStartKey\":{\"lock_id\":{\"S\":\"k\"}}}");
	bench_clear(&bench);
}

static bool note_fault(void *arg, const struct lock_item *item, const char *damaged)
{
	assert_null(item);
	assert_non_null(strstr(damaged, "lock_id is not a name"));
	++*(int *)arg;
	return true;
}

static void an_item_without_a_name_is_damaged(void **state)
{
	(void)state;
	struct bench bench;
	int faults = 0;
	bench_init(&bench);
	fake_http_plan(&bench.http, 200,
		       "{\"Items\":[" LISTED("") ",{\"lock_id\":{\"N\":\"7\"}}," LISTED("a\\u0000b") "]}");
	assert_int_equal(bench.store->ops->list(bench.store, NULL, note_fault, &faults, &bench.error), AWSFLOCK_OK);
	assert_int_equal(faults, 3);
	bench_clear(&bench);
}

static void a_listing_by_prefix_filters_on_the_server(void **state)
{
	(void)state;
	struct bench bench;
	struct seen seen = { .stop_after = -1 };
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, "{\"Items\":[]}");
	assert_int_equal(bench.store->ops->list(bench.store, "ops-", note_item, &seen, &bench.error), AWSFLOCK_OK);
	assert_string_equal(bench.http.requests[0].body,
			    "{\"TableName\":\"awsflock\",\"Limit\":100,\"ConsistentRead\":true,"
			    "\"FilterExpression\":\"begins_with(#lock_id, :prefix)\","
			    "\"ExpressionAttributeNames\":{\"#lock_id\":\"lock_id\"},"
			    "\"ExpressionAttributeValues\":{\":prefix\":{\"S\":\"ops-\"}}}");
	bench_clear(&bench);
}

static void a_listing_ends_when_the_caller_has_seen_enough(void **state)
{
	(void)state;
	struct bench bench;
	struct seen seen = { .stop_after = 1 };
	bench_init(&bench);
	fake_http_plan(
		&bench.http, 200,
		"{\"Items\":[" LISTED("a") "," LISTED("b") "],\"LastEvaluatedKey\":{\"lock_id\":{\"S\":\"b\"}}}");
	assert_int_equal(bench.store->ops->list(bench.store, NULL, note_item, &seen, &bench.error), AWSFLOCK_OK);
	assert_string_equal(seen.names, "a ");
	assert_int_equal(bench.http.request_count, 1);
	bench_clear(&bench);
}

static void a_listing_without_items_is_no_answer(void **state)
{
	(void)state;
	struct bench bench;
	struct seen seen = { .stop_after = -1 };
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, "{\"Items\":{}}");
	assert_int_equal(bench.store->ops->list(bench.store, NULL, note_item, &seen, &bench.error),
			 AWSFLOCK_PROTOCOL);
	bench_clear(&bench);
}

/* ---- Names --------------------------------------------------------------------------------------------------- */

static void the_store_is_named_by_url_region_and_table(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	assert_string_equal(bench.store->name,
			    "dynamodb https://dynamodb.us-east-1.amazonaws.com us-east-1 awsflock");
	assert_string_equal(bench.store->where, "table 'awsflock' in us-east-1");
	bench_clear(&bench);
	bench_init_at(&bench, "http://127.0.0.1:8000/");
	assert_string_equal(bench.store->name, "dynamodb http://127.0.0.1:8000 us-east-1 awsflock");
	assert_string_equal(bench.store->where, "table 'awsflock' in us-east-1 at http://127.0.0.1:8000");
	bench_clear(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acquire_needs_no_item_or_a_tombstone_with_a_lower_fence),
		cmocka_unit_test(reclaim_needs_the_lease_that_was_seen),
		cmocka_unit_test(renew_needs_one_of_our_leases_and_no_tombstone),
		cmocka_unit_test(renew_may_set_owner_and_fence_and_refuse_to_shorten),
		cmocka_unit_test(release_leaves_a_tombstone_with_a_higher_fence),
		cmocka_unit_test(release_by_an_administrator_says_by_whom),
		cmocka_unit_test(delete_removes_only_what_is_ours),
		cmocka_unit_test(break_leaves_the_expiry_alone),
		cmocka_unit_test(settle_moves_the_expiry_of_the_lease_that_was_seen),
		cmocka_unit_test(writes_that_cannot_be_are_never_sent),
		cmocka_unit_test(an_applied_write_hands_out_the_whole_item),
		cmocka_unit_test(a_200_that_does_not_show_our_lease_is_no_grant),
		cmocka_unit_test(a_deletion_shows_one_of_our_leases),
		cmocka_unit_test(another_locks_item_is_not_taken_for_ours),
		cmocka_unit_test(a_refused_write_shows_what_stood_in_the_way),
		cmocka_unit_test(an_acquire_refused_without_an_item_leaves_the_item_unknown),
		cmocka_unit_test(awss_own_refusal_without_an_item_means_that_there_is_none),
		cmocka_unit_test(another_servers_is_believed_once_it_has_shown_an_item),
		cmocka_unit_test(damaged_items_are_named_with_their_attribute),
		cmocka_unit_test(whole_numbers_in_any_spelling_are_read),
		cmocka_unit_test(a_fence_that_cannot_be_used_is_none),
		cmocka_unit_test(what_is_only_for_people_may_be_of_any_type),
		cmocka_unit_test(reading_asks_for_one_item_as_consistently_as_told),
		cmocka_unit_test(a_read_refused_for_the_clock_is_repeated_with_the_right_time),
		cmocka_unit_test(a_write_refused_for_the_clock_is_left_to_the_caller),
		cmocka_unit_test(a_listing_goes_through_all_pages_and_over_damaged_items),
		cmocka_unit_test(an_item_without_a_name_is_damaged),
		cmocka_unit_test(a_listing_by_prefix_filters_on_the_server),
		cmocka_unit_test(a_listing_ends_when_the_caller_has_seen_enough),
		cmocka_unit_test(a_listing_without_items_is_no_answer),
		cmocka_unit_test(the_store_is_named_by_url_region_and_table),
	};
	return cmocka_run_group_tests_name("store_dynamodb", tests, NULL, NULL);
}
