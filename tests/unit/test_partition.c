/* Tests of aws/partition.c: every host of tests/data/signin/hosts.json, which are botocore 1.43's, and
 * those of the test data that AWS publishes with its clients.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/partition.h"

static struct json_object *member(struct json_object *object, const char *name)
{
	struct json_object *found;

	assert_true(json_object_object_get_ex(object, name, &found));
	return found;
}

static enum aws_service service_called(const char *name)
{
	if (strcmp(name, "sso") == 0)
		return AWS_SSO;
	if (strcmp(name, "sso-oidc") == 0)
		return AWS_SSO_OIDC;
	assert_string_equal(name, "signin");
	return AWS_SIGNIN;
}

static void check(struct json_object *row)
{
	struct json_object *wanted = member(row, "url");
	char *url = NULL;
	awsflock_error error = { 0 };
	awsflock_code code = partition_url(service_called(json_object_get_string(member(row, "service"))),
					   json_object_get_string(member(row, "region")),
					   json_object_get_boolean(member(row, "fips")),
					   json_object_get_boolean(member(row, "dual_stack")), &url, &error);

	if (wanted == NULL) {
		assert_int_equal(code, AWSFLOCK_CONFIG);
		assert_null(url);
		return;
	}
	assert_int_equal(code, AWSFLOCK_OK);
	assert_string_equal(url, json_object_get_string(wanted));
	free(url);
}

static void every_host_of_the_sign_in_services_is_botocores(void **state)
{
	(void)state;
	char path[512];
	struct json_object *rows;
	size_t count;

	snprintf(path, sizeof(path), "%s/signin/hosts.json", getenv("TEST_DATA_DIR"));
	rows = json_object_from_file(path);
	assert_non_null(rows);
	count = json_object_array_length(rows);
	assert_int_equal(count, 154);
	for (size_t i = 0; i < count; i++)
		check(json_object_array_get_idx(rows, i));
	json_object_put(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_host_of_the_sign_in_services_is_botocores) };

	return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
