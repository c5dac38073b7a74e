/* Tests of cli/guard_check/pam_stack.c.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/guard_check/pam_stack.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "scratch_directory.h"

struct fixture {
	struct scratch scratch;
	struct pam_stack stack;
	awsflock_error error;
};

static struct fixture fixture;

static int set_up(void **state)
{
	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	scratch_make(&fixture.scratch);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	pam_stack_free(&fixture.stack);
	scratch_remove(&fixture.scratch);
	return 0;
}

/* TEXT, in which each "%" stands for the directory, becomes the file NAME. */
static void write_text(const char *name, const char *text)
{
	char whole[4096];
	size_t size = 0;

	for (; *text != '\0'; text++)
		if (*text == '%')
			size += (size_t)snprintf(whole + size, sizeof(whole) - size, "%s", fixture.scratch.root);
		else
			whole[size++] = *text;
	scratch_write(&fixture.scratch, name, whole, size);
}

static awsflock_code read_stack(const char *name)
{
	pam_stack_free(&fixture.stack);
	return pam_stack_read(scratch_path(&fixture.scratch, name), "session", &fixture.stack, &fixture.error);
}

static void assert_refused(const char *name, const char *sentence)
{
	assert_int_equal(read_stack(name), AWSFLOCK_CONFIG);
	if (!strstr(fixture.error.message, sentence))
		print_error("%s\n", fixture.error.message);
	assert_non_null(strstr(fixture.error.message, sentence));
}

static void assert_line(size_t i, int number, const char *control, const char *module)
{
	assert_true(i < fixture.stack.count);
	assert_int_equal(fixture.stack.lines[i].number, number);
	assert_string_equal(fixture.stack.lines[i].control, control);
	assert_string_equal(fixture.stack.lines[i].module, module);
}

static void lines_of_the_kind_are_kept_in_order(void **state)
{
	(void)state;
	write_text("service", "# session required pam_commented.so\n"
			      "\n"
			      "auth required pam_auth.so\n"
			      "session requisite pam_awsflock.so guard=ops [conf=a b\\]c] #end\n"
			      "-SESSION [success=ok default=bad] /lib/pam_other.so\n"
			      "session optional \\\n"
			      "   pam_long.so \\\n"
			      " word\n"
			      "session required\n"
			      "session\n");
	assert_int_equal(read_stack("service"), AWSFLOCK_OK);
	assert_int_equal(fixture.stack.count, 3);
	assert_line(0, 4, "requisite", "pam_awsflock.so");
	assert_string_equal(fixture.stack.lines[0].file, scratch_path(&fixture.scratch, "service"));
	assert_int_equal(fixture.stack.lines[0].argument_count, 2);
	assert_string_equal(fixture.stack.lines[0].arguments[0], "guard=ops");
	assert_string_equal(fixture.stack.lines[0].arguments[1], "conf=a b\\]c");
	assert_null(fixture.stack.lines[0].arguments[2]);
	assert_false(fixture.stack.lines[0].may_be_missing);
	assert_line(1, 5, "[success=ok default=bad]", "/lib/pam_other.so");
	assert_true(fixture.stack.lines[1].may_be_missing);
	assert_line(2, 8, "optional", "pam_long.so");
	assert_string_equal(fixture.stack.lines[2].arguments[0], "word");
}

static void lines_of_included_files_stand_where_they_are_included(void **state)
{
	(void)state;
	write_text("inner", "session required pam_inner.so\n");
	write_text("service", "session required pam_first.so\n"
			      "@include %/inner\n"
			      "session include %/inner\n"
			      "session substack %/inner\n"
			      "auth include %/absent\n"
			      "session required pam_last.so\n");
	assert_int_equal(read_stack("service"), AWSFLOCK_OK);
	assert_int_equal(fixture.stack.count, 5);
	assert_line(0, 1, "required", "pam_first.so");
	for (size_t i = 1; i <= 3; i++) {
		assert_line(i, 1, "required", "pam_inner.so");
		assert_string_equal(fixture.stack.lines[i].file, scratch_path(&fixture.scratch, "inner"));
		assert_int_equal(fixture.stack.lines[i].in_substack, i == 3);
	}
	assert_line(4, 6, "required", "pam_last.so");
	assert_false(fixture.stack.lines[4].in_substack);
}

static void an_included_file_that_is_missing_is_named(void **state)
{
	(void)state;
	write_text("service", "session required pam_first.so\n@include %/absent\n");
	assert_refused("service", "/absent");
	assert_int_equal(fixture.stack.count, 1);
}

static void a_file_that_includes_itself_is_refused(void **state)
{
	(void)state;
	write_text("service", "@include %/service\n");
	assert_refused("service", "includes itself");
}

static void a_pipe_a_directory_or_a_device_is_refused_at_once(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(scratch_path(&fixture.scratch, "pipe"), 0600), 0);
	write_text("of-pipe", "@include %/pipe\n");
	write_text("of-device", "@include /dev/zero\n");
	write_text("of-directory", "@include %\n");
	assert_refused("pipe", "/pipe is not a regular file");
	assert_refused("of-pipe", "/pipe is not a regular file");
	assert_refused("of-device", "/dev/zero is not a regular file");
	assert_refused("of-directory", "is not a regular file");
}

static void the_null_device_is_an_empty_file(void **state)
{
	(void)state;
	assert_int_equal(symlink("/dev/null", scratch_path(&fixture.scratch, "masked")), 0);
	assert_int_equal(read_stack("masked"), AWSFLOCK_OK);
	assert_int_equal(fixture.stack.count, 0);
}

static void a_file_may_have_a_mebibyte_and_no_more(void **state)
{
	(void)state;
	write_text("large", "session required pam_first.so\n#");
	assert_int_equal(truncate(scratch_path(&fixture.scratch, "large"), 1024 * 1024), 0);
	assert_int_equal(read_stack("large"), AWSFLOCK_OK);
	assert_int_equal(fixture.stack.count, 1);
	assert_int_equal(truncate(scratch_path(&fixture.scratch, "large"), 1024 * 1024 + 1), 0);
	assert_refused("large", "/large: too long to be checked");
}

static void more_than_a_thousand_lines_are_refused(void **state)
{
	(void)state;
	static char text[1002 * 16];
	size_t size = 0;

	for (int i = 0; i < 1000; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "session a b.so\n");
	scratch_write(&fixture.scratch, "service", text, size);
	assert_int_equal(read_stack("service"), AWSFLOCK_OK);
	assert_int_equal(fixture.stack.count, 1000);
	size += (size_t)snprintf(text + size, sizeof(text) - size, "session a b.so\n");
	scratch_write(&fixture.scratch, "service", text, size);
	assert_refused("service", "/service: too long to be checked");
}

static void our_module_is_known_by_its_name_in_any_directory(void **state)
{
	(void)state;
	write_text("service", "session required pam_awsflock.so\n"
			      "session required /usr/lib/security/pam_awsflock.so\n"
			      "session required pam_awsflock.so.1\n"
			      "session required pam_awsflock.so/other.so\n");
	assert_int_equal(read_stack("service"), AWSFLOCK_OK);
	assert_true(pam_line_is_ours(&fixture.stack.lines[0]));
	assert_true(pam_line_is_ours(&fixture.stack.lines[1]));
	assert_false(pam_line_is_ours(&fixture.stack.lines[2]));
	assert_false(pam_line_is_ours(&fixture.stack.lines[3]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_of_the_kind_are_kept_in_order),
		TEST(lines_of_included_files_stand_where_they_are_included),
		TEST(an_included_file_that_is_missing_is_named),
		TEST(a_file_that_includes_itself_is_refused),
		TEST(a_pipe_a_directory_or_a_device_is_refused_at_once),
		TEST(the_null_device_is_an_empty_file),
		TEST(a_file_may_have_a_mebibyte_and_no_more),
		TEST(more_than_a_thousand_lines_are_refused),
		TEST(our_module_is_known_by_its_name_in_any_directory),
	};
	return cmocka_run_group_tests_name("pam_stack", tests, NULL, NULL);
}
