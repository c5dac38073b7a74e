/* Every function that frees through a pointer to a pointer accepts NULL and the address of NULL.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include "aws/dynamodb/dynamodb.h"
#include "base/secret.h"
#include "base/shell_words.h"
#include "lock/lease.h"
#include "lock/store.h"

#define TEST_FREE(function, type)                                                                                  \
	static void function##_accepts_nothing(void **state)                                                       \
	{                                                                                                          \
		type *nothing = NULL;                                                                              \
                                                                                                                   \
		(void)state;                                                                                       \
		function(NULL);                                                                                    \
		function(&nothing);                                                                                \
		assert_null(nothing);                                                                              \
	}

TEST_FREE(dynamodb_free, struct dynamodb)
TEST_FREE(secret_free, char)
TEST_FREE(shell_words_free, char *)
TEST_FREE(lease_free, struct lease)
TEST_FREE(store_free, struct store)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dynamodb_free_accepts_nothing),    cmocka_unit_test(secret_free_accepts_nothing),
		cmocka_unit_test(shell_words_free_accepts_nothing), cmocka_unit_test(lease_free_accepts_nothing),
		cmocka_unit_test(store_free_accepts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
