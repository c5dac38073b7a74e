/* Tests of base/shell_words.c.  SPDX-License-Identifier: Apache-2.0 */
#include "base/shell_words.h"

#include <string.h>

#include "cmocka_all.h"

static void words_are_cut_as_a_shell_quotes_them(void **state)
{
	(void)state;
	/* As Python's shlex.split() has them, which botocore uses. */
	static const struct {
		const char *text;
		const char *words[5];
	} rows[] = {
		{ "a", { "a" } },
		{ "  a \t b\nc\r\n", { "a", "b", "c" } },
		{ "a 'b c' \"d e\"", { "a", "b c", "d e" } },
		{ "a''b \"\" ''", { "ab", "", "" } },
		{ "a\\ b c\\\\d \\'", { "a b", "c\\d", "'" } },
		{ "'a\\b' \"a\\b\" \"a\\\"b\" \"a\\\\b\"", { "a\\b", "a\\b", "a\"b", "a\\b" } },
		{ "a$b `c` ;d |e", { "a$b", "`c`", ";d", "|e" } },
		{ "a#b #c ~ *", { "a#b", "#c", "~", "*" } },
		{ "--x='y z'\"'\"", { "--x=y z'" } },
		{ "\xc3\xbc 'ÄÖ'", { "\xc3\xbc", "ÄÖ" } },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		awsflock_error error;
		char **words;
		size_t j = 0;
		assert_int_equal(shell_words_split(rows[i].text, &words, &error), AWSFLOCK_OK);
		for (; rows[i].words[j] != NULL; j++) {
			assert_non_null(words[j]);
			assert_string_equal(words[j], rows[i].words[j]);
		}
		assert_null(words[j]);
		shell_words_free(&words);
		assert_null(words);
	}
}

static void what_does_not_end_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "", " \t", "a 'b", "a \"b", "a \"b\\\"", "a\\", "'", "\"\\" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		awsflock_error error;
		char **words = NULL;
		assert_int_equal(shell_words_split(texts[i], &words, &error), AWSFLOCK_INVALID);
		assert_null(words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_cut_as_a_shell_quotes_them),
		cmocka_unit_test(what_does_not_end_is_refused),
	};
	return cmocka_run_group_tests_name("shell_words", tests, NULL, NULL);
}
