/* SPDX-License-Identifier: Apache-2.0
 *
 * What a confined process can do and what it cannot: each case in a process of its own, since there is no way back. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "keeper/confinement.h"

/* Returns 0, or the number of what was not as it must be. */
typedef int confined_fn(void);

static char scratch[] = "/tmp/test_confinement.XXXXXX";

static int run_confined(bool (*confine)(void), confined_fn *act)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !confine())
			forked_exit(100);
		forked_exit(act());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool filter(void)
{
	return confinement_filter_calls(false);
}

static bool filter_for_programs(void)
{
	return confinement_filter_calls(true);
}

static bool close_files(void)
{
	return confinement_close_files(NULL);
}

static bool close_files_but_scratch(void)
{
	return confinement_close_files(scratch);
}

static bool is_refused(long result)
{
	return result == -1 && errno == EPERM;
}

/* ---- System calls ---------------------------------------------------------------------------------------- */

static long start_program(void)
{
	static char name[] = "true";
	char *const arguments[] = { name, NULL };

	return execve("/bin/true", arguments, arguments + 1);
}

static int do_what_is_refused(void)
{
	struct iovec here = { .iov_base = scratch, .iov_len = 1 };
	struct rlimit limit;

	if (!is_refused(start_program()))
		return 1;
	if (!is_refused(kill(getppid(), 0)) || !is_refused(syscall(SYS_tgkill, getppid(), getppid(), 0)))
		return 2;
	if (!is_refused(syscall(SYS_tkill, getppid(), 0)) ||
	    !is_refused(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &limit)) ||
	    !is_refused(setpriority(PRIO_PROCESS, (id_t)getppid(), 0)))
		return 8;
	if (!is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)))
		return 3;
	if (!is_refused(process_vm_readv(getpid(), &here, 1, &here, 1, 0)))
		return 4;
	if (!is_refused(unshare(CLONE_NEWUSER)) ||
	    !is_refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL)))
		return 5;
	if (!is_refused(syscall(SYS_bpf, 0, NULL, 0)) || !is_refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0)))
		return 6;
	if (!is_refused(syscall(425, 1, NULL)) || !is_refused(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL)))
		return 7;
	return 0;
}

static void a_filtered_process_reaches_no_other_and_starts_no_program(void **state)
{
	(void)state;
	assert_int_equal(run_confined(filter, do_what_is_refused), 0);
}

/* Returns how many of the ways were open. */
static int have_the_kernel_signal(void)
{
	int pair[2], other = getppid();
	struct f_owner_ex owner = { .type = F_OWNER_PID, .pid = other };

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return 100;
	return !is_refused(fcntl(pair[0], F_SETOWN, other)) + !is_refused(fcntl(pair[0], F_SETOWN_EX, &owner)) +
	       !is_refused(fcntl(pair[0], F_SETSIG, SIGKILL)) +
	       !is_refused(syscall(SYS_fcntl, pair[0], F_SETOWN, other)) +
	       !is_refused(ioctl(pair[0], FIOSETOWN, &other)) + !is_refused(ioctl(pair[0], SIOCSPGRP, &other));
}

static void a_filtered_process_has_the_kernel_signal_no_other(void **state)
{
	(void)state;
	assert_int_equal(run_confined(filter, have_the_kernel_signal), 0);
	assert_int_equal(run_confined(filter_for_programs, have_the_kernel_signal), 6); /* it may signal itself */
}

#ifdef __x86_64__
/* A 32-bit program's way into the kernel, and x32's, whose numbers are others. */
static int call_as_another_machine(void)
{
	long result;

	if (syscall(0x40000000 | SYS_getpid) != -1 || errno != ENOSYS)
		return 1;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return 2;
}

static void calls_of_another_kind_of_machine_are_not_served(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
		    !filter_for_programs())
			forked_exit(100);
		forked_exit(call_as_another_machine());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	/* Without 32-bit programs the kernel has no such way. */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}
#endif

static void *set_to_one(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static void note_signal(int number)
{
	(void)number;
}

static int do_what_a_library_does(void)
{
	pthread_t thread;
	int was_run = 0, pair[2], yes = 1;
	struct rlimit limit;

	if (pthread_create(&thread, NULL, set_to_one, &was_run) != 0 || pthread_join(thread, NULL) != 0 || !was_run)
		return 1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || socket(AF_INET, SOCK_STREAM, 0) < 0)
		return 2;
	signal(SIGUSR1, note_signal);
	/* The second as musl has it. */
	if (raise(SIGUSR1) != 0 || syscall(SYS_tkill, getpid(), SIGUSR1) != 0)
		return 3;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) != 0)
		return 5;
	if (fcntl(pair[0], F_SETFD, FD_CLOEXEC) != 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0 ||
	    ioctl(pair[1], FIONBIO, &yes) != 0)
		return 6;
	return open("/etc/passwd", O_RDONLY) < 0 ? 4 : 0;
}

static void a_filtered_process_has_threads_sockets_and_files_as_before(void **state)
{
	(void)state;
	assert_int_equal(run_confined(filter, do_what_a_library_does), 0);
}

static int use_a_program(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		start_program();
		forked_exit(1);
	}
	if (waitpid(child, &status, 0) != child || status != 0)
		return 1;
	child = fork();
	if (child == 0)
		pause();
	if (kill(child, SIGKILL) != 0 || waitpid(child, &status, 0) != child)
		return 2;
	return is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)) ? 0 : 3;
}

static void where_programs_give_credentials_they_can_be_started_and_ended(void **state)
{
	(void)state;
	assert_int_equal(run_confined(filter_for_programs, use_a_program), 0);
}

/* ---- Files ----------------------------------------------------------------------------------------------- */

static void name_in_scratch(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", scratch, name);
}

static int change_files(void)
{
	char there[64], made[64], directory[64];

	name_in_scratch(there, sizeof(there), "there");
	name_in_scratch(made, sizeof(made), "made");
	name_in_scratch(directory, sizeof(directory), "directory");
	if (open(there, O_RDONLY) < 0)
		return 100;
	return (open(there, O_WRONLY) >= 0) + 2 * (open(made, O_WRONLY | O_CREAT, 0600) >= 0) +
	       4 * (mkdir(directory, 0700) == 0) + 8 * (unlink(there) == 0);
}

static int start_in_a_child(void)
{
	start_program();
	return errno == EACCES ? 0 : 1;
}

static bool has_landlock(void)
{
	return syscall(444, NULL, 0, 1) > 0;
}

static void a_process_with_closed_files_reads_and_changes_nothing(void **state)
{
	(void)state;
	if (!has_landlock())
		skip();
	assert_int_equal(run_confined(close_files, change_files), 0);
	assert_int_equal(run_confined(close_files, start_in_a_child), 0);
}

static void what_it_may_write_below_it_writes(void **state)
{
	(void)state;
	assert_int_equal(run_confined(close_files_but_scratch, change_files), 15);
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

static int make_scratch(void **state)
{
	char there[64];
	int fd;

	(void)state;
	memcpy(scratch, "/tmp/test_confinement.XXXXXX", sizeof(scratch));
	if (!mkdtemp(scratch))
		return -1;
	name_in_scratch(there, sizeof(there), "there");
	fd = open(there, O_WRONLY | O_CREAT, 0600);
	return fd < 0 ? -1 : close(fd);
}

static int remove_scratch(void **state)
{
	char path[64];

	(void)state;
	name_in_scratch(path, sizeof(path), "there");
	unlink(path);
	name_in_scratch(path, sizeof(path), "made");
	unlink(path);
	name_in_scratch(path, sizeof(path), "directory");
	rmdir(path);
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_filtered_process_reaches_no_other_and_starts_no_program),
		cmocka_unit_test(a_filtered_process_has_the_kernel_signal_no_other),
		cmocka_unit_test(a_filtered_process_has_threads_sockets_and_files_as_before),
#ifdef __x86_64__
		cmocka_unit_test(calls_of_another_kind_of_machine_are_not_served),
#endif
		cmocka_unit_test(where_programs_give_credentials_they_can_be_started_and_ended),
		cmocka_unit_test_setup_teardown(a_process_with_closed_files_reads_and_changes_nothing, make_scratch,
						remove_scratch),
		cmocka_unit_test_setup_teardown(what_it_may_write_below_it_writes, make_scratch, remove_scratch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
