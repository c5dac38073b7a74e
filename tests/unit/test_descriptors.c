/* Tests of base/descriptors.c, on the kernel's own descriptors.  SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_all.h"

#define FIRST 20
#define COUNT 200 /* more than are told of at once */

/* As a kernel before 5.9. */
static bool lose_close_range(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 &&
	       syscall(SYS_close_range, ~0u, ~0u, 0) != 0 && errno == ENOSYS;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* In a process of its own; returns its exit code. */
static int close_some(bool with_close_range)
{
	if (!with_close_range && !lose_close_range())
		return 2;
	for (int fd = FIRST - 1; fd < FIRST + COUNT; fd++)
		if (dup2(STDOUT_FILENO, fd) != fd)
			return 3;
	if (!descriptors_close_on_exec_from(FIRST))
		return 6;
	for (int fd = FIRST; fd < FIRST + COUNT; fd++)
		if (fcntl(fd, F_GETFD) != FD_CLOEXEC)
			return 7;
	if (fcntl(FIRST - 1, F_GETFD) != 0 || !descriptors_close_from(FIRST))
		return 8;
	for (int fd = FIRST; fd < FIRST + COUNT; fd++)
		if (is_open(fd))
			return 4;
	return is_open(FIRST - 1) && is_open(STDOUT_FILENO) ? 0 : 5;
}

static void expect_closed(bool with_close_range)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0)
		_exit(close_some(with_close_range));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void all_from_the_first_on_are_closed_and_none_before(void **state)
{
	(void)state;
	expect_closed(true);
}

static void they_are_closed_where_the_kernel_has_no_call_for_it(void **state)
{
	(void)state;
	expect_closed(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_from_the_first_on_are_closed_and_none_before),
		cmocka_unit_test(they_are_closed_where_the_kernel_has_no_call_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
