/* Processes as /proc shows them: finding, signalling and ending real ones.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proc/process.h"

#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/runtime.h"
#include "proc/descendants.h"
#include "proc/ownership.h"
#include "sleeper.h"

#define CHAIN_LENGTH 40
#define MARK "AWSFLOCK_SESSION=0123456789abcdef"

/* ---- Children that say when they are ready ---------------------------------------------------------------- */

static void say_ready(int fd)
{
	if (write(fd, "r", 1) != 1)
		_exit(1);
}

static void sleep_for_ever(void)
{
	for (;;)
		pause();
}

static void await_ready(int fd, int count)
{
	char byte;

	for (int i = 0; i < count; i++)
		assert_int_equal(read(fd, &byte, 1), 1);
	close(fd);
}

/* A child of this process, in which RUN is called with a descriptor for say_ready(); it must not return. */
static pid_t start(void (*run)(int ready), int count)
{
	int ready[2];
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(ready[1]);
		_exit(1);
	}
	close(ready[1]);
	await_ready(ready[0], count);
	return pid;
}

static void reap_all(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* ---- One process ------------------------------------------------------------------------------------------ */

static void take_hostile_name(int ready)
{
	prctl(PR_SET_NAME, ") Z 1 (");
	say_ready(ready);
	sleep_for_ever();
}

static void a_child_is_read_whatever_it_calls_itself(void **state)
{
	pid_t pid = start(take_hostile_name, 1);
	struct process process;

	(void)state;
	assert_true(process_read(pid, &process));
	assert_int_equal(process.pid, pid);
	assert_int_equal(process.parent, getpid());
	assert_int_equal(process.group, getpgrp());
	assert_string_equal(process.name, ") Z 1 (");
	assert_true(process_runs(&process));
	end(pid);
	assert_false(process_runs(&process));
}

static void one_that_has_ended_is_none_though_it_is_not_reaped(void **state)
{
	siginfo_t info;
	struct process process;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(process_read(pid, &process));
	waitpid(pid, NULL, 0);
}

static void a_signal_reaches_the_process_itself(void **state)
{
	pid_t pid = start(take_hostile_name, 1);
	struct process process;
	int status;

	(void)state;
	assert_true(process_read(pid, &process));
	assert_true(process_signal(&process, SIGTERM));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_false(process_signal(&process, SIGTERM));
	assert_int_equal(errno, ESRCH);
}

static void a_signal_does_not_reach_who_has_the_id_now(void **state)
{
	struct process process;

	(void)state;
	assert_true(process_read(getpid(), &process));
	process.start_ticks--;
	errno = 0;
	assert_false(process_signal(&process, SIGKILL)); /* else this test would be gone */
	assert_int_equal(errno, ESRCH);
}

/* ---- What it was started with ----------------------------------------------------------------------------- */

#define ANOTHER 64101
#define ANOTHERS_SUBORDINATE 1664101

/* As newuidmap(1) does it, who is root for that. */
static void write_map(pid_t pid, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Becomes ANOTHER in a user namespace of its own, and there, when it is told to, a user that only ANOTHER has. */
static void live_in_a_namespace(int ready, int go_on)
{
	char byte = 'r';

	if (setresuid(ANOTHER, ANOTHER, ANOTHER) != 0)
		_exit(1);
	if (unshare(CLONE_NEWUSER) != 0)
		byte = 'n';
	if (write(ready, &byte, 1) != 1 || read(go_on, &byte, 1) != 1)
		_exit(1);
	if (setresuid(1, 1, 1) != 0)
		_exit(1);
	say_ready(ready);
	sleep_for_ever();
}

/* -1: there are no such namespaces here. */
static pid_t start_in_a_namespace(void)
{
	int ready[2], go_on[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(go_on), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		live_in_a_namespace(ready[1], go_on[0]);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	if (byte == 'r') {
		write_map(pid, "0 64101 1\n1 1664101 1\n");
		assert_int_equal(write(go_on[1], "g", 1), 1);
		await_ready(ready[0], 1);
	} else {
		end(pid);
		pid = -1;
		close(ready[0]);
	}
	close(ready[1]);
	close(go_on[0]);
	close(go_on[1]);
	return pid;
}

static void a_process_is_run_by_its_real_user_and_by_who_made_its_user_namespace(void **state)
{
	pid_t pid;

	(void)state;
	assert_true(process_is_run_by(getpid(), getuid()));
	assert_false(process_is_run_by(getpid(), getuid() + 1));
	if (geteuid() != 0)
		skip(); /* only root can give a namespace users of its choice */
	pid = start_in_a_namespace();
	if (pid < 0)
		return; /* where users make none, there is nothing to be told apart */
	assert_int_equal(process_real_user(pid), ANOTHERS_SUBORDINATE);
	assert_true(process_is_run_by(pid, ANOTHER));
	assert_true(process_is_run_by(pid, ANOTHERS_SUBORDINATE));
	assert_false(process_is_run_by(pid, ANOTHER + 1));
	assert_false(process_is_run_by(pid, 0));
	end(pid);
}

static void a_mark_is_found_whole_wherever_it_stands(void **state)
{
	char *const first[] = { MARK, "PATH=/bin", NULL }, *const last[] = { "PATH=/bin", "EMPTY=", "", MARK,
									     NULL };
	pid_t a = sleeper_start(first), b = sleeper_start(last);

	(void)state;
	assert_true(process_was_started_with(a, MARK));
	assert_true(process_was_started_with(b, MARK));
	end(a);
	end(b);
	assert_false(process_was_started_with(a, MARK));
}

static void a_part_of_a_mark_is_none(void **state)
{
	char *const parts[] = { MARK "0", "X" MARK, "AWSFLOCK_SESSION=0123456789abcde", "PATH=" MARK, NULL };
	pid_t pid = sleeper_start(parts);

	(void)state;
	assert_false(process_was_started_with(pid, MARK));
	end(pid);
}

static void no_more_of_an_environment_is_read_than_its_beginning(void **state)
{
	char *large = malloc(PROCESS_ENVIRONMENT_MAX);
	char *const near[] = { large, MARK, NULL }, *const far[] = { large, "X=1", MARK, NULL };
	pid_t pid;

	(void)state;
	assert_non_null(large);
	/* With its zero it leaves room for the mark and its own. */
	memset(large, 'x', PROCESS_ENVIRONMENT_MAX);
	large[PROCESS_ENVIRONMENT_MAX - sizeof(MARK) - 1] = '\0';
	pid = sleeper_start(near);
	assert_true(process_was_started_with(pid, MARK));
	end(pid);
	pid = sleeper_start(far);
	assert_false(process_was_started_with(pid, MARK));
	end(pid);
	free(large);
}

/* ---- Descendants ------------------------------------------------------------------------------------------ */

/* Each starts the next; all ignore what can be ignored. */
static void be_chain(int ready)
{
	signal(SIGTERM, SIG_IGN);
	for (int i = 1; i < CHAIN_LENGTH; i++) {
		pid_t pid = fork();
		if (pid < 0)
			_exit(1);
		if (pid > 0)
			break;
	}
	say_ready(ready);
	sleep_for_ever();
}

struct found {
	pid_t pids[4];
	int count, limit;
};

static bool keep_pid(void *arg, const struct process *process)
{
	struct found *found = arg;

	assert_true(found->count < 4);
	found->pids[found->count++] = process->pid;
	return found->count < found->limit;
}

static pid_t start_waiting(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return pid;
}

static void say_ready_and_sleep(int ready)
{
	say_ready(ready);
	sleep_for_ever();
}

static void a_socket_is_found_with_whoever_has_it_open(void **state)
{
	struct stat status;
	int ends[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(fstat(ends[0], &status), 0);
	pid = start(say_ready_and_sleep, 1);
	assert_true(process_has_socket(getpid(), status.st_ino));
	assert_true(process_has_socket(pid, status.st_ino));
	assert_false(process_has_socket(getppid(), status.st_ino));
	close(ends[0]);
	close(ends[1]);
	end(pid);
	assert_false(process_has_socket(pid, status.st_ino));
}

static void the_children_of_one_are_told_until_one_is_enough(void **state)
{
	pid_t children[] = { start_waiting(), start_waiting() };
	struct found all = { .limit = 4 }, one = { .limit = 1 }, none = { .limit = 4 };

	(void)state;
	assert_true(process_each_child(getpid(), keep_pid, &all));
	assert_int_equal(all.count, 2);
	assert_int_equal(all.pids[0], children[0]);
	assert_int_equal(all.pids[1], children[1]);
	assert_false(process_each_child(getpid(), keep_pid, &one));
	assert_int_equal(one.count, 1);
	assert_true(process_each_child(children[0], keep_pid, &none));
	assert_int_equal(none.count, 0);
	for (int i = 0; i < 2; i++) {
		kill(children[i], SIGKILL);
		assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
	}
	assert_true(process_each_child(children[0], keep_pid, &none));
	assert_int_equal(none.count, 0);
}

static void descendants_of_any_depth_are_found_and_ended(void **state)
{
	struct descendants descendants;

	(void)state;
	start(be_chain, CHAIN_LENGTH);
	descendants_init(&descendants, getpid(), 0);
	assert_true(descendants_scan(&descendants));
	assert_int_equal(descendants.members.count, CHAIN_LENGTH);
	for (size_t i = 1; i < CHAIN_LENGTH; i++)
		assert_true(descendants.members.processes[i - 1].pid < descendants.members.processes[i].pid);
	assert_true(descendants_end(&descendants, clock_boot_ns(), 60 * NS_PER_S));
	assert_int_equal(descendants.members.count, 0);
	descendants_free(&descendants);
	reap_all();
}

static void the_spared_one_is_left_but_not_its_children(void **state)
{
	pid_t spared = start(be_chain, CHAIN_LENGTH);
	struct descendants descendants;
	struct process process;

	(void)state;
	descendants_init(&descendants, getpid(), spared);
	assert_true(descendants_end(&descendants, clock_boot_ns(), 60 * NS_PER_S));
	assert_true(process_read(spared, &process));
	descendants_free(&descendants);
	end(spared);
	reap_all();
}

static void be_orphaning(int ready)
{
	if (fork() == 0) {
		setsid();
		say_ready(ready);
		sleep_for_ever();
	}
	sleep_for_ever();
}

/* Its parent ends, and it becomes the child of somebody else than the root: of nobody's, or of a subreaper. */
static void one_that_was_seen_stays_a_member_without_its_parent(void **state)
{
	pid_t parent = start(be_orphaning, 1);
	struct descendants descendants;

	(void)state;
	descendants_init(&descendants, parent, 0);
	assert_true(descendants_scan(&descendants));
	assert_int_equal(descendants.members.count, 1);
	end(parent);
	descendants.root = INT32_MAX; /* no id can be so high */
	assert_true(descendants_scan(&descendants));
	assert_int_equal(descendants.members.count, 1);
	process_list_signal(&descendants.members, SIGKILL);
	while (process_runs(&descendants.members.processes[0]))
		poll(NULL, 0, 1);
	descendants_free(&descendants);
	reap_all();
}

/* Two, each of which starts another as long as it is let. */
static void multiply(int ready)
{
	say_ready(ready);
	for (;;) {
		if (fork() == 0) {
			for (int i = 0; i < 20; i++)
				poll(NULL, 0, 1);
			continue;
		}
		while (waitpid(-1, NULL, 0) < 0 && errno == EINTR)
			;
		sleep_for_ever();
	}
}

static void those_that_go_on_forking_are_ended(void **state)
{
	struct descendants descendants;

	(void)state;
	start(multiply, 1);
	descendants_init(&descendants, getpid(), 0);
	assert_true(descendants_end(&descendants, clock_boot_ns(), 60 * NS_PER_S));
	descendants_free(&descendants);
	reap_all();
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* as their subreaper: there is none */
}

/* ---- A selection ------------------------------------------------------------------------------------------ */

static bool is_pid(const void *arg, const struct process *process)
{
	return process->pid == *(const pid_t *)arg;
}

static bool is_everybody(const void *arg, const struct process *process)
{
	(void)arg, (void)process;
	return true;
}

static bool is_nobody(const void *arg, const struct process *process)
{
	(void)arg, (void)process;
	return false;
}

static bool refuse(void *arg, const struct process_list *members)
{
	(void)arg, (void)members;
	errno = EOVERFLOW;
	return false;
}

static void stopped_ones_do_not_run_on(void **state)
{
	pid_t pid = start(be_chain, CHAIN_LENGTH);
	struct selection selection = { .belongs = is_pid, .is_outside = is_nobody, .arg = &pid };
	struct process_list members = { NULL, 0 };
	int status;

	(void)state;
	assert_true(selection_stop(&selection, &members));
	assert_int_equal(members.count, CHAIN_LENGTH);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	process_list_signal(&members, SIGKILL);
	process_list_free(&members);
	waitpid(pid, NULL, 0);
}

static void nobody_belongs_for_being_the_child_of_one_outside(void **state)
{
	pid_t pid = start(be_chain, CHAIN_LENGTH);
	struct selection selection = { .belongs = is_pid, .is_outside = is_everybody, .arg = &pid };
	struct process_list members = { NULL, 0 };

	(void)state;
	assert_true(selection_scan(&selection, &members));
	assert_int_equal(members.count, 0);
	process_list_free(&members);
	selection.is_outside = is_nobody;
	assert_true(selection_scan(&selection, &members));
	process_list_signal(&members, SIGKILL);
	process_list_free(&members);
	waitpid(pid, NULL, 0);
}

static void a_scan_that_fails_forgets_nobody(void **state)
{
	pid_t pid = start(take_hostile_name, 1);
	struct selection selection = { .belongs = is_pid, .is_outside = is_nobody, .arg = &pid };
	struct process_list members = { NULL, 0 };

	(void)state;
	assert_true(selection_scan(&selection, &members));
	end(pid);
	selection.scanned = refuse;
	assert_false(selection_scan(&selection, &members));
	assert_int_equal(errno, EOVERFLOW);
	assert_int_equal(members.count, 1);
	selection.scanned = NULL;
	assert_true(selection_scan(&selection, &members));
	assert_int_equal(members.count, 0);
	process_list_free(&members);
}

/* Where it has no session yet, a process may give itself one, under any user's id; it gets a new one. */
static void enter_audit_session(int ready)
{
	FILE *file = fopen("/proc/self/loginuid", "w");

	if (file) {
		fputs("65534", file);
		fclose(file);
	}
	say_ready(ready);
	sleep_for_ever();
}

static bool count_process(void *arg, const struct process *process)
{
	struct process *found = arg;

	found->pid = process->pid;
	found->parent++; /* how many */
	return true;
}

static void those_of_one_audit_session_are_told_alone(void **state)
{
	pid_t pid = start(enter_audit_session, 1);
	uint32_t session = process_audit_session(pid);
	struct process found = { .parent = 0 };

	(void)state;
	if (session == PROCESS_NO_AUDIT_SESSION || session == process_audit_session(getpid())) {
		end(pid);
		skip(); /* the kernel keeps none, or this test has one itself */
	}
	assert_true(process_each_of_session(session, count_process, &found));
	assert_int_equal(found.parent, 1);
	assert_int_equal(found.pid, pid);
	end(pid);
}

/* What this test's processes leave becomes its own. */
static int become_subreaper(void **state)
{
	(void)state;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_is_read_whatever_it_calls_itself),
		cmocka_unit_test(one_that_has_ended_is_none_though_it_is_not_reaped),
		cmocka_unit_test(a_signal_reaches_the_process_itself),
		cmocka_unit_test(a_signal_does_not_reach_who_has_the_id_now),
		cmocka_unit_test(a_process_is_run_by_its_real_user_and_by_who_made_its_user_namespace),
		cmocka_unit_test(a_mark_is_found_whole_wherever_it_stands),
		cmocka_unit_test(a_part_of_a_mark_is_none),
		cmocka_unit_test(no_more_of_an_environment_is_read_than_its_beginning),
		cmocka_unit_test(a_socket_is_found_with_whoever_has_it_open),
		cmocka_unit_test(the_children_of_one_are_told_until_one_is_enough),
		cmocka_unit_test(descendants_of_any_depth_are_found_and_ended),
		cmocka_unit_test(the_spared_one_is_left_but_not_its_children),
		cmocka_unit_test(one_that_was_seen_stays_a_member_without_its_parent),
		cmocka_unit_test(those_that_go_on_forking_are_ended),
		cmocka_unit_test(stopped_ones_do_not_run_on),
		cmocka_unit_test(nobody_belongs_for_being_the_child_of_one_outside),
		cmocka_unit_test(a_scan_that_fails_forgets_nobody),
		cmocka_unit_test(those_of_one_audit_session_are_told_alone),
	};

	return cmocka_run_group_tests(tests, become_subreaper, NULL);
}
