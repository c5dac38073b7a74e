/* SPDX-License-Identifier: Apache-2.0
 *
 * The group of a session and its host in it, on the kernel's own control groups: what keepers that were killed in the
 * middle of something have left to whoever goes on. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/run_directory.h"
#include "keeper/session_group.h"
#include "keeper/session_host.h"
#include "keeper/session_kill.h"
#include "keeper/strays.h"

#define ID "0123456789abcdef0123456789abcdef"
#define OWN SESSION_GROUP_PREFIX ID

/* In a mount namespace of the test's: a cgroup2, with a group in which all happens, and no records. */
struct place_of_test {
	char point[64], top[64]; /* TOP: as /proc/PID/cgroup names it */
	int root, group;
	pid_t host, member;
	int host_pidfd;
	struct session_group session;
};

/* The machine's own are not written to: where there is no such directory, there are none. */
static void hide_records(void)
{
	char above[] = AWSFLOCK_RUN_DIR;

	*strrchr(above, '/') = '\0';
	mount("none", above, "tmpfs", 0, NULL);
}

static int set_up(void **state)
{
	struct place_of_test *test = calloc(1, sizeof(*test));

	if (!test)
		return -1;
	*state = test;
	test->root = test->host_pidfd = -1;
	snprintf(test->point, sizeof(test->point), "/tmp/awsflock-test-group-XXXXXX");
	if (geteuid() != 0)
		return 0;
	if (!mkdtemp(test->point) || unshare(CLONE_NEWNS) != 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", test->point, "cgroup2", 0, NULL) != 0)
		return 0;
	hide_records();
	snprintf(test->top, sizeof(test->top), "/awsflock.test.%d", (int)getpid());
	test->root = cgroup_open(test->point);
	test->group = cgroup_make(test->root, test->top + 1);
	return 0;
}

static int take_down(void **state)
{
	struct place_of_test *test = *state;

	if (test->root >= 0) {
		session_group_free(&test->session);
		cgroup_kill(test->group);
		while (wait(NULL) > 0)
			continue;
		close(test->host_pidfd);
		close(test->group);
		if (!cgroup_remove(test->root, test->top + 1))
			return -1;
		close(test->root);
		umount2(test->point, MNT_DETACH);
	}
	rmdir(test->point);
	free(test);
	return 0;
}

static pid_t start_in(int group)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_true(cgroup_add(group, pid));
	return pid;
}

/* "/awsflock.test.1/NAME", in one of a few rooms. */
static const char *below_top(const struct place_of_test *test, const char *name)
{
	static char rooms[4][256];
	static int next;
	char *room = rooms[next++ % 4];

	snprintf(room, sizeof(rooms[0]), "%s/%s", test->top, name);
	return room;
}

static void make_below_top(const struct place_of_test *test, const char *name)
{
	int fd = cgroup_make(test->group, name);

	assert_true(fd >= 0);
	close(fd);
}

static void expect_in(pid_t pid, const char *group)
{
	char its_own[PATH_MAX];

	assert_true(process_control_group(pid, its_own, sizeof(its_own)));
	assert_string_equal(its_own, group);
}

/* Who runs would be stopped; a kill that was sent comes first. */
static void expect_killed(pid_t pid)
{
	int status;

	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool is_there(const struct place_of_test *test, const char *group)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", test->point, group);
	return access(path, F_OK) == 0;
}

static void settle_for(struct session_group *session, const char *origin)
{
	struct session_place place;
	int group = session_group_make(session, origin, &place);

	assert_true(group >= 0);
	session_group_settle(session, group, &place);
}

/* A session whose host came from "first", with a member. */
static struct place_of_test *begin(void **state)
{
	struct place_of_test *test = *state;
	int first;

	if (test->root < 0)
		skip(); /* only root can mount what this needs */
	make_below_top(test, "second");
	first = cgroup_make(test->group, "first");
	test->host = start_in(first);
	close(first);
	test->host_pidfd = process_pidfd_open(test->host);
	session_group_init(&test->session, test->host_pidfd, ID, 0);
	snprintf(test->session.mount.point, sizeof(test->session.mount.point), "%s", test->point);
	snprintf(test->session.mount.root, sizeof(test->session.mount.root), "/");
	assert_true(session_group_share(&test->session));
	settle_for(&test->session, below_top(test, "first"));
	session_group_arrive(&test->session);
	assert_true(session_host_enclose(&test->session));
	expect_in(test->host, below_top(test, "first/" OWN));
	test->member = start_in(test->session.group);
	return test;
}

/* Who goes on, with what both see and nothing that the other has opened. */
static struct session_group copy_for_standby(const struct place_of_test *test)
{
	struct session_group standby = test->session;

	standby.group = standby.events = standby.record.fd = -1;
	return standby;
}

static void end_standby(struct session_group *standby)
{
	standby->shared = NULL; /* the other's too */
	session_group_free(standby);
}

/* ---- Moves ----------------------------------------------------------------------------------------------- */

static void test_a_session_follows_its_host_with_all_that_it_has_left_behind(void **state)
{
	struct place_of_test *test = begin(state);

	assert_true(session_group_add_to(&test->session.mount, below_top(test, "second"), test->host));
	assert_true(session_host_follow(&test->session));
	expect_in(test->host, below_top(test, "second/" OWN));
	expect_in(test->member, below_top(test, "second/" OWN));
	assert_false(is_there(test, below_top(test, "first/" OWN)));
}

static void test_whom_a_move_had_not_yet_taken_along_the_standby_takes(void **state)
{
	struct place_of_test *test = begin(state);
	struct session_group standby = copy_for_standby(test);

	settle_for(&test->session, below_top(test, "second"));
	assert_true(cgroup_add(test->session.group, test->host));
	expect_in(test->member, below_top(test, "first/" OWN));
	assert_non_null(session_group_left_place(&standby));
	assert_true(session_host_follow(&standby));
	expect_in(test->member, below_top(test, "second/" OWN));
	assert_false(is_there(test, below_top(test, "first/" OWN)));
	assert_null(session_group_left_place(&test->session));
	end_standby(&standby);
}

static void test_the_standby_settles_where_the_host_had_just_been_put(void **state)
{
	struct place_of_test *test = begin(state);
	struct session_group standby = copy_for_standby(test);
	struct session_place place;
	int group = session_group_make(&test->session, below_top(test, "second"), &place);

	assert_true(cgroup_add(group, test->host));
	close(group);
	assert_true(session_host_follow(&standby));
	expect_in(test->host, below_top(test, "second/" OWN));
	expect_in(test->member, below_top(test, "second/" OWN));
	end_standby(&standby);
}

static void test_who_cannot_be_taken_along_yet_is_not_forgotten(void **state)
{
	struct place_of_test *test = begin(state);

	settle_for(&test->session, below_top(test, "second"));
	close(test->session.group);
	test->session.group = -1;
	test->session.is_gone = true; /* as where it cannot be opened now */
	assert_false(session_host_follow(&test->session));
	assert_non_null(session_group_left_place(&test->session));
	test->session.is_gone = false;
	assert_true(session_host_follow(&test->session));
	expect_in(test->member, below_top(test, "second/" OWN));
}

static void test_whom_no_move_can_take_along_any_more_is_ended_with_the_session(void **state)
{
	struct place_of_test *test = begin(state);
	struct session_group standby;

	settle_for(&test->session, below_top(test, "second"));
	assert_true(cgroup_add(test->session.group, test->host));
	kill(test->host, SIGKILL);
	assert_int_equal(waitpid(test->host, NULL, 0), test->host);
	assert_true(session_group_remove(&test->session, session_group_place(&test->session)));
	standby = copy_for_standby(test);
	assert_false(session_host_follow(&standby));
	session_kill_members(&standby, NULL);
	expect_killed(test->member);
	assert_true(session_host_follow(&standby));
	assert_null(session_group_left_place(&standby));
	end_standby(&standby);
}

static void test_one_that_cannot_be_looked_for_is_not_taken_for_gone(void **state)
{
	struct place_of_test *test = begin(state);
	struct session_group standby = copy_for_standby(test);

	snprintf(standby.mount.root, sizeof(standby.mount.root), "/elsewhere");
	errno = ENOENT;
	assert_false(session_group_open(&standby));
	assert_false(standby.is_gone);
	end_standby(&standby);
}

/* ---- Strays ---------------------------------------------------------------------------------------------- */

/* A child in GROUP with an audit session of its own, as that of a login. */
static pid_t start_login_in(int group)
{
	int told[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		byte = fd >= 0 && write(fd, "65534", 5) == 5;
		if (write(told[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	assert_true(cgroup_add(group, pid));
	if (!byte)
		skip(); /* the kernel keeps no audit sessions here */
	return pid;
}

/* The machine's shell under a keeper's name, which is what a keeper is known by. */
static void name_shell_keeper(char *path, size_t size)
{
	char above[] = AWSFLOCK_RUN_DIR;
	int fd;

	*strrchr(above, '/') = '\0';
	snprintf(path, size, "%s/awsflock-keeper", above);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(mount("/bin/sh", path, NULL, MS_BIND, NULL), 0);
}

/* One that runs programs for a session within a login, whose audit session it cannot leave.  The last of them is told. */
static pid_t start_below_a_keeper_in(int group)
{
	char program[96], line[32] = "";
	int told[2];
	pid_t keeper, below;

	name_shell_keeper(program, sizeof(program));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	assert_int_equal(pipe(told), 0);
	keeper = fork();
	assert_true(keeper >= 0);
	if (keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(told[1], STDOUT_FILENO);
		execl(program, program, "-c",
		      "echo 65534 >/proc/self/loginuid; sh -c 'sleep 1000 & echo $!; wait' & wait", (char *)NULL);
		_exit(1);
	}
	close(told[1]);
	assert_true(read(told[0], line, sizeof(line) - 1) > 0);
	close(told[0]);
	below = (pid_t)strtol(line, NULL, 10);
	assert_true(cgroup_add(group, keeper) && cgroup_add(group, below));
	if (process_audit_session(below) == PROCESS_NO_AUDIT_SESSION)
		skip(); /* the kernel keeps none here */
	return below;
}

static struct strays login_of(struct place_of_test *test, pid_t stray)
{
	struct strays strays;

	strays_init(&strays, &test->session, ID, 65534, true);
	test->session.shared->audit_session = process_audit_session(stray);
	return strays;
}

static int make_for(const struct place_of_test *test, const char *name, uid_t owner)
{
	int group = cgroup_make(test->group, name);

	assert_true(group >= 0);
	assert_int_equal(fchown(group, owner, 0), 0);
	return group;
}

static void test_a_stray_makes_nobody_forgotten_who_is_left_where_the_session_was(void **state)
{
	struct place_of_test *test = begin(state);
	int users = make_for(test, "users", 65534);
	pid_t stray = start_login_in(users);
	struct strays strays = login_of(test, stray);

	settle_for(&test->session, below_top(test, "second"));
	assert_true(session_group_remove(&test->session, session_group_place(&test->session)));
	test->session.is_gone = true;
	assert_false(strays_gather(&strays, &test->session, NULL));
	expect_in(stray, below_top(test, "users"));
	assert_string_equal(session_group_left_place(&test->session)->group, below_top(test, "first/" OWN));
	strays_free(&strays);
	close(users);
}

static void test_what_a_keeper_has_started_is_no_stray_of_the_login_around_it(void **state)
{
	struct place_of_test *test = begin(state);
	int users = make_for(test, "users", 65534);
	pid_t below = start_below_a_keeper_in(users);
	struct strays strays = login_of(test, below);

	assert_true(strays_gather(&strays, &test->session, NULL));
	expect_in(below, below_top(test, "users"));
	strays_free(&strays);
	close(users);
}

/* ---- Names that come again ------------------------------------------------------------------------------- */

static void test_a_scope_that_has_come_by_the_name_is_not_the_sessions(void **state)
{
	struct place_of_test *test = begin(state);
	struct session_group standby;
	struct session_place place;
	int scope = cgroup_make(test->group, "session-1.scope");
	struct cgroup_state now;
	pid_t other;
	int status;

	close(scope);
	scope = session_group_take_scope(&test->session, below_top(test, "session-1.scope"),
					 below_top(test, "first"), &place);
	session_group_settle(&test->session, scope, &place);
	assert_true(cgroup_add(scope, test->host));
	assert_true(session_host_follow(&test->session));
	standby = copy_for_standby(test);
	kill(test->host, SIGKILL);
	kill(test->member, SIGKILL);
	assert_int_equal(waitpid(test->host, NULL, 0), test->host);
	assert_int_equal(waitpid(test->member, NULL, 0), test->member);
	assert_true(cgroup_remove(test->group, "session-1.scope"));
	scope = cgroup_make(test->group, "session-1.scope");
	other = start_in(scope);
	assert_true(session_group_open(&standby));
	assert_true(session_group_read_events(&standby, &now));
	assert_false(now.is_populated);
	session_kill_members(&standby, NULL);
	session_kill_host(&standby, NULL);
	kill(other, SIGSTOP); /* a kill would come before it */
	assert_int_equal(waitpid(other, &status, WUNTRACED), other);
	assert_true(WIFSTOPPED(status));
	end_standby(&standby);
	close(scope);
}

/* ---- A host that closes ---------------------------------------------------------------------------------- */

static void test_a_host_whose_group_was_removed_is_let_go_above_it(void **state)
{
	struct place_of_test *test = begin(state);

	settle_for(&test->session, below_top(test, "second"));
	assert_true(cgroup_add(test->session.group, test->host));
	assert_true(session_host_follow(&test->session));
	snprintf(session_group_place(&test->session)->origin, PATH_MAX, "%s", below_top(test, "removed/too"));
	session_host_let_go(&test->session);
	assert_true(test->session.shared->host_has_left);
	expect_in(test->host, test->top);
	expect_in(test->member, below_top(test, "second/" OWN));
}

static void test_what_a_session_left_is_ended_beside_a_host_that_cannot_be_let_go(void **state)
{
	struct place_of_test *test = begin(state);
	int status;

	snprintf(session_group_place(&test->session)->origin, PATH_MAX, "/");
	snprintf(test->session.mount.root, sizeof(test->session.mount.root), "%s", test->top);
	snprintf(test->session.mount.point, sizeof(test->session.mount.point), "%s%s", test->point, test->top);
	session_host_let_go(&test->session);
	assert_false(test->session.shared->host_has_left);
	for (int round = 0; round < 2; round++) {
		session_kill_members(&test->session, NULL);
		assert_int_equal(waitpid(test->member, &status, 0), test->member);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		assert_true(session_host_runs(&test->session));
		test->member = start_in(test->session.group); /* one that comes later, too */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_session_follows_its_host_with_all_that_it_has_left_behind,
						set_up, take_down),
		cmocka_unit_test_setup_teardown(test_whom_a_move_had_not_yet_taken_along_the_standby_takes, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(test_the_standby_settles_where_the_host_had_just_been_put, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(test_who_cannot_be_taken_along_yet_is_not_forgotten, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(test_whom_no_move_can_take_along_any_more_is_ended_with_the_session,
						set_up, take_down),
		cmocka_unit_test_setup_teardown(test_one_that_cannot_be_looked_for_is_not_taken_for_gone, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(
			test_a_stray_makes_nobody_forgotten_who_is_left_where_the_session_was, set_up, take_down),
		cmocka_unit_test_setup_teardown(test_what_a_keeper_has_started_is_no_stray_of_the_login_around_it,
						set_up, take_down),
		cmocka_unit_test_setup_teardown(test_a_scope_that_has_come_by_the_name_is_not_the_sessions, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(test_a_host_whose_group_was_removed_is_let_go_above_it, set_up,
						take_down),
		cmocka_unit_test_setup_teardown(
			test_what_a_session_left_is_ended_beside_a_host_that_cannot_be_let_go, set_up, take_down),
	};

	return cmocka_run_group_tests_name("session_group", tests, NULL, NULL);
}
