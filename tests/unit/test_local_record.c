/* Tests of lock/local/record.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lock/local/record.h"

#define PATH "/dir/deploy.json"
#define THIS_BOOT "this-boot"
#define LEASE "\"lease_id\":\"lease-1\","
#define REST                                                                                                       \
	"\"lease_duration\":60,\"fence\":7,\"boot_id\":\"" THIS_BOOT "\",\"expires_boot_ms\":5000,"                \
	"\"expiration_time\":1790000000}"
#define GOOD "{\"format\":1,\"lock_id\":\"deploy\"," LEASE REST

static awsflock_code decode_sized(const char *text, size_t size, struct local_record *record, bool *present,
				  awsflock_error *error)
{
	return local_record_decode(PATH, text, size, "deploy", THIS_BOOT, record, present, error);
}

static awsflock_code decode(const char *text, struct local_record *record, bool *present, awsflock_error *error)
{
	return decode_sized(text, strlen(text), record, present, error);
}

static void check_damaged(const char *text, size_t size, const char *reason)
{
	struct local_record record;
	awsflock_error error;
	bool present;

	if (decode_sized(text, size, &record, &present, &error) != AWSFLOCK_BAD_ITEM)
		fail_msg("taken for good: %s", text);
	assert_false(present);
	assert_non_null(strstr(error.message, PATH));
	assert_non_null(strstr(error.message, "if nobody holds this lock, remove"));
	if (strstr(error.message, reason) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", error.message, reason);
}

static void what_was_written_is_read_back(void **state)
{
	struct local_record record = { .released_time = 1790000002 };
	struct local_record read;
	struct buf text = BUF_INIT;
	awsflock_error error;
	bool present;

	(void)state;
	record.item = (struct lock_item){ .lock_id = (char *)"deploy",
					  .lease_id = (char *)"lease-1",
					  .owner = (char *)"\"quoted\" \\ \xc3\xa9 \n",
					  .lease_duration = 60,
					  .expires_store_ms = -5,
					  .expiration_time = 1790000060,
					  .fence = INT64_MAX - 1,
					  .acquired_time = 1790000000,
					  .released = true,
					  .broken_by = (char *)"root",
					  .broken_time = 1790000001,
					  .holder = { (char *)"ada", NULL, (char *)"pts/1", (char *)"sshd",
						      (char *)"192.0.2.1", (char *)"", 4711 } };
	assert_int_equal(local_record_encode(&record, THIS_BOOT, &text, &error), AWSFLOCK_OK);
	assert_int_equal(decode_sized(text.data, text.size, &read, &present, &error), AWSFLOCK_OK);
	assert_true(present);
	assert_string_equal(read.item.lease_id, "lease-1");
	assert_string_equal(read.item.owner, record.item.owner);
	assert_int_equal(read.item.lease_duration, 60);
	assert_int_equal(read.item.expires_store_ms, -5);
	assert_int_equal(read.item.expiration_time, 1790000060);
	assert_true(read.item.fence == (uint64_t)INT64_MAX - 1);
	assert_int_equal(read.item.acquired_time, 1790000000);
	assert_true(read.item.released);
	assert_int_equal(read.released_time, 1790000002);
	assert_string_equal(read.item.broken_by, "root");
	assert_int_equal(read.item.broken_time, 1790000001);
	assert_string_equal(read.item.holder.user, "ada");
	assert_null(read.item.holder.host);
	assert_string_equal(read.item.holder.tty, "pts/1");
	assert_string_equal(read.item.holder.service, "sshd");
	assert_string_equal(read.item.holder.rhost, "192.0.2.1");
	assert_string_equal(read.item.holder.purpose, "");
	assert_int_equal(read.item.holder.pid, 4711);
	local_record_clear(&read);
	buf_free(&text);
}

/* Whatever the length of the owner: a short record, one that ends at a block's end, one that just passes it. */
static void a_record_fills_whole_blocks_and_ends_in_a_line_end(void **state)
{
	char owner[LOCAL_BLOCK_SIZE + 8];
	struct local_record record = { .item = { .lock_id = (char *)"deploy", .lease_id = (char *)"l" } };

	(void)state;
	memset(owner, 'x', sizeof(owner));
	record.item.owner = owner;
	for (size_t length = LOCAL_BLOCK_SIZE - 300; length < LOCAL_BLOCK_SIZE; length++) {
		struct buf text = BUF_INIT;
		struct local_record read;
		awsflock_error error;
		bool present;

		owner[length] = '\0';
		assert_int_equal(local_record_encode(&record, THIS_BOOT, &text, &error), AWSFLOCK_OK);
		assert_int_equal(text.size % LOCAL_BLOCK_SIZE, 0);
		assert_int_equal(text.data[text.size - 1], '\n');
		assert_int_equal(decode_sized(text.data, text.size, &read, &present, &error), AWSFLOCK_OK);
		local_record_clear(&read);
		buf_free(&text);
		owner[length] = 'x';
	}
}

static void an_empty_file_is_no_item(void **state)
{
	struct local_record record;
	awsflock_error error;
	bool present = true;

	(void)state;
	assert_int_equal(decode("", &record, &present, &error), AWSFLOCK_OK);
	assert_false(present);
}

static void zeros_left_by_a_power_failure_are_no_item(void **state)
{
	static const char zeros[LOCAL_BLOCK_SIZE];
	struct local_record record;
	awsflock_error error;
	bool present = true;

	(void)state;
	assert_int_equal(decode_sized(zeros, sizeof(zeros), &record, &present, &error), AWSFLOCK_OK);
	assert_false(present);
}

static void an_item_of_another_boot_has_expired_and_keeps_its_fence(void **state)
{
	struct local_record record;
	awsflock_error error;
	bool present;

	(void)state;
	assert_int_equal(
		local_record_decode(PATH, GOOD, strlen(GOOD), "deploy", "next-boot", &record, &present, &error),
		AWSFLOCK_OK);
	assert_true(present);
	assert_true(record.item.expires_store_ms <= 0);
	assert_int_equal(record.item.fence, 7);
	local_record_clear(&record);
	assert_int_equal(decode(GOOD, &record, &present, &error), AWSFLOCK_OK);
	assert_int_equal(record.item.expires_store_ms, 5000);
	local_record_clear(&record);
}

static void a_newer_format_is_left_to_a_newer_awsflock(void **state)
{
	const char *text = "{\"format\":2,\"lock_id\":[],\"anything\":true}";
	struct local_record record;
	awsflock_error error;
	bool present;

	(void)state;
	assert_int_equal(decode(text, &record, &present, &error), AWSFLOCK_BAD_ITEM);
	assert_non_null(strstr(error.message, "written by a newer awsflock"));
	assert_non_null(strstr(error.message, PATH));
	assert_null(strstr(error.message, "remove"));
}

static void a_damaged_record_is_told_with_its_file_and_what_is_wrong(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{ "no json", "not one JSON object" },
		{ "{", "not one JSON object" },
		{ "[]", "not one JSON object" },
		{ "1", "not one JSON object" },
		{ "null", "not one JSON object" },
		{ " \n ", "not one JSON object" },
		{ "{}", "format is missing" },
		{ GOOD "x", "not one JSON object" },
		{ GOOD GOOD, "not one JSON object" },
		{ "{\"format\":0,\"lock_id\":\"deploy\"," LEASE REST, "format is out of range" },
		{ "{\"format\":\"1\",\"lock_id\":\"deploy\"," LEASE REST, "format is not a whole number" },
		{ "{\"format\":1.0,\"lock_id\":\"deploy\"," LEASE REST, "format is not a whole number" },
		{ "{\"format\":1," LEASE REST, "lock_id is missing" },
		{ "{\"format\":1,\"lock_id\":\"other\"," LEASE REST, "lock_id is of another lock" },
		{ "{\"format\":1,\"lock_id\":\"deploy\\u0000\"," LEASE REST, "lock_id is not a text" },
		{ "{\"format\":1,\"lock_id\":7," LEASE REST, "lock_id is not a string" },
		{ "{\"format\":1,\"lock_id\":\"deploy\"," REST, "lease_id is missing" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"lease_id\":\"\"," REST, "lease_id is not a text" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"owner\":null," LEASE REST, "owner is not a string" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"owner\":\"\xff\"," LEASE REST, "not one JSON object" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"holder\":7," LEASE REST, "holder is not an object" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"holder\":{\"user\":7}," LEASE REST, "holder is damaged" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"holder\":{\"pid\":-1}," LEASE REST, "holder is damaged" },
		{ "{\"format\":1,\"lock_id\":\"deploy\",\"released_time\":true," LEASE REST,
		  "released_time is not a whole number" },
		{ "{\"format\":1,\"lock_id\":\"deploy\"," LEASE
		  "\"lease_duration\":60,\"fence\":18446744073709551615,\"boot_id\":\"b\",\"expires_boot_ms\":1,"
		  "\"expiration_time\":1}",
		  "fence is out of range" },
		{ "{\"format\":1,\"lock_id\":\"deploy\"," LEASE
		  "\"lease_duration\":60,\"fence\":-1,\"boot_id\":\"b\",\"expires_boot_ms\":1,\"expiration_time\":"
		  "1}",
		  "fence is out of range" },
		{ "{\"format\":1,\"lock_id\":\"deploy\"," LEASE
		  "\"lease_duration\":60,\"fence\":1,\"boot_id\":\"b\","
		  "\"expires_boot_ms\":9000000000000000000,\"expiration_time\":1}",
		  "expires_boot_ms is out of range" },
		{ "{\"format\":1,\"lock_id\":\"deploy\"," LEASE
		  "\"lease_duration\":60,\"fence\":1,\"expires_boot_ms\":1,\"expiration_time\":1}",
		  "boot_id is missing" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_damaged(cases[i].text, strlen(cases[i].text), cases[i].reason);
}

static void a_record_cut_short_anywhere_is_damaged(void **state)
{
	(void)state;
	for (size_t size = 1; size < strlen(GOOD); size++)
		check_damaged(GOOD, size, "not one JSON object");
}

static void a_file_too_large_for_a_record_is_damaged(void **state)
{
	size_t size = LOCAL_RECORD_MAX + 1;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	memcpy(text, GOOD, strlen(GOOD));
	check_damaged(text, size, "too large");
	free(text);
}

static void deep_nesting_is_damaged_and_no_crash(void **state)
{
	char text[10001];

	(void)state;
	memset(text, '[', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	check_damaged(text, sizeof(text) - 1, "not one JSON object");
}

/* A short record written in place over a longer one leaves the longer one's end behind its own block. */
static void what_stands_behind_the_records_block_is_ignored(void **state)
{
	char text[2 * LOCAL_BLOCK_SIZE];
	struct local_record record;
	awsflock_error error;
	bool present;

	(void)state;
	memset(text, ' ', LOCAL_BLOCK_SIZE);
	memcpy(text, GOOD, strlen(GOOD));
	memset(text + LOCAL_BLOCK_SIZE, 'x', LOCAL_BLOCK_SIZE);
	assert_int_equal(decode_sized(text, sizeof(text), &record, &present, &error), AWSFLOCK_OK);
	assert_true(present);
	local_record_clear(&record);
	text[LOCAL_BLOCK_SIZE - 1] = 'x';
	check_damaged(text, sizeof(text), "not one JSON object");
}

static void a_record_laid_out_by_another_program_is_read(void **state)
{
	struct local_record record;
	awsflock_error error;
	bool present;

	(void)state;
	assert_int_equal(decode("{\n  \"format\": 1,\n  \"lock_id\": \"deploy\",\n  " LEASE REST "\n", &record,
				&present, &error),
			 AWSFLOCK_OK);
	assert_true(present);
	local_record_clear(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_back),
		cmocka_unit_test(a_record_fills_whole_blocks_and_ends_in_a_line_end),
		cmocka_unit_test(an_empty_file_is_no_item),
		cmocka_unit_test(zeros_left_by_a_power_failure_are_no_item),
		cmocka_unit_test(an_item_of_another_boot_has_expired_and_keeps_its_fence),
		cmocka_unit_test(a_newer_format_is_left_to_a_newer_awsflock),
		cmocka_unit_test(a_damaged_record_is_told_with_its_file_and_what_is_wrong),
		cmocka_unit_test(a_record_cut_short_anywhere_is_damaged),
		cmocka_unit_test(a_file_too_large_for_a_record_is_damaged),
		cmocka_unit_test(deep_nesting_is_damaged_and_no_crash),
		cmocka_unit_test(what_stands_behind_the_records_block_is_ignored),
		cmocka_unit_test(a_record_laid_out_by_another_program_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
