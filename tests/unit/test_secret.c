/* Tests of base/secret.c.  SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

/* Whether the mapping that ADDRESS lies in has FLAG among its VmFlags; false where it lies in none. */
static bool mapping_has(uintptr_t address, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	char line[512];
	bool inside = false, has = false;
	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		char *rest;
		uintptr_t low = (uintptr_t)strtoull(line, &rest, 16);
		if (*rest == '-' && rest != line)
			inside = address >= low && address < (uintptr_t)strtoull(rest + 1, NULL, 16);
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	}
	fclose(smaps);
	return has;
}

static void a_secret_is_on_pages_that_core_dumps_leave_out(void **state)
{
	(void)state;
	char *secret = secret_copy("wJalrXUtnFEMI");
	assert_string_equal(secret, "wJalrXUtnFEMI");
	assert_true(mapping_has((uintptr_t)secret, " dd"));
	secret_free(&secret);
}

static void a_freed_secret_is_nowhere(void **state)
{
	(void)state;
	char *secret = secret_copy("wJalrXUtnFEMI");
	uintptr_t address = (uintptr_t)secret;
	secret_free(&secret);
	assert_null(secret);
	assert_false(mapping_has(address, " dd"));
	secret_free(&secret); /* nothing to do */
}

static void a_secret_may_be_as_long_as_any_token(void **state)
{
	(void)state;
	size_t size = 100000;
	char *text = malloc(size + 1);
	assert_non_null(text);
	memset(text, 'x', size);
	text[size] = '\0';
	char *secret = secret_copy(text);
	assert_string_equal(secret, text);
	assert_true(mapping_has((uintptr_t)(secret + size), " dd"));
	secret_free(&secret);
	free(text);
	secret = secret_copy("");
	assert_string_equal(secret, "");
	secret_free(&secret);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_on_pages_that_core_dumps_leave_out),
		cmocka_unit_test(a_freed_secret_is_nowhere),
		cmocka_unit_test(a_secret_may_be_as_long_as_any_token),
	};
	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
