/* The clean process that a keeper begins as, whatever its host was.  As root; a child is cleaned, and looked at.
 * SPDX-License-Identifier: Apache-2.0 */
#include "door/clean.h"

#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked_exit.h"

#define GROUP 5
#define STRAY 77

/* What a check in the child has found wrong: the number of its line. */
#define EXPECT(condition)                                                                                          \
	do {                                                                                                       \
		if (!(condition))                                                                                  \
			return __LINE__;                                                                           \
	} while (0)

/* As a caller of sudo can prepare it. */
static void make_hostile(void)
{
	const gid_t groups[] = { 27, 100 };
	struct rlimit limit;
	sigset_t all;

	if (setgroups(2, groups) != 0 || setresgid(100, 0, 0) != 0 || setresuid(1000, 0, 0) != 0)
		forked_exit(1);
	umask(0);
	signal(SIGTERM, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setpriority(PRIO_PROCESS, 0, 15);
	/* The soft one: a container may keep even root from raising the other again. */
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = 100;
	setrlimit(RLIMIT_FSIZE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &limit);
	prctl(PR_SET_TIMERSLACK, 3600UL * 1000 * 1000 * 1000, 0, 0, 0);
}

static int check_person(void)
{
	uid_t real, effective, saved;
	gid_t group, egroup, sgroup, groups[8];

	EXPECT(getresuid(&real, &effective, &saved) == 0 && real == 0 && effective == 0 && saved == 0);
	EXPECT(getresgid(&group, &egroup, &sgroup) == 0 && group == 0 && egroup == 0 && sgroup == 0);
	EXPECT(getgroups(8, groups) == 1 && groups[0] == GROUP);
	return 0;
}

static int check_surroundings(void)
{
	char directory[16];
	struct sigaction action;
	struct rlimit limit;
	sigset_t blocked;

	EXPECT(umask(0) == 077);
	EXPECT(getcwd(directory, sizeof(directory)) && strcmp(directory, "/") == 0);
	EXPECT(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	EXPECT(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigismember(&blocked, SIGUSR1) == 0);
	EXPECT(getpriority(PRIO_PROCESS, 0) == 0);
	EXPECT(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0) == 50000);
	EXPECT(getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == limit.rlim_max);
	EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 1024);
	EXPECT(getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0);
	return 0;
}

static bool is_null_device(int fd)
{
	struct stat status, null;

	return fstat(fd, &status) == 0 && stat("/dev/null", &null) == 0 && status.st_rdev == null.st_rdev;
}

static int check_descriptors(void)
{
	char byte;

	for (int fd = 0; fd < CLEAN_SOCKET; fd++)
		EXPECT(is_null_device(fd));
	EXPECT(write(CLEAN_SOCKET, "x", 1) == 1 && read(CLEAN_HOST, &byte, 1) == 1 && byte == 'x');
	EXPECT(fcntl(CLEAN_SOCKET, F_GETFD) == 0 && fcntl(CLEAN_HOST, F_GETFD) == 0);
	EXPECT(fcntl(STRAY, F_GETFD) == FD_CLOEXEC);
	return 0;
}

/* PAIR: a pipe's ends, in the places that they would go to where SWAPPED. */
static int be_cleaned(bool swapped)
{
	int pair[2], found;

	EXPECT(dup2(STDERR_FILENO, STRAY) == STRAY);
	if (swapped) {
		for (int fd = 0; fd < CLEAN_FIRST_CLOSED; fd++)
			close(fd);
		EXPECT(pipe(pair) == 0 && pair[0] == 0 && pair[1] == 1);
		EXPECT(dup2(0, CLEAN_SOCKET) == CLEAN_SOCKET && dup2(1, CLEAN_HOST) == CLEAN_HOST);
		close(0);
		close(1);
		pair[0] = CLEAN_SOCKET;
		pair[1] = CLEAN_HOST;
	} else {
		EXPECT(pipe(pair) == 0);
	}
	make_hostile();
	EXPECT(clean_process(pair[1], pair[0], GROUP) == 0);
	found = check_person();
	if (found == 0)
		found = check_surroundings();
	return found != 0 ? found : check_descriptors();
}

/* Plain files in the place of the kernel's control groups, for this process alone. */
static bool lay_out_cgroups(bool with_init_scope)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) != 0 || chdir("/sys/fs/cgroup") != 0 ||
	    mknod("cgroup.procs", S_IFREG | 0600, 0) != 0)
		return false;
	return !with_init_scope ||
	       (mkdir("init.scope", 0700) == 0 && mknod("init.scope/cgroup.procs", S_IFREG | 0600, 0) == 0);
}

/* A process writes "0" where it wants to be. */
static bool is_moved_into(const char *path)
{
	char text[4] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool moved = fd >= 0 && read(fd, text, sizeof(text)) == 1 && text[0] == '0';

	if (fd >= 0)
		close(fd);
	return moved;
}

static int leave_cgroup(bool with_init_scope)
{
	int pair[2];

	EXPECT(pipe(pair) == 0 && lay_out_cgroups(with_init_scope));
	EXPECT(clean_process(pair[1], pair[0], GROUP) == 0);
	EXPECT(is_moved_into("/sys/fs/cgroup/init.scope/cgroup.procs") == with_init_scope);
	EXPECT(is_moved_into("/sys/fs/cgroup/cgroup.procs") == !with_init_scope);
	return 0;
}

/* The line at which the child found something wrong; a line's number fits into no exit code. */
static int wrong_line(int (*check)(bool), bool flag)
{
	int report[2], line = -1;
	pid_t pid;

	assert_int_equal(pipe2(report, O_CLOEXEC), 0);
	assert_true(fcntl(report[1], F_DUPFD_CLOEXEC, 50) == 50);
	pid = fork();
	if (pid == 0) {
		line = check(flag);
		forked_exit(write(50, &line, sizeof(line)) == sizeof(line) ? 0 : 1);
	}
	close(50);
	close(report[1]);
	if (read(report[0], &line, sizeof(line)) != sizeof(line))
		line = -1;
	close(report[0]);
	waitpid(pid, NULL, 0);
	return line;
}

static void nothing_of_the_callers_is_left(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(wrong_line(be_cleaned, false), 0);
}

static void descriptors_in_each_others_places_are_told_apart(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(wrong_line(be_cleaned, true), 0);
}

static void it_leaves_the_callers_control_group_for_inits_or_the_root(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(wrong_line(leave_cgroup, true), 0);
	assert_int_equal(wrong_line(leave_cgroup, false), 0);
}

static void who_cannot_become_root_is_told_so(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
			forked_exit(99);
		forked_exit(clean_process(0, 1, GROUP));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_the_callers_is_left),
		cmocka_unit_test(descriptors_in_each_others_places_are_told_apart),
		cmocka_unit_test(it_leaves_the_callers_control_group_for_inits_or_the_root),
		cmocka_unit_test(who_cannot_become_root_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
