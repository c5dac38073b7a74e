/* Tests of lock/dynamodb/table.c over a fake transport.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <string.h>

#include "fake_http.h"
#include "lock/diagnosis.h"
#include "lock/dynamodb/store.h"

#define NOT_FOUND "{\"__type\":\"ResourceNotFoundException\",\"message\":\"no\"}"
#define IN_USE "{\"__type\":\"ResourceInUseException\",\"message\":\"exists\"}"
#define REFUSED "{\"__type\":\"ValidationException\",\"message\":\"unknown here\"}"
#define KEY                                                                                                        \
	"\"KeySchema\":[{\"AttributeName\":\"lock_id\",\"KeyType\":\"HASH\"}],"                                    \
	"\"AttributeDefinitions\":[{\"AttributeName\":\"lock_id\",\"AttributeType\":\"S\"}]"
#define TABLE(status, more) "{\"Table\":{\"TableStatus\":\"" status "\",\"TableArn\":\"arn:aws:x\"," KEY more "}}"
#define TTL(status)                                                                                                \
	"{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"" status "\",\"AttributeName\":\"expiration_time\"}}"
#define TTL_OFF "{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"DISABLED\"}}"

struct bench {
	struct fake_runtime runtime;
	struct fake_http http;
	struct store *store;
	awsflock_table_options options;
	awsflock_error error;
	char lines[4096];
};

static void note_line(void *arg, const char *line)
{
	struct bench *bench = arg;
	assert_true(strlen(bench->lines) + strlen(line) + 2 < sizeof(bench->lines));
	strcat(strcat(bench->lines, line), "\n");
}

static void bench_init_at(struct bench *bench, const char *url)
{
	static const awsflock_table_options defaults = AWSFLOCK_TABLE_OPTIONS_INIT;
	memset(bench, 0, sizeof(*bench));
	bench->options = defaults;
	bench->options.progress = note_line;
	bench->options.progress_arg = bench;
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

static awsflock_code create(struct bench *bench)
{
	return bench->store->ops->create(bench->store, &bench->options, &bench->error);
}

static void bench_clear(struct bench *bench)
{
	store_free(&bench->store);
	fake_http_clear(&bench->http);
}

/* The operations that were called, by name. */
static void assert_called(const struct bench *bench, const char *operations)
{
	char called[512] = "";
	for (size_t i = 0; i < bench->http.request_count; i++)
		strcat(strcat(called, i > 0 ? " " : ""), strchr(bench->http.requests[i].target, '.') + 1);
	assert_string_equal(called, operations);
	assert_int_equal(bench->http.request_count, bench->http.answer_count);
}

static void a_missing_table_is_created_waited_for_and_given_a_ttl(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 200, "{}");
	fake_http_plan(&bench.http, 400, NOT_FOUND); /* not to be seen yet */
	fake_http_plan(&bench.http, 200, TABLE("CREATING", ""));
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 200, TTL_OFF);
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable CreateTable DescribeTable DescribeTable DescribeTable "
			      "DescribeTimeToLive UpdateTimeToLive");
	assert_string_equal(bench.http.requests[1].body,
			    "{\"TableName\":\"awsflock\","
			    "\"KeySchema\":[{\"AttributeName\":\"lock_id\",\"KeyType\":\"HASH\"}],"
			    "\"AttributeDefinitions\":[{\"AttributeName\":\"lock_id\",\"AttributeType\":\"S\"}],"
			    "\"BillingMode\":\"PAY_PER_REQUEST\"}");
	assert_string_equal(bench.http.requests[6].body,
			    "{\"TableName\":\"awsflock\",\"TimeToLiveSpecification\":"
			    "{\"Enabled\":true,\"AttributeName\":\"expiration_time\"}}");
	assert_string_equal(bench.lines, "creating table 'awsflock' in us-east-1\n"
					 "TTL on expiration_time enabled\n"
					 "table 'awsflock' in us-east-1 is ready\n");
	bench_clear(&bench);
}

static void billing_protection_and_tags_are_part_of_the_creation(void **state)
{
	(void)state;
	struct bench bench;
	const awsflock_tag tags[] = { { "team", "ops" }, { "empty", "" } };
	bench_init(&bench);
	bench.options.read_units = 5;
	bench.options.write_units = 6;
	bench.options.deletion_protection = true;
	bench.options.tags = tags;
	bench.options.tag_count = 2;
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 200, "{}");
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 200, TTL("ENABLED"));
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable CreateTable DescribeTable DescribeTimeToLive");
	assert_non_null(
		strstr(bench.http.requests[1].body,
		       "\"BillingMode\":\"PROVISIONED\","
		       "\"ProvisionedThroughput\":{\"ReadCapacityUnits\":5,\"WriteCapacityUnits\":6},"
		       "\"DeletionProtectionEnabled\":true,"
		       "\"Tags\":[{\"Key\":\"team\",\"Value\":\"ops\"},{\"Key\":\"empty\",\"Value\":\"\"}]"));
	bench_clear(&bench);
}

static void a_table_that_is_right_is_left_alone(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.options.deletion_protection = true;
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ",\"DeletionProtectionEnabled\":true"));
	fake_http_plan(&bench.http, 200, TTL("ENABLING"));
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable DescribeTimeToLive");
	bench_clear(&bench);
}

static void what_an_existing_table_lacks_is_added(void **state)
{
	(void)state;
	struct bench bench;
	const awsflock_tag tag = { "team", "ops" };
	bench_init(&bench);
	bench.options.deletion_protection = true;
	bench.options.tags = &tag;
	bench.options.tag_count = 1;
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 200, "{}");
	fake_http_plan(&bench.http, 200, TABLE("UPDATING", ""));
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 200, TTL_OFF);
	fake_http_plan(&bench.http, 200, "{}");
	fake_http_plan(&bench.http, 200, "{}");
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable UpdateTable DescribeTable DescribeTable DescribeTimeToLive "
			      "UpdateTimeToLive TagResource");
	assert_string_equal(bench.http.requests[1].body,
			    "{\"TableName\":\"awsflock\",\"DeletionProtectionEnabled\":true}");
	assert_string_equal(bench.http.requests[6].body,
			    "{\"ResourceArn\":\"arn:aws:x\",\"Tags\":[{\"Key\":\"team\",\"Value\":\"ops\"}]}");
	bench_clear(&bench);
}

static void a_table_with_another_key_is_refused(void **state)
{
	(void)state;
	static const char *const tables[] = {
		"{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{\"AttributeName\":\"id\",\"KeyType\":"
		"\"HASH\"}],"
		"\"AttributeDefinitions\":[{\"AttributeName\":\"id\",\"AttributeType\":\"S\"}]}}",
		"{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{\"AttributeName\":\"lock_id\",\"KeyType\":"
		"\"HASH\"}],"
		"\"AttributeDefinitions\":[{\"AttributeName\":\"lock_id\",\"AttributeType\":\"N\"}]}}",
		"{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":[{\"AttributeName\":\"lock_id\",\"KeyType\":"
		"\"HASH\"},"
		"{\"AttributeName\":\"x\",\"KeyType\":\"RANGE\"}],"
		"\"AttributeDefinitions\":[{\"AttributeName\":\"lock_id\",\"AttributeType\":\"S\"}]}}",
		"{\"Table\":{\"TableStatus\":\"ACTIVE\",\"KeySchema\":\"x\"}}"
	};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct bench bench;
		bench_init(&bench);
		fake_http_plan(&bench.http, 200, tables[i]);
		assert_int_equal(create(&bench), AWSFLOCK_BAD_TABLE);
		assert_non_null(strstr(bench.error.message, "another key than lock_id"));
		bench_clear(&bench);
	}
}

static void a_table_on_its_way_out_is_not_waited_for(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, TABLE("DELETING", ""));
	fake_http_plan(&bench.http, 200, TABLE("DELETING", ""));
	assert_int_equal(create(&bench), AWSFLOCK_BAD_TABLE);
	assert_non_null(strstr(bench.error.message, "is being deleted"));
	bench_clear(&bench);
}

static void losing_the_race_to_create_is_no_error(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 400, IN_USE);
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 200, TTL("ENABLED"));
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	bench_clear(&bench);
}

static void an_emulator_that_knows_less_earns_warnings(void **state)
{
	(void)state;
	struct bench bench;
	bench_init_at(&bench, "http://127.0.0.1:8000");
	bench.options.deletion_protection = true;
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 400, REFUSED); /* with protection */
	fake_http_plan(&bench.http, 200, "{}");
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&bench.http, 400, "{\"__type\":\"UnknownOperationException\"}");
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable CreateTable CreateTable DescribeTable DescribeTimeToLive");
	assert_null(strstr(bench.http.requests[2].body, "DeletionProtection"));
	assert_non_null(strstr(bench.lines, "warning: created without deletion protection and tags: "));
	assert_non_null(strstr(bench.lines, "warning: whether TTL is enabled cannot be told: "));
	bench_clear(&bench);
}

static void awss_own_refusal_of_a_creation_is_an_error(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.options.deletion_protection = true;
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 400, REFUSED);
	assert_int_equal(create(&bench), AWSFLOCK_PROTOCOL);
	assert_called(&bench, "DescribeTable CreateTable");
	bench_clear(&bench);
}

static void an_asynchronously_replicated_table_earns_a_warning_and_a_strong_one_none(void **state)
{
	(void)state;
	static const struct {
		const char *table;
		bool warned;
	} rows[] = { { TABLE("ACTIVE", ",\"Replicas\":[{\"RegionName\":\"eu-west-1\"}]"), true },
		     { TABLE("ACTIVE", ",\"Replicas\":[{}],\"MultiRegionConsistency\":\"EVENTUAL\""), true },
		     { TABLE("ACTIVE", ",\"Replicas\":[{}],\"MultiRegionConsistency\":\"STRONG\""), false },
		     { TABLE("ACTIVE", ",\"Replicas\":[]"), false } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench bench;
		bench_init(&bench);
		fake_http_plan(&bench.http, 200, rows[i].table);
		fake_http_plan(&bench.http, 200, TTL("ENABLED"));
		assert_int_equal(create(&bench), AWSFLOCK_OK);
		assert_int_equal(strstr(bench.lines, "asynchronous replication") != NULL, rows[i].warned);
		bench_clear(&bench);
	}
}

static void a_ttl_on_another_attribute_is_told(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	fake_http_plan(&bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(
		&bench.http, 200,
		"{\"TimeToLiveDescription\":{\"TimeToLiveStatus\":\"ENABLED\",\"AttributeName\":\"other\"}}");
	assert_int_equal(create(&bench), AWSFLOCK_OK);
	assert_called(&bench, "DescribeTable DescribeTimeToLive");
	assert_non_null(strstr(bench.lines, "TTL is on other"));
	bench_clear(&bench);
}

static void the_wait_tells_of_itself_and_can_be_stopped(void **state)
{
	(void)state;
	struct bench bench;
	bench_init(&bench);
	bench.runtime.stop_at_boot_ns = FAKE_BOOT_START_NS + 25 * NS_PER_S;
	fake_http_plan(&bench.http, 400, NOT_FOUND);
	fake_http_plan(&bench.http, 200, "{}");
	for (int i = 0; i < 12; i++)
		fake_http_plan(&bench.http, 200, TABLE("CREATING", ""));
	assert_int_equal(create(&bench), AWSFLOCK_CANCELLED);
	assert_non_null(
		strstr(bench.lines, "waiting for table 'awsflock' in us-east-1 to become active: CREATING\n"));
	bench_clear(&bench);
}

static void units_and_tags_that_cannot_be_are_refused_before_anything_is_sent(void **state)
{
	(void)state;
	struct bench bench;
	const awsflock_tag nameless = { "", "x" };
	bench_init(&bench);
	bench.options.read_units = 5;
	assert_int_equal(create(&bench), AWSFLOCK_INVALID);
	bench.options.write_units = -1;
	assert_int_equal(create(&bench), AWSFLOCK_INVALID);
	bench.options.read_units = bench.options.write_units = 0;
	bench.options.tags = &nameless;
	bench.options.tag_count = 1;
	assert_int_equal(create(&bench), AWSFLOCK_INVALID);
	assert_int_equal(bench.http.request_count, 0);
	bench_clear(&bench);
}

/* ---- A check of this machine's clock ------------------------------------------------------------------------ */

struct clock_check {
	struct bench bench;
	awsflock_verdict verdict;
	int64_t boot_ns, earliest_ms, latest_ms; /* the server's time when the clock was judged */
};

static void note_clock(void *arg, const awsflock_check *check)
{
	struct clock_check *clock = arg;

	if (strcmp(check->name, "clock") != 0)
		return;
	clock->verdict = check->verdict;
	clock->boot_ns = runtime_boot_ns(&clock->bench.runtime.runtime);
	clock->earliest_ms = server_time_earliest_ms(&clock->bench.store->time, clock->boot_ns);
	clock->latest_ms = server_time_latest_ms(&clock->bench.store->time, clock->boot_ns);
}

static struct clock_check check_clock(int64_t real_offset_ns)
{
	struct clock_check clock;
	const struct diagnosis diagnosis = { note_clock, &clock };

	bench_init(&clock.bench);
	clock.bench.runtime.real_offset_ns = real_offset_ns;
	fake_http_plan(&clock.bench.http, 200, "{}");
	fake_http_plan(&clock.bench.http, 200, TABLE("ACTIVE", ""));
	fake_http_plan(&clock.bench.http, 200, TTL("ENABLED"));
	assert_true(clock.bench.store->ops->diagnose(clock.bench.store, "scratch", &diagnosis));
	assert_called(&clock.bench, "GetItem DescribeTable DescribeTimeToLive");
	bench_clear(&clock.bench);
	return clock;
}

/* Of a clock that shows REAL_MS at the moment BOOT_NS of the check, which is always the same. */
static awsflock_verdict verdict_at(int64_t real_ms, int64_t boot_ns)
{
	struct clock_check clock = check_clock(real_ms * NS_PER_MS - boot_ns);

	assert_int_equal(clock.boot_ns, boot_ns);
	return clock.verdict;
}

static void a_clock_is_right_within_three_seconds_of_what_the_servers_may_be(void **state)
{
	struct clock_check known = check_clock(0);

	(void)state;
	assert_int_equal(verdict_at(known.earliest_ms - 3001, known.boot_ns), AWSFLOCK_CHECK_WARNING);
	assert_int_equal(verdict_at(known.earliest_ms - 3000, known.boot_ns), AWSFLOCK_CHECK_OK);
	assert_int_equal(verdict_at(known.latest_ms + 3000, known.boot_ns), AWSFLOCK_CHECK_OK);
	assert_int_equal(verdict_at(known.latest_ms + 3001, known.boot_ns), AWSFLOCK_CHECK_WARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_table_is_created_waited_for_and_given_a_ttl),
		cmocka_unit_test(billing_protection_and_tags_are_part_of_the_creation),
		cmocka_unit_test(a_table_that_is_right_is_left_alone),
		cmocka_unit_test(what_an_existing_table_lacks_is_added),
		cmocka_unit_test(a_table_with_another_key_is_refused),
		cmocka_unit_test(a_table_on_its_way_out_is_not_waited_for),
		cmocka_unit_test(losing_the_race_to_create_is_no_error),
		cmocka_unit_test(an_emulator_that_knows_less_earns_warnings),
		cmocka_unit_test(awss_own_refusal_of_a_creation_is_an_error),
		cmocka_unit_test(an_asynchronously_replicated_table_earns_a_warning_and_a_strong_one_none),
		cmocka_unit_test(a_ttl_on_another_attribute_is_told),
		cmocka_unit_test(the_wait_tells_of_itself_and_can_be_stopped),
		cmocka_unit_test(units_and_tags_that_cannot_be_are_refused_before_anything_is_sent),
		cmocka_unit_test(a_clock_is_right_within_three_seconds_of_what_the_servers_may_be),
	};
	return cmocka_run_group_tests_name("table_dynamodb", tests, NULL, NULL);
}
