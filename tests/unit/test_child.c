/* Tests of base/child.c, on real programs.  SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/outside.h"
#include "cmocka_all.h"

static char *const environment[] = { (char[]){ "PATH=/usr/bin:/bin" }, (char[]){ "COLOUR=green" }, NULL };

static struct runtime runtime;
static int outside; /* runtime.outside_socket */

static awsflock_code run_words(char *const *words, int64_t timeout_ms, struct child_result *result)
{
	awsflock_error error;
	runtime_init_system(&runtime);
	runtime.outside_socket = outside;
	struct child_options options = { .words = words,
					 .environment = environment,
					 .output_limit = 1000,
					 .give_up_boot_ns = runtime_boot_ns(&runtime) + timeout_ms * NS_PER_MS };
	return child_run(&runtime, &options, result, &error);
}

static enum child_end run_script(const char *script, int64_t timeout_ms, struct child_result *result)
{
	char *text = strdup(script);
	char *words[] = { (char[]){ "sh" }, (char[]){ "-c" }, text, NULL };
	assert_int_equal(run_words(words, timeout_ms, result), AWSFLOCK_OK);
	free(text);
	return result->end;
}

static void what_a_program_prints_and_how_it_ends_is_told(void **state)
{
	(void)state;
	struct child_result result;
	assert_int_equal(run_script("echo out; echo err >&2; exit 7", 60000, &result), CHILD_EXITED);
	assert_int_equal(result.number, 7);
	assert_string_equal(buf_text(&result.output), "out\n");
	assert_string_equal(buf_text(&result.complaint), "err\n");
	child_result_clear(&result);
	assert_int_equal(run_script("kill -TERM $$", 60000, &result), CHILD_SIGNALLED);
	assert_int_equal(result.number, SIGTERM);
	child_result_clear(&result);
}

/* The same by a process that is no ancestor's child, see base/outside.h. */
static void a_program_is_run_outside_as_inside(void **state)
{
	struct child_result result;
	char *words[] = { (char[]){ "/nowhere/program" }, NULL };

	outside = outside_start();
	assert_true(outside > STDERR_FILENO);
	what_a_program_prints_and_how_it_ends_is_told(state);
	assert_int_equal(run_words(words, 60000, &result), AWSFLOCK_CONFIG);
	assert_int_equal(run_script("exec sleep 100", 200, &result), CHILD_TIMED_OUT);
	child_result_clear(&result);
	assert_int_equal(run_script("echo $PPID", 60000, &result), CHILD_EXITED);
	assert_int_not_equal(atoi(buf_text(&result.output)), getpid());
	child_result_clear(&result);
	close(outside);
	outside = 0;
}

static void without_the_process_outside_a_program_is_a_child(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	outside = pair[0];
	what_a_program_prints_and_how_it_ends_is_told(state);
	close(pair[0]);
	outside = 0;
}

static void a_program_that_is_not_there_is_an_error(void **state)
{
	(void)state;
	struct child_result result;
	char *words[] = { (char[]){ "/nowhere/program" }, NULL };
	assert_int_equal(run_words(words, 60000, &result), AWSFLOCK_CONFIG);
}

static void it_gets_the_environment_that_was_given_and_no_other(void **state)
{
	(void)state;
	struct child_result result;
	setenv("OURS", "secret", 1);
	run_script("echo $COLOUR $OURS", 60000, &result);
	assert_string_equal(buf_text(&result.output), "green\n");
	child_result_clear(&result);
}

static void it_inherits_no_descriptor_and_no_signal_mask(void **state)
{
	(void)state;
	struct child_result result;
	sigset_t all, before;
	int fd = open("/dev/zero", O_RDONLY); /* without FD_CLOEXEC */
	assert_true(fd > 2);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	signal(SIGPIPE, SIG_IGN);
	run_script("ls -l /proc/self/fd | grep -c zero; grep SigBlk /proc/self/status; trap - PIPE; kill -PIPE $$",
		   60000, &result);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(fd);
	assert_string_equal(buf_text(&result.output), "0\nSigBlk:\t0000000000000000\n");
	assert_int_equal(result.end, CHILD_SIGNALLED);
	assert_int_equal(result.number, SIGPIPE);
	child_result_clear(&result);
}

static bool runs(pid_t pid)
{
	return kill(pid, 0) == 0;
}

static void one_that_hangs_is_killed_in_time_with_all_that_it_started(void **state)
{
	(void)state;
	struct child_result result;
	pid_t pid = 0;
	for (int64_t limit_ms = 100; pid == 0;
	     limit_ms *= 2) { /* on a busy machine the shell has not begun by then */
		assert_int_equal(run_script("sleep 100 & echo $!; wait", limit_ms, &result), CHILD_TIMED_OUT);
		pid = (pid_t)strtol(buf_text(&result.output), NULL, 10);
		if (pid == 0)
			child_result_clear(&result);
	}
	assert_true(pid > 1);
	for (int i = 0; i < 1000 && runs(pid); i++) /* until whoever inherits it has reaped it */
		usleep(10000);
	assert_false(runs(pid));
	child_result_clear(&result);
}

static void one_that_prints_too_much_is_killed(void **state)
{
	(void)state;
	struct child_result result;
	assert_int_equal(run_script("exec yes", 60000, &result), CHILD_TOO_LARGE);
	child_result_clear(&result);
	assert_int_equal(run_script("head -c 1000 /dev/zero | tr '\\0' x", 60000, &result), CHILD_EXITED);
	assert_int_equal(result.output.size, 1000);
	child_result_clear(&result);
	assert_int_equal(run_script("head -c 1001 /dev/zero | tr '\\0' x", 60000, &result), CHILD_TOO_LARGE);
	child_result_clear(&result);
}

static void only_the_beginning_of_its_complaints_is_kept(void **state)
{
	(void)state;
	struct child_result result;
	assert_int_equal(run_script("echo first >&2; head -c 100000 /dev/zero | tr '\\0' x >&2", 60000, &result),
			 CHILD_EXITED);
	assert_memory_equal(buf_text(&result.complaint), "first\n", 6);
	assert_int_equal(result.complaint.size, 4096);
	child_result_clear(&result);
}

static void what_it_leaves_in_the_background_is_neither_awaited_nor_killed(void **state)
{
	(void)state;
	struct child_result result;
	assert_int_equal(run_script("sleep 100 & echo $!", 60000, &result), CHILD_EXITED);
	pid_t pid = (pid_t)strtol(buf_text(&result.output), NULL, 10);
	assert_true(pid > 1 && runs(pid));
	kill(pid, SIGKILL);
	child_result_clear(&result);
}

static bool told_to_stop(void *arg)
{
	return *(bool *)arg;
}

static void the_order_to_stop_kills_it(void **state)
{
	(void)state;
	struct child_result result;
	bool stop = true;
	awsflock_error error;
	char *words[] = { (char[]){ "sleep" }, (char[]){ "100" }, NULL };
	runtime_init_system(&runtime);
	runtime.stop = told_to_stop;
	runtime.stop_arg = &stop;
	struct child_options options = {
		.words = words, .environment = environment, .output_limit = 10, .give_up_boot_ns = INT64_MAX
	};
	assert_int_equal(child_run(&runtime, &options, &result, &error), AWSFLOCK_OK);
	assert_int_equal(result.end, CHILD_STOPPED);
	child_result_clear(&result);
}

/* Hosts that ignore SIGCHLD have their children reaped by the kernel. */
static void output_comes_where_nobody_can_tell_how_it_ended(void **state)
{
	(void)state;
	struct child_result result;
	signal(SIGCHLD, SIG_IGN);
	assert_int_equal(run_script("echo out; exit 3", 60000, &result), CHILD_REAPED_ELSEWHERE);
	signal(SIGCHLD, SIG_DFL);
	assert_string_equal(buf_text(&result.output), "out\n");
	child_result_clear(&result);
}

static void it_works_where_the_standard_descriptors_are_closed(void **state)
{
	(void)state;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct child_result result;
		close(0);
		close(1);
		close(2);
		_exit(run_script("echo out; echo err >&2", 60000, &result) == CHILD_EXITED &&
				      strcmp(buf_text(&result.output), "out\n") == 0 &&
				      strcmp(buf_text(&result.complaint), "err\n") == 0
			      ? 0
			      : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_program_prints_and_how_it_ends_is_told),
		cmocka_unit_test(a_program_is_run_outside_as_inside),
		cmocka_unit_test(without_the_process_outside_a_program_is_a_child),
		cmocka_unit_test(a_program_that_is_not_there_is_an_error),
		cmocka_unit_test(it_gets_the_environment_that_was_given_and_no_other),
		cmocka_unit_test(it_inherits_no_descriptor_and_no_signal_mask),
		cmocka_unit_test(one_that_hangs_is_killed_in_time_with_all_that_it_started),
		cmocka_unit_test(one_that_prints_too_much_is_killed),
		cmocka_unit_test(only_the_beginning_of_its_complaints_is_kept),
		cmocka_unit_test(what_it_leaves_in_the_background_is_neither_awaited_nor_killed),
		cmocka_unit_test(the_order_to_stop_kills_it),
		cmocka_unit_test(output_comes_where_nobody_can_tell_how_it_ended),
		cmocka_unit_test(it_works_where_the_standard_descriptors_are_closed),
	};
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
