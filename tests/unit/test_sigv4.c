/* Tests of aws/sigv4.c: every case of tests/data/sigv4/cases.json, whose signatures are botocore's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4.h"

#define HEADERS_MAX 8

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *member;
	assert_true(json_object_object_get_ex(object, name, &member));
	return json_object_get_string(member); /* NULL for null */
}

static int64_t number_of(struct json_object *object, const char *name)
{
	struct json_object *member;
	assert_true(json_object_object_get_ex(object, name, &member));
	return json_object_get_int64(member);
}

static size_t take_headers(struct json_object *test_case, struct http_header *headers)
{
	struct json_object *list;
	assert_true(json_object_object_get_ex(test_case, "headers", &list));
	size_t count = json_object_array_length(list);
	assert_true(count <= HEADERS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct json_object *pair = json_object_array_get_idx(list, i);
		headers[i].name = json_object_get_string(json_object_array_get_idx(pair, 0));
		headers[i].value = json_object_get_string(json_object_array_get_idx(pair, 1));
	}
	return count;
}

static void signature_is_botocores(void **state)
{
	struct json_object *test_case = *state, *expected;
	struct http_header headers[HEADERS_MAX];
	struct sigv4_request request = { .method = text_of(test_case, "method"),
					 .path = text_of(test_case, "path"),
					 .query = text_of(test_case, "query"),
					 .region = text_of(test_case, "region"),
					 .service = text_of(test_case, "service"),
					 .time_seconds = number_of(test_case, "time_seconds"),
					 .headers = headers,
					 .header_count = take_headers(test_case, headers),
					 .body = text_of(test_case, "body"),
					 .body_size = strlen(text_of(test_case, "body")) };
	struct sigv4_keys keys = { text_of(test_case, "access_key_id"), text_of(test_case, "secret_access_key"),
				   text_of(test_case, "session_token") };
	char date[SIGV4_DATE_SIZE];
	struct buf authorization = BUF_INIT;
	awsflock_error error;

	assert_int_equal(sigv4_sign(&request, &keys, date, &authorization, &error), AWSFLOCK_OK);
	assert_true(json_object_object_get_ex(test_case, "expected", &expected));
	assert_string_equal(date, text_of(expected, "date"));
	assert_string_equal(buf_text(&authorization), text_of(expected, "authorization"));
	buf_free(&authorization);
}

static void more_headers_than_there_is_room_for_are_an_error(void **state)
{
	(void)state;
	struct http_header headers[20];
	for (size_t i = 0; i < 20; i++)
		headers[i] = (struct http_header){ "X-Amz-Again", "1" };
	struct sigv4_request request = { .method = "POST",
					 .path = "/",
					 .query = "",
					 .region = "us-east-1",
					 .service = "dynamodb",
					 .headers = headers,
					 .header_count = 20 };
	struct sigv4_keys keys = { "AKIDEXAMPLE", "secret", NULL };
	char date[SIGV4_DATE_SIZE];
	struct buf authorization = BUF_INIT;
	awsflock_error error;

	assert_int_equal(sigv4_sign(&request, &keys, date, &authorization, &error), AWSFLOCK_INTERNAL);
	buf_free(&authorization);
}

static void a_time_beyond_four_digit_years_is_an_error(void **state)
{
	(void)state;
	struct sigv4_request request = { .method = "POST",
					 .path = "/",
					 .query = "",
					 .region = "us-east-1",
					 .service = "dynamodb",
					 .time_seconds = INT64_C(253402300800) };
	struct sigv4_keys keys = { "AKIDEXAMPLE", "secret", NULL };
	char date[SIGV4_DATE_SIZE];
	struct buf authorization = BUF_INIT;
	awsflock_error error;

	assert_int_equal(sigv4_sign(&request, &keys, date, &authorization, &error), AWSFLOCK_INTERNAL);
	buf_free(&authorization);
}

/* One test a case, named as the case is, after FIXED. */
static int run_cases(struct json_object *cases, const struct CMUnitTest *fixed, size_t fixed_count)
{
	size_t count = json_object_array_length(cases);
	struct CMUnitTest *tests = calloc(fixed_count + count, sizeof(*tests));

	if (tests == NULL)
		return 1;
	memcpy(tests, fixed, fixed_count * sizeof(*tests));
	for (size_t i = 0; i < count; i++) {
		struct json_object *test_case = json_object_array_get_idx(cases, i);

		tests[fixed_count + i] = (struct CMUnitTest){
			.name = text_of(test_case, "name"),
			.test_func = signature_is_botocores,
			.initial_state = test_case,
		};
	}

	int failed = _cmocka_run_group_tests("sigv4", tests, fixed_count + count, NULL, NULL);

	free(tests);
	return failed;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_headers_than_there_is_room_for_are_an_error),
		cmocka_unit_test(a_time_beyond_four_digit_years_is_an_error),
	};
	const char *directory = getenv("TEST_DATA_DIR");
	char path[4096];
	snprintf(path, sizeof(path), "%s/sigv4/cases.json", directory != NULL ? directory : "tests/data");
	struct json_object *cases = json_object_from_file(path);
	if (cases == NULL || json_object_array_length(cases) < 12) {
		fprintf(stderr, "%s cannot be read\n", path);
		return 1;
	}

	int failed = run_cases(cases, tests, sizeof(tests) / sizeof(tests[0]));

	json_object_put(cases);
	return failed;
}
