/* Tests of base/ini.c.  SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ini.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct ini parse(const char *text, enum ini_dialect dialect)
{
	struct ini ini;
	awsflock_error error = { 0 };
	if (ini_parse("f", text, strlen(text), dialect, &ini, &error) != AWSFLOCK_OK)
		fail_msg("%s", error.message);
	return ini;
}

struct expectation {
	const char *text, *section, *key, *value; /* value NULL: no such key */
};

static void assert_values(const struct expectation *cases, size_t count, enum ini_dialect dialect)
{
	for (size_t i = 0; i < count; i++) {
		struct ini ini = parse(cases[i].text, dialect);
		const char *value = ini_get(&ini, cases[i].section, cases[i].key);
		if (cases[i].value == NULL)
			assert_null(value);
		else if (value == NULL)
			fail_msg("no %s in: %s", cases[i].key, cases[i].text);
		else
			assert_string_equal(value, cases[i].value);
		ini_free(&ini);
	}
}

struct refusal {
	const char *text, *message; /* its beginning */
};

static void assert_refused(const struct refusal *cases, size_t count, enum ini_dialect dialect)
{
	for (size_t i = 0; i < count; i++) {
		struct ini ini;
		awsflock_error error = { 0 };
		assert_int_equal(ini_parse("f", cases[i].text, strlen(cases[i].text), dialect, &ini, &error),
				 AWSFLOCK_CONFIG);
		if (strncmp(error.message, cases[i].message, strlen(cases[i].message)) != 0)
			fail_msg("\"%s\" does not start with \"%s\"", error.message, cases[i].message);
	}
}

static void strict_values_end_at_a_comment_or_the_line(void **state)
{
	(void)state;
	static const struct expectation cases[] = {
		{ "[s]\nk = v\n", "s", "k", "v" },
		{ "[s]\nk=v", "s", "k", "v" },
		{ "[s]\nk = v   # comment\n", "s", "k", "v" },
		{ "[s]\nk = v\t; comment\n", "s", "k", "v" },
		{ "[s]\nk = a#b;c\n", "s", "k", "a#b;c" },
		{ "[s]\nk =#b\n", "s", "k", "#b" },
		{ "[s]\nk = # nothing\n", "s", "k", "" },
		{ "[s]\nk =\n", "s", "k", "" },
		{ "[s]\nk =   \n", "s", "k", "" },
		{ "[s]\nk = a b  c \n", "s", "k", "a b  c" },
		{ "[s]\nk = a = b\n", "s", "k", "a = b" },
		{ "[s]\nk = http://h:1/ # x ; y # z\n", "s", "k", "http://h:1/" },
		{ "[s]\r\nk = v\r\n", "s", "k", "v" },
		{ "\xEF\xBB\xBF[s]\nk = v\n", "s", "k", "v" },
		{ "# c\n; c\n  # c\n\n \t\n[s] # c\nk = v\n", "s", "k", "v" },
		{ "[s]\nk = v\n", "s", "K", NULL },
		{ "[s]\nk = v\n[t]\nk = w\n", "t", "k", "w" },
		{ "[ guard \t  ops ]\nk = v\n", "guard ops", "k", "v" },
		{ "k = v\n", "", "k", "v" },
		{ "[s]\nk = caf\xC3\xA9\n", "s", "k", "caf\xC3\xA9" },
	};
	assert_values(cases, COUNT(cases), INI_STRICT);
}

/* What is copied from a manual page on a terminal is indented. */
static void a_strict_line_may_be_indented(void **state)
{
	(void)state;
	static const struct expectation cases[] = {
		{ "  [s]\n  k = v\n", "s", "k", "v" },
		{ "\t[s]\nk = v\n\t  l = w # c\n", "s", "l", "w" },
		{ "[s]\nk = v\n  [t]\nk = w\n", "t", "k", "w" },
		{ "[s]\nk =\n  l = w\n", "s", "l", "w" },
		{ "[s]\nk =\n  l = w\n", "s", "k", "" },
		{ "  [guard ops]\n  lock = a\n", "guard ops", "lock", "a" },
	};
	assert_values(cases, COUNT(cases), INI_STRICT);
}

static void a_strict_line_that_is_none_is_refused_with_its_number(void **state)
{
	(void)state;
	static const struct refusal cases[] = {
		{ "[s]\nword\n", "f:2: this line is neither" },
		{ "[s]\n\n= v\n", "f:3: this line is neither" },
		{ "[s]\nword # k = v\n", "f:2: " },
		{ "[s]\nk = v\n  continued\n", "f:3: this line is neither" },
		{ " [s\n", "f:1: a section is written [NAME]" },
		{ "[s\n", "f:1: a section is written [NAME]" },
		{ "[s] k\n", "f:1: a section is written [NAME]" },
		{ "[]\n", "f:1: a section needs a name" },
		{ "[  ]\n", "f:1: a section needs a name" },
		{ "[s]\nk = \xFF\n", "f:2: this is not UTF-8" },
		{ "[s]\r\n\r\nword\r\n", "f:3: " },
	};
	assert_refused(cases, COUNT(cases), INI_STRICT);
}

static void a_strict_key_stands_once_in_a_section_even_one_in_two_places(void **state)
{
	(void)state;
	static const struct refusal cases[] = {
		{ "[s]\nk = 1\nk = 2\n", "f:3: 'k' stands on line 2 already" },
		{ "[s]\nk = 1\n[t]\n[s]\nk = 2\n", "f:5: 'k' stands on line 2 already" },
	};
	assert_refused(cases, COUNT(cases), INI_STRICT);
	struct ini ini = parse("[s]\nk = 1\n[t]\nk = 2\nkk = 3\n", INI_STRICT);
	assert_string_equal(ini_get(&ini, "s", "k"), "1");
	ini_free(&ini);
}

static void a_zero_byte_is_refused_by_both_kinds(void **state)
{
	(void)state;
	static const char text[] = "[s]\nk = a\0b\n";
	for (int dialect = INI_STRICT; dialect <= INI_AWS; dialect++) {
		struct ini ini;
		awsflock_error error;
		assert_int_equal(ini_parse("f", text, sizeof(text) - 1, (enum ini_dialect)dialect, &ini, &error),
				 AWSFLOCK_CONFIG);
		assert_int_equal(strncmp(error.message, "f:2: there is a zero byte", 25), 0);
	}
}

static void sections_and_lines_are_kept_for_whoever_checks_them(void **state)
{
	(void)state;
	struct ini ini = parse("[empty]\n\n[s]\nk = v\n", INI_STRICT);
	assert_int_equal(ini.count, 3);
	assert_true(ini_has_section(&ini, "empty"));
	assert_false(ini_has_section(&ini, "other"));
	assert_null(ini.entries[1].key);
	assert_int_equal(ini.entries[1].line, 3);
	assert_int_equal(ini.entries[2].line, 4);
	ini_free(&ini);
	assert_int_equal(ini.count, 0);
	ini_free(&ini);
}

static void nothing_is_an_empty_file(void **state)
{
	(void)state;
	struct ini ini;
	assert_int_equal(ini_parse("f", NULL, 0, INI_STRICT, &ini, NULL), AWSFLOCK_OK);
	assert_int_equal(ini.count, 0);
	ini = parse("\xEF\xBB\xBF", INI_AWS);
	assert_int_equal(ini.count, 0);
	ini_free(&ini);
}

static void aws_files_are_read_as_botocore_reads_them(void **state)
{
	(void)state;
	static const struct expectation cases[] = {
		{ "[default]\nregion = eu-west-1\n", "default", "region", "eu-west-1" },
		{ "[default]\nREGION: eu-west-1\n", "default", "region", "eu-west-1" },
		{ "[d]\nk = a # b ; c\n", "d", "k", "a # b ; c" },
		{ "[d]\nk = a:b=c\n", "d", "k", "a:b=c" },
		{ "[d]\nk : a=b\n", "d", "k", "a=b" },
		{ "[d]\nk =\n", "d", "k", "" },
		{ "[d]\r\nk = v\r\n", "d", "k", "v" },
		{ "\xEF\xBB\xBF[d]\nk = v\n", "d", "k", "v" },
		{ "[profile  a\tb]\nk = v\n", "profile a b", "k", "v" },
		{ "[d] # not a profile\nk = v\n", "d", "k", "v" },
		{ "# c\n[d]\n; c\n  # c\nk = v\n", "d", "k", "v" },
		/* the first key may be indented, and those as deep as it is are keys too */
		{ "[d]\n  k = v\n  l = w\n", "d", "l", "w" },
		{ "[d]\n  k = v\nl = w\n", "d", "l", "w" },
		/* deeper lines go on with the value; a comment between them does not end it */
		{ "[d]\nk = v\n  w = x\n", "d", "k", "v\nw = x" },
		{ "[d]\nk = v\n# c\n  w\n", "d", "k", "v\nw" },
		{ "[d]\nk = v\n\n  w\n\n", "d", "k", "v\n\nw" },
		{ "[d]\nk = v\n  [e]\n", "d", "k", "v\n[e]" },
		{ "[d]\nk = v\n\n\n[e]\nl = w\n", "d", "k", "v" },
		/* nested values */
		{ "[d]\ns3 =\n  addressing_style = path\n  Other=1\n", "d", "s3.addressing_style", "path" },
		{ "[d]\ns3 =\n  addressing_style = path\n  Other=1\n", "d", "s3.Other", "1" },
		{ "[d]\ns3 =\n\n  a = b = c\n\n\n  d =\nk = v\n", "d", "s3.a", "b = c" },
		{ "[d]\ns3 =\n\n  a = b = c\n\n\n  d =\nk = v\n", "d", "s3.d", "" },
		{ "[d]\ns3 =\n\n  a = b = c\n\n\n  d =\nk = v\n", "d", "k", "v" },
		{ "[d]\ns3 =\n  a = b\n", "d", "s3", NULL },
		{ "[services x]\ndynamodb =\n  endpoint_url = http://h:1\n", "services x", "dynamodb.endpoint_url",
		  "http://h:1" },
		{ "[d]\nk = \xFF\n", "d", "k", "\xFF" },
	};
	assert_values(cases, COUNT(cases), INI_AWS);
}

static void an_aws_line_that_is_none_is_refused_without_showing_it(void **state)
{
	(void)state;
	static const struct refusal cases[] = {
		{ "k = v\n", "f:1: there is no [section]" },
		{ "[d]\nsecret\n", "f:2: this line is neither" },
		{ "[d]\n= secret\n", "f:2: this line is neither" },
		{ "[]\n", "f:1: this line is neither" },
		{ "[d]\nk =\n  secret\n", "f:2: the indented lines" },
		/* as botocore refuses them, too */
		{ "[d]\nk = secret\nK = secret\n", "f:3: this key stands on line 2 already" },
		{ "[d]\nk = secret\n[e]\n[d]\nl = secret\n", "f:4: this section stands on line 1 already" },
		{ "[profile p]\n[profile  p ]\n", "f:2: this section stands on line 1 already" },
	};
	assert_refused(cases, COUNT(cases), INI_AWS);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ini ini;
		awsflock_error error;
		assert_int_equal(ini_parse("f", cases[i].text, strlen(cases[i].text), INI_AWS, &ini, &error),
				 AWSFLOCK_CONFIG);
		assert_null(strstr(error.message, "secret"));
	}
}

static void a_token_of_many_thousand_bytes_is_kept_whole(void **state)
{
	(void)state;
	enum {
		SIZE = 20000
	};
	static const char head[] = "[d]\naws_session_token = ";
	char *text = malloc(sizeof(head) + SIZE);
	assert_non_null(text);
	memcpy(text, head, sizeof(head));
	memset(text + sizeof(head) - 1, 'x', SIZE);
	text[sizeof(head) - 1 + SIZE] = '\0';
	struct ini ini = parse(text, INI_AWS);
	assert_int_equal(strlen(ini_get(&ini, "d", "aws_session_token")), SIZE);
	ini_free(&ini);
	free(text);
}

static void many_keys_are_all_kept(void **state)
{
	(void)state;
	char text[40000] = "[d]\n";
	size_t used = strlen(text);
	for (int i = 0; i < 1000; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "key%d = value%d\n", i, i);
	for (int dialect = INI_STRICT; dialect <= INI_AWS; dialect++) {
		struct ini ini = parse(text, (enum ini_dialect)dialect);
		assert_int_equal(ini.count, 1001);
		assert_string_equal(ini_get(&ini, "d", "key0"), "value0");
		assert_string_equal(ini_get(&ini, "d", "key999"), "value999");
		ini_free(&ini);
	}
}

/* ---- Files ---- */

static char directory[] = "/tmp/awsflock-test-ini-XXXXXX";

static int enter_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) != NULL ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
	(void)state;
	unlink("file");
	unlink("pipe");
	return chdir("/") == 0 ? rmdir(directory) : -1;
}

static void write_file(size_t size, const char *start)
{
	FILE *file = fopen("file", "w");
	assert_non_null(file);
	assert_true(fputs(start, file) >= 0);
	for (size_t i = strlen(start); i < size; i++)
		assert_int_not_equal(fputc('\n', file), EOF);
	assert_int_equal(fclose(file), 0);
}

static void a_file_is_read_and_named_in_the_sentence(void **state)
{
	(void)state;
	struct ini ini;
	bool found = false;
	write_file(0, "[s]\nk = v\n");
	assert_int_equal(ini_read("file", INI_STRICT, &ini, &found, NULL), AWSFLOCK_OK);
	assert_true(found);
	assert_string_equal(ini_get(&ini, "s", "k"), "v");
	ini_free(&ini);
	awsflock_error error;
	write_file(0, "[s]\nword\n");
	assert_int_equal(ini_read("file", INI_STRICT, &ini, &found, &error), AWSFLOCK_CONFIG);
	assert_int_equal(strncmp(error.message, "file:2: ", 8), 0);
}

static void a_file_that_is_not_there_is_not_an_error(void **state)
{
	(void)state;
	static const char *const paths[] = { "absent", "absent/file", "file/below-a-file" };
	write_file(0, "");
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct ini ini;
		bool found = true;
		assert_int_equal(ini_read(paths[i], INI_AWS, &ini, &found, NULL), AWSFLOCK_OK);
		assert_false(found);
		assert_null(ini_get(&ini, "s", "k"));
		ini_free(&ini);
	}
}

static void a_directory_or_a_pipe_is_refused_at_once(void **state)
{
	(void)state;
	struct ini ini;
	bool found;
	awsflock_error error;
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(ini_read("pipe", INI_STRICT, &ini, &found, &error), AWSFLOCK_CONFIG);
	assert_string_equal(error.message, "pipe is not a regular file");
	assert_int_equal(ini_read(".", INI_STRICT, &ini, &found, &error), AWSFLOCK_CONFIG);
}

static void the_null_device_is_an_empty_file(void **state)
{
	(void)state;
	struct ini ini;
	bool found = false;
	assert_int_equal(ini_read("/dev/null", INI_AWS, &ini, &found, NULL), AWSFLOCK_OK);
	assert_true(found);
	assert_int_equal(ini.count, 0);
}

static void a_file_may_have_a_mebibyte_and_no_more(void **state)
{
	(void)state;
	struct ini ini;
	bool found;
	write_file(1024 * 1024, "[s]\nk = v\n");
	assert_int_equal(ini_read("file", INI_STRICT, &ini, &found, NULL), AWSFLOCK_OK);
	assert_string_equal(ini_get(&ini, "s", "k"), "v");
	ini_free(&ini);
	write_file(1024 * 1024 + 1, "[s]\nk = v\n");
	awsflock_error error;
	assert_int_equal(ini_read("file", INI_STRICT, &ini, &found, &error), AWSFLOCK_CONFIG);
	assert_non_null(strstr(error.message, "larger than 1 MiB"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict_values_end_at_a_comment_or_the_line),
		cmocka_unit_test(a_strict_line_may_be_indented),
		cmocka_unit_test(a_strict_line_that_is_none_is_refused_with_its_number),
		cmocka_unit_test(a_strict_key_stands_once_in_a_section_even_one_in_two_places),
		cmocka_unit_test(a_zero_byte_is_refused_by_both_kinds),
		cmocka_unit_test(sections_and_lines_are_kept_for_whoever_checks_them),
		cmocka_unit_test(nothing_is_an_empty_file),
		cmocka_unit_test(aws_files_are_read_as_botocore_reads_them),
		cmocka_unit_test(an_aws_line_that_is_none_is_refused_without_showing_it),
		cmocka_unit_test(a_token_of_many_thousand_bytes_is_kept_whole),
		cmocka_unit_test(many_keys_are_all_kept),
		cmocka_unit_test(a_file_is_read_and_named_in_the_sentence),
		cmocka_unit_test(a_file_that_is_not_there_is_not_an_error),
		cmocka_unit_test(a_directory_or_a_pipe_is_refused_at_once),
		cmocka_unit_test(the_null_device_is_an_empty_file),
		cmocka_unit_test(a_file_may_have_a_mebibyte_and_no_more),
	};
	return cmocka_run_group_tests(tests, enter_directory, leave_directory);
}
