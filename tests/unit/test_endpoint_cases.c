/* Tests of aws/endpoint.c and aws/profile.c together: every case of tests/data/endpoints/cases.json, whose URLs and
 * signing regions are botocore's.  Where we differ on purpose a case says "ours", and why.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/endpoint.h"

static const char *text_of(struct json_object *object, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(object, name, &member) ? json_object_get_string(member) : NULL;
}

static void set_environment(struct json_object *test_case)
{
	struct json_object *environment;

	clearenv();
	setenv("HOME", "/nonexistent", 1);
	assert_true(json_object_object_get_ex(test_case, "environment", &environment));
	json_object_object_foreach(environment, name, value) setenv(name, json_object_get_string(value), 1);
}

/* The caller unlinks it. */
static void write_config(struct json_object *test_case, const char *directory, char *path, size_t size)
{
	FILE *file;

	snprintf(path, size, "%s/awsflock-endpoints-%ld", directory, (long)getpid());
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text_of(test_case, "config"), file);
	assert_int_equal(fclose(file), 0);
}

static awsflock_code resolve(struct json_object *test_case, const char *directory, struct endpoint *out,
			     awsflock_error *error)
{
	char path[512];
	struct profile profile = { 0 };
	struct profile_options from = { .config_path = path };
	struct endpoint_options options = { .profile = &profile };
	char **own_environment = environ; /* which tells cmocka how to report */
	awsflock_code code;

	write_config(test_case, directory, path, sizeof(path));
	set_environment(test_case);
	code = profile_load(&from, &profile, error);
	if (code == AWSFLOCK_OK)
		code = endpoint_resolve(&options, out, error);
	profile_clear(&profile);
	unlink(path);
	environ = own_environment;
	return code;
}

/* True where awsflock comes to what the case says: the same URL and region, or an error as well. */
static bool is_right(struct json_object *test_case, const char *directory)
{
	struct endpoint endpoint = { 0 };
	struct json_object *expected;
	awsflock_error error;
	awsflock_code code = resolve(test_case, directory, &endpoint, &error);
	bool equal = false;

	if (!json_object_object_get_ex(test_case, "ours", &expected))
		assert_true(json_object_object_get_ex(test_case, "expected", &expected));
	if (text_of(expected, "error") != NULL)
		equal = code == AWSFLOCK_CONFIG;
	else if (code == AWSFLOCK_OK)
		equal = strcmp(endpoint.url, text_of(expected, "url")) == 0 &&
			strcmp(endpoint.region, text_of(expected, "region")) == 0;
	if (!equal)
		print_message("%s: %s, %s, not %s\n", text_of(test_case, "name"),
			      code == AWSFLOCK_OK ? endpoint.url : error.message,
			      code == AWSFLOCK_OK ? endpoint.region : "-", json_object_to_json_string(expected));
	endpoint_clear(&endpoint);
	return equal;
}

static void every_endpoint_is_botocores(void **state)
{
	char path[512];
	char *directory = strdup(getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	struct json_object *data, *cases;
	size_t right = 0, different = 0, count;

	(void)state;
	snprintf(path, sizeof(path), "%s/endpoints/cases.json", getenv("TEST_DATA_DIR"));
	data = json_object_from_file(path);
	assert_non_null(data);
	assert_true(json_object_object_get_ex(data, "cases", &cases));
	count = json_object_array_length(cases);
	assert_true(count > 500);
	for (size_t i = 0; i < count; i++) {
		struct json_object *test_case = json_object_array_get_idx(cases, i);
		right += is_right(test_case, directory) ? 1 : 0;
		different += text_of(test_case, "ours") != NULL ? 1 : 0;
	}
	print_message("%zu inputs, %zu equal to botocore's, %zu different on purpose\n", count, right - different,
		      different);
	assert_int_equal(right, count);
	json_object_put(data);
	free(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_endpoint_is_botocores) };

	return cmocka_run_group_tests_name("endpoint_cases", tests, NULL, NULL);
}
