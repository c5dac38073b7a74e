/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of aws/credentials/sign_in_file.c and json_print.c: what only another tool's timing, or a name's form, brings about.
 * tests/integration/test_sign_in_faults.py has the rest. */
#include "cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
#include "aws/credentials/sign_in_file.h"
#include "fake_store.h"
#include "scratch_directory.h"

static struct scratch scratch;
static struct fake_runtime runtime;
static struct runtime_ops ops;
static struct profile profile = { .name = (char *)"x" };
static struct credentials_context context;

static int set_up(void **state)
{
	(void)state;
	scratch_make(&scratch);
	fake_runtime_init(&runtime);
	ops = *runtime.runtime.ops;
	runtime.runtime.ops = &ops;
	context = (struct credentials_context){ .runtime = &runtime.runtime,
						.profile = &profile,
						.give_up_boot_ns = INT64_MAX };
	setenv("HOME", scratch.root, 1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_remove(&scratch);
	return 0;
}

static awsflock_code read_object(const char *name, struct json_object **out)
{
	awsflock_error error;

	*out = NULL;
	return sign_in_file_read(&context, scratch_path(&scratch, name), out, &error);
}

/* What the AWS CLI does while we pause: it writes the rest. */
static bool finish_writing(struct runtime *self, int64_t until_boot_ns)
{
	(void)until_boot_ns;
	((struct fake_runtime *)self)->sleeps++;
	scratch_write(&scratch, "file", "{\"a\": \"whole\"}", strlen("{\"a\": \"whole\"}"));
	return true;
}

static void a_file_that_is_half_written_is_read_once_more_in_a_moment(void **state)
{
	(void)state;
	struct json_object *object;

	scratch_write(&scratch, "file", "{\"a\": \"who", strlen("{\"a\": \"who"));
	ops.sleep_until = finish_writing;
	assert_int_equal(read_object("file", &object), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(object, "a"), "whole");
	assert_int_equal(runtime.sleeps, 1);
	credentials_json_put(object);
}

static void a_file_that_stays_half_written_is_refused(void **state)
{
	(void)state;
	struct json_object *object;

	scratch_write(&scratch, "file", "{\"a\": \"who", strlen("{\"a\": \"who"));
	assert_int_equal(read_object("file", &object), AWSFLOCK_CREDENTIALS);
	assert_null(object);
	assert_int_equal(runtime.sleeps, 1);
}

static void a_file_that_is_not_there_is_no_error(void **state)
{
	(void)state;
	struct json_object *object;

	assert_int_equal(read_object("none", &object), AWSFLOCK_OK);
	assert_null(object);
	assert_int_equal(read_object("none/below", &object), AWSFLOCK_OK);
	assert_null(object);
}

/* Another thread's, or one's in another container, where process numbers start anew. */
static void a_file_that_another_one_is_writing_under_our_number_is_left_to_it(void **state)
{
	(void)state;
	char temporary[64];
	struct json_object *object, *written = json_object_new_object();
	awsflock_error error;

	snprintf(temporary, sizeof(temporary), ".file.%ld.0.tmp", (long)getpid());
	scratch_write(&scratch, temporary, "{\"a\": \"another's\"}", strlen("{\"a\": \"another's\"}"));
	assert_int_equal(json_object_object_add(written, "a", json_object_new_string("ours")), 0);
	assert_int_equal(sign_in_file_replace(scratch_path(&scratch, "file"), written, NULL, NULL, &error),
			 AWSFLOCK_OK);
	assert_int_equal(read_object("file", &object), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(object, "a"), "ours");
	credentials_json_put(object);
	assert_int_equal(read_object(temporary, &object), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(object, "a"), "another's");
	credentials_json_put(object);
	credentials_json_put(written);
}

static void write_left_behind(const char *name, time_t age_s)
{
	struct timeval times[2] = { { time(NULL) - age_s, 0 }, { time(NULL) - age_s, 0 } };

	scratch_write(&scratch, name, "{}", 2);
	assert_int_equal(utimes(scratch_path(&scratch, name), times), 0);
}

static void what_a_writer_that_crashed_left_is_removed_a_day_later(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		time_t age_s;
		bool is_kept;
	} rows[] = { { ".file.12345.0.tmp", 25 * 3600, false },    { ".file.12345.1.tmp", 23 * 3600, true },
		     { ".other.json.1.99.tmp", 25 * 3600, false }, { ".other.json.1.99.tmp2", 25 * 3600, true },
		     { ".other.12345.tmp", 25 * 3600, true },      { ".12345.0.tmp", 25 * 3600, true },
		     { ".other.x.0.tmp", 25 * 3600, true },        { ".other.1..tmp", 25 * 3600, true },
		     { ".other.vim.tmp", 25 * 3600, true },        { ".file.mine", 25 * 3600, true },
		     { "file.12345.0.tmp", 25 * 3600, true } };
	struct json_object *written = json_object_new_object();
	awsflock_error error;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		write_left_behind(rows[i].name, rows[i].age_s);
	assert_int_equal(sign_in_file_replace(scratch_path(&scratch, "file"), written, NULL, NULL, &error),
			 AWSFLOCK_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if ((access(scratch_path(&scratch, rows[i].name), F_OK) == 0) != rows[i].is_kept)
			fail_msg("%s", rows[i].name);
	}
	json_object_put(written);
}

/* Right before the new file takes the old one's place. */
static bool look_and_refuse(void *arg)
{
	struct json_object *old;

	assert_int_equal(read_object("file", &old), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(old, "a"), "old");
	credentials_json_put(old);
	*(size_t *)arg = scratch_count_entries(&scratch, ".");
	return false;
}

static void what_nobody_wants_replaced_any_more_stays_as_it_is(void **state)
{
	(void)state;
	struct json_object *object = json_object_new_object(), *found;
	size_t entries = 0;
	awsflock_error error;

	scratch_write(&scratch, "file", "{\"a\": \"old\"}", strlen("{\"a\": \"old\"}"));
	assert_int_equal(
		sign_in_file_replace(scratch_path(&scratch, "file"), object, look_and_refuse, &entries, &error),
		AWSFLOCK_CREDENTIALS);
	assert_int_equal(entries, 2); /* the new one was written whole before */
	assert_int_equal(error.system_errno, ECANCELED);
	assert_int_equal(read_object("file", &found), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(found, "a"), "old");
	assert_int_equal(scratch_count_entries(&scratch, "."), 1);
	credentials_json_put(found);
	credentials_json_put(object);
}

static void only_what_is_in_the_home_directory_is_made(void **state)
{
	(void)state;
	char beside[600];

	snprintf(beside, sizeof(beside), "%s-beside/folder/file", scratch.root);
	sign_in_file_make_directory(scratch.root);
	sign_in_file_make_directory(beside);
	snprintf(beside, sizeof(beside), "%s-beside", scratch.root);
	assert_int_equal(access(beside, F_OK), -1);
	sign_in_file_make_directory(scratch_path(&scratch, "a/b/file"));
	assert_int_equal(access(scratch_path(&scratch, "a/b"), F_OK), 0);
}

static void strings_are_escaped_as_python_escapes_them(void **state)
{
	(void)state;
	static const struct {
		const char *text, *escaped;
	} rows[] = { { "", "\"\"" },
		     { "plain ~ /", "\"plain ~ /\"" },
		     { "\"\\", "\"\\\"\\\\\"" },
		     { "\b\t\n\f\r\x01\x7f", "\"\\b\\t\\n\\f\\r\\u0001\\u007f\"" },
		     { "\xc3\xa9\xe2\x82\xac", "\"\\u00e9\\u20ac\"" },
		     { "\xf0\x9f\x94\x92", "\"\\ud83d\\udd12\"" } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out = BUF_INIT;

		json_print_text(&out, rows[i].text);
		assert_string_equal(buf_text(&out), rows[i].escaped);
		buf_free(&out);
	}
}

static struct json_object *parsed(const char *text)
{
	struct buf whole = BUF_INIT;
	struct json_object *object;

	buf_puts(&whole, text);
	object = credentials_json_parse(&whole);
	assert_non_null(object);
	buf_free(&whole);
	return object;
}

static void values_of_every_kind_are_printed_as_python_prints_them(void **state)
{
	(void)state;
	static const char text[] = "{\"a\": [1, -2, 1.5, true, false, null, {}, [], \"x\"], \"\\u00e9\": {\"b\": "
				   "{\"c\": \"\\u0000d\", \"e\": 9223372036854775807}}, \"f\": null}";
	struct json_object *object = parsed(text);
	struct buf out = BUF_INIT;

	assert_true(json_print(object, &out));
	assert_string_equal(buf_text(&out), text);
	buf_free(&out);
	credentials_json_put(object);
}

/* Each character beyond ASCII grows to six. */
static void what_would_be_too_large_to_be_read_again_is_not_written(void **state)
{
	(void)state;
	struct json_object *object = json_object_new_object(), *found;
	char text[100001];
	awsflock_error error;

	memset(text, 0, sizeof(text));
	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	assert_int_equal(json_object_object_add(object, "a", json_object_new_string(text)), 0);
	scratch_write(&scratch, "file", "{\"a\": \"old\"}", strlen("{\"a\": \"old\"}"));
	assert_int_equal(sign_in_file_replace(scratch_path(&scratch, "file"), object, NULL, NULL, &error),
			 AWSFLOCK_CREDENTIALS);
	assert_int_equal(error.system_errno, EFBIG);
	assert_int_equal(read_object("file", &found), AWSFLOCK_OK);
	assert_string_equal(credentials_json_text(found, "a"), "old");
	assert_int_equal(scratch_count_entries(&scratch, "."), 1);
	credentials_json_put(found);
	credentials_json_put(object);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_half_written_is_read_once_more_in_a_moment),
		TEST(a_file_that_stays_half_written_is_refused),
		TEST(a_file_that_is_not_there_is_no_error),
		TEST(a_file_that_another_one_is_writing_under_our_number_is_left_to_it),
		TEST(what_a_writer_that_crashed_left_is_removed_a_day_later),
		TEST(what_nobody_wants_replaced_any_more_stays_as_it_is),
		TEST(only_what_is_in_the_home_directory_is_made),
		TEST(strings_are_escaped_as_python_escapes_them),
		TEST(values_of_every_kind_are_printed_as_python_prints_them),
		TEST(what_would_be_too_large_to_be_read_again_is_not_written),
	};

	return cmocka_run_group_tests_name("sign_in_file", tests, NULL, NULL);
}
