/* The reader of the session's mark: on real processes, some of which cannot be read.
 * SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/marks.h"
#include "sleeper.h"

#define SESSION "0123456789abcdef0123456789abcdef"
#define MARK "AWSFLOCK_SESSION=" SESSION
#define PATIENCE_NS (20 * NS_PER_S)

static pid_t stuck_on; /* reading this one never ends */

static bool read_or_get_stuck(pid_t pid, const char *mark)
{
	while (pid == stuck_on)
		pause();
	return process_was_started_with(pid, mark);
}

static pid_t start_marked(void)
{
	char *const environment[] = { MARK, NULL };

	return sleeper_start(environment);
}

static pid_t start_unmarked(void)
{
	char *const environment[] = { "PATH=/bin", NULL };

	return sleeper_start(environment);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct process look_up(pid_t pid)
{
	struct process process;

	assert_true(process_read(pid, &process));
	return process;
}

/* One look at PID alone, as often as it takes: the reader may not get its turn in time on a busy machine. */
static enum mark read_mark(struct marks *marks, pid_t pid)
{
	struct process process = look_up(pid);
	enum mark mark = MARK_UNKNOWN;

	for (int64_t until_ns = clock_boot_ns() + PATIENCE_NS;
	     mark == MARK_UNKNOWN && clock_boot_ns() < until_ns;) {
		marks_begin_look(marks);
		mark = marks_of(marks, &process, true);
		marks_end_look(marks);
		if (mark == MARK_UNKNOWN) {
			marks->known.count = 0;
			poll(NULL, 0, 1);
		}
	}
	return mark;
}

static void a_mark_is_known_from_the_environment(void **state)
{
	struct marks marks;
	pid_t marked = start_marked(), unmarked = start_unmarked();

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	assert_int_equal(read_mark(&marks, marked), MARK_CARRIED);
	assert_int_equal(read_mark(&marks, unmarked), MARK_ABSENT);
	assert_true(marks_are_settled(&marks));
	marks_free(&marks);
	end(marked);
	end(unmarked);
}

static void look_at_both(struct marks *marks, const struct process *first, const struct process *second)
{
	marks_begin_look(marks);
	marks_of(marks, first, true);
	marks_of(marks, second, true);
	marks_end_look(marks);
}

static void who_comes_after_one_that_is_stuck_is_still_to_be_read(void **state)
{
	struct marks marks;
	pid_t stuck = start_unmarked(), marked = start_marked();
	struct process first = look_up(stuck), second = look_up(marked);

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	stuck_on = stuck;
	look_at_both(&marks, &first, &second);
	assert_false(marks_are_read(&marks));
	for (int64_t until_ns = clock_boot_ns() + PATIENCE_NS;
	     !marks_are_read(&marks) && clock_boot_ns() < until_ns;)
		look_at_both(&marks, &first, &second);
	assert_true(marks_are_read(&marks));
	stuck_on = 0;
	marks_free(&marks);
	assert_int_equal(marks.reader, 0);
	end(stuck);
	end(marked);
}

static void an_environment_is_read_once(void **state)
{
	struct marks marks;
	pid_t pid = start_marked();
	struct process process = look_up(pid);

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	assert_int_equal(read_mark(&marks, pid), MARK_CARRIED);
	stuck_on = pid; /* whoever reads it now is lost */
	kill(marks.reader, SIGKILL);
	for (int look = 0; look < 3; look++) {
		marks_begin_look(&marks);
		assert_int_equal(marks_of(&marks, &process, true), MARK_CARRIED);
		marks_end_look(&marks);
	}
	stuck_on = 0;
	marks_free(&marks);
	end(pid);
}

/* A shell that becomes marked once it is told to. */
static pid_t start_that_will_be_marked(int *tell)
{
	char *const words[] = { "sh", "-c", "read go; exec env " MARK " sleep 1000", NULL };
	char *const environment[] = { "PATH=/usr/bin:/bin", NULL };
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[0], 0);
		execve("/bin/sh", words, environment);
		_exit(1);
	}
	close(ends[0]);
	*tell = ends[1];
	return pid;
}

static void after_an_exec_it_is_read_again(void **state)
{
	struct marks marks;
	int tell;
	pid_t pid = start_that_will_be_marked(&tell);

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	assert_int_equal(read_mark(&marks, pid), MARK_ABSENT);
	assert_int_equal(write(tell, "\n", 1), 1);
	for (int64_t until_ns = clock_boot_ns() + PATIENCE_NS; read_mark(&marks, pid) != MARK_CARRIED;)
		assert_true(clock_boot_ns() < until_ns);
	close(tell);
	marks_free(&marks);
	end(pid);
}

static void a_reader_that_gets_stuck_is_left_and_the_others_are_read(void **state)
{
	pid_t trap = start_unmarked(), marked = start_marked();
	struct process first = look_up(trap);
	struct marks marks;
	pid_t left;

	(void)state;
	stuck_on = trap;
	marks_init(&marks, SESSION, read_or_get_stuck);
	marks_begin_look(&marks);
	assert_int_equal(marks_of(&marks, &first, true), MARK_UNKNOWN);
	left = marks.reader;
	marks_end_look(&marks);
	assert_false(marks_are_settled(&marks)); /* nobody says yet that none is left */
	assert_int_equal(read_mark(&marks, marked), MARK_CARRIED);
	assert_int_not_equal(marks.reader, left);
	assert_int_equal(waitpid(left, NULL, WNOHANG), -1); /* it is reaped */
	stuck_on = 0;
	marks_free(&marks);
	end(trap);
	end(marked);
}

static void one_that_cannot_be_read_is_tried_twice_and_then_holds_up_nothing(void **state)
{
	pid_t trap = start_marked();
	struct process process = look_up(trap);
	struct marks marks;

	(void)state;
	stuck_on = trap;
	marks_init(&marks, SESSION, read_or_get_stuck);
	do {
		marks_begin_look(&marks);
		assert_int_equal(marks_of(&marks, &process, true), MARK_UNKNOWN);
		marks_end_look(&marks);
		poll(NULL, 0, 1); /* the reader that was left takes a moment to die */
	} while (!marks_are_settled(&marks));
	assert_int_equal(marks.known.entries[0].tries, 2);
	stuck_on = 0;
	marks_free(&marks);
	end(trap);
}

static void a_look_waits_for_the_reader_once_and_one_that_may_not_ask_never(void **state)
{
	pid_t traps[] = { start_unmarked(), start_unmarked(), start_unmarked() };
	struct process process;
	struct marks marks;

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	process = look_up(traps[0]);
	marks_begin_look(&marks);
	assert_int_equal(marks_of(&marks, &process, false), MARK_UNKNOWN);
	assert_int_equal(marks.reader, 0);
	stuck_on = traps[0];
	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++) {
		process = look_up(traps[i]);
		assert_int_equal(marks_of(&marks, &process, true), MARK_UNKNOWN);
		assert_true(marks.is_stuck);
	}
	assert_int_equal(marks.fd, -1); /* no second one was started */
	stuck_on = 0;
	marks_free(&marks);
	for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++)
		end(traps[i]);
}

/* Without any right, in no memory: 60 GiB that the kernel takes for the environment. */
static void pretend_large_environment(void)
{
	const size_t size = (size_t)60 << 30;
	char *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct prctl_mm_map map;
	uint64_t at = (uint64_t)(uintptr_t)memory;

	if (memory == MAP_FAILED)
		_exit(2);
	memset(&map, 0, sizeof(map));
	map.start_code = map.start_data = map.start_brk = map.start_stack = map.arg_start = map.env_start = at;
	map.end_code = map.end_data = map.brk = map.arg_end = at + 4096;
	map.env_end = at + size;
	map.exe_fd = (__u32)-1;
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) != 0)
		_exit(3);
}

static void an_environment_of_sixty_gigabytes_is_read_as_far_as_its_beginning(void **state)
{
	struct marks marks;
	int ready[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pretend_large_environment();
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		end(pid);
		skip(); /* a kernel without CONFIG_CHECKPOINT_RESTORE, where nobody can do that */
	}
	marks_init(&marks, SESSION, process_was_started_with);
	assert_int_equal(read_mark(&marks, pid), MARK_ABSENT);
	marks_free(&marks);
	close(ready[0]);
	end(pid);
}

/* The standby, once it has taken over. */
static void a_forked_copy_has_a_reader_of_its_own(void **state)
{
	pid_t marked = start_marked(), copy;
	struct marks marks;
	int status;

	(void)state;
	marks_init(&marks, SESSION, read_or_get_stuck);
	assert_int_equal(read_mark(&marks, marked), MARK_CARRIED);
	copy = fork();
	if (copy == 0) {
		pid_t first = marks.reader;
		marks.known.count = 0;
		bool is_own = read_mark(&marks, marked) == MARK_CARRIED && marks.reader != first;
		marks_free(&marks);
		_exit(is_own ? 0 : 1);
	}
	assert_int_equal(waitpid(copy, &status, 0), copy);
	assert_int_equal(status, 0);
	marks.known.count = 0;
	assert_int_equal(read_mark(&marks, marked), MARK_CARRIED); /* the original's is still there */
	marks_free(&marks);
	end(marked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_is_known_from_the_environment),
		cmocka_unit_test(who_comes_after_one_that_is_stuck_is_still_to_be_read),
		cmocka_unit_test(an_environment_is_read_once),
		cmocka_unit_test(after_an_exec_it_is_read_again),
		cmocka_unit_test(a_reader_that_gets_stuck_is_left_and_the_others_are_read),
		cmocka_unit_test(one_that_cannot_be_read_is_tried_twice_and_then_holds_up_nothing),
		cmocka_unit_test(a_look_waits_for_the_reader_once_and_one_that_may_not_ask_never),
		cmocka_unit_test(an_environment_of_sixty_gigabytes_is_read_as_far_as_its_beginning),
		cmocka_unit_test(a_forked_copy_has_a_reader_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
