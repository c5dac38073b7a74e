/* Who belongs to a session, and its end: on real processes.  SPDX-License-Identifier: Apache-2.0 */
#include "cmocka_all.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/runtime.h"
#include "keeper/endsession.h"
#include "keeper/membership_looks.h"

#define PATIENCE_NS (60 * NS_PER_S)

static int64_t now_ns(void)
{
	struct timespec now = { 0, 0 };

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void pause_a_moment(void)
{
	poll(NULL, 0, 5);
}

/* A host whose child ignores what can be ignored.  With ORPHAN the child's own child does, and the child ends once
 * it has read a byte from the pipe. */
struct session {
	pid_t host, member;
	int pidfd, end_parent;
	struct membership_looks looks;
	struct watch *watch;
};

static void sleep_stubbornly(int tell)
{
	pid_t self = getpid();

	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	setsid();
	if (write(tell, &self, sizeof(self)) == sizeof(self))
		for (;;)
			pause();
	_exit(1);
}

static void be_host(int tell, int end_parent, bool makes_orphan)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fork() == 0) {
		if (!makes_orphan || fork() == 0)
			sleep_stubbornly(tell);
		_exit(read(end_parent, &byte, 1) == 1 ? 0 : 1);
	}
	for (;;)
		pause();
}

static void open_session(struct session *session, bool makes_orphan)
{
	int tell[2], end_parent[2];

	assert_int_equal(pipe(tell), 0);
	assert_int_equal(pipe(end_parent), 0);
	session->host = fork();
	if (session->host == 0)
		be_host(tell[1], end_parent[0], makes_orphan);
	close(end_parent[0]);
	session->end_parent = end_parent[1];
	assert_int_equal(read(tell[0], &session->member, sizeof(session->member)), sizeof(session->member));
	close(tell[0]);
	close(tell[1]);
	session->pidfd = (int)syscall(SYS_pidfd_open, session->host, 0);
	assert_true(session->pidfd >= 0);
	assert_true(
		membership_looks_init(&session->looks, session->pidfd, false, "0123456789abcdef0123456789abcdef"));
	session->watch = &session->looks.watch;
}

static void close_session(struct session *session)
{
	kill(session->host, SIGKILL);
	waitpid(session->host, NULL, 0);
	close(session->pidfd);
	close(session->end_parent);
	session->looks.members.ops->free(&session->looks.members);
}

static bool is_member(const struct watch *watch, pid_t pid)
{
	for (size_t i = 0; i < watch_count(watch); i++)
		if (watch_members(watch)[i].pid == pid)
			return true;
	return false;
}

static void assert_ends(struct session *session, int64_t end_ms, bool ends_host)
{
	struct ending ending = { .phase = ENDING_NOT_BEGUN };
	int64_t until_ns = now_ns() + PATIENCE_NS;

	ending_begin(&ending, now_ns(), end_ms, now_ns() + end_ms * NS_PER_MS, ends_host);
	while (ending.phase != ENDING_DONE && now_ns() < until_ns) {
		ending_step(&ending, &session->looks.members, false, now_ns());
		pause_a_moment();
	}
	assert_int_equal(ending.phase, ENDING_DONE);
}

static void descendants_belong_and_the_host_does_not(void **state)
{
	struct session session;
	char text[100];

	(void)state;
	open_session(&session, false);
	assert_true(watch_look_quickly(session.watch, 0));
	assert_true(is_member(session.watch, session.member));
	assert_false(is_member(session.watch, session.host));
	assert_false(is_member(session.watch, getpid()));
	assert_true(watch_look(session.watch, 0));
	assert_int_equal(watch_count(session.watch), 1);
	watch_describe(session.watch, text, sizeof(text));
	assert_non_null(strstr(text, "test_endsession"));
	assert_ends(&session, 300, false);
	assert_true(watch_host_runs(session.watch));
	close_session(&session);
}

static void one_that_was_seen_is_remembered_when_its_parent_has_ended(void **state)
{
	struct session session;
	struct process process;

	(void)state;
	open_session(&session, true);
	assert_true(watch_look_quickly(session.watch, 0));
	assert_int_equal(watch_count(session.watch), 2);
	assert_int_equal(write(session.end_parent, "x", 1), 1);
	do {
		pause_a_moment();
		assert_true(watch_look_quickly(session.watch, 0));
	} while (watch_count(session.watch) == 2);
	assert_true(is_member(session.watch, session.member));
	assert_ends(&session, 300, false);
	assert_false(process_read(session.member, &process));
	close_session(&session);
}

/* When the lease has to be seen to, a look at many breaks off: it may have seen only some. */
static void a_look_that_has_no_time_forgets_nobody(void **state)
{
	struct session session;

	(void)state;
	open_session(&session, true);
	assert_true(watch_look(session.watch, 0));
	assert_int_equal(watch_count(session.watch), 2);
	assert_false(watch_look_quickly(session.watch, 1));
	assert_int_equal(watch_count(session.watch), 2);
	assert_false(watch_look(session.watch, 1));
	assert_int_equal(watch_count(session.watch), 2);
	assert_false(watch_is_empty(session.watch, 1));
	assert_true(watch_look_quickly(session.watch, now_ns() + PATIENCE_NS));
	assert_ends(&session, 300, false);
	close_session(&session);
}

/* As Linux counts them at most: more than the lists of old had room for. */
static void there_is_room_for_all_that_can_run(void **state)
{
	struct session session;

	(void)state;
	open_session(&session, false);
	if (sizeof(long) > 4) {
		struct watch_list *last = &session.watch->shared->lists[1];
		last->members[4194304 - 1] = session.watch->host; /* it is memory */
		assert_int_equal(last->members[4194304 - 1].pid, session.host);
	}
	assert_ends(&session, 300, false);
	close_session(&session);
}

static void the_host_is_ended_last_and_only_where_it_must(void **state)
{
	struct session session;

	(void)state;
	open_session(&session, false);
	assert_ends(&session, 300, true);
	assert_false(watch_host_runs(session.watch));
	close_session(&session);
}

static void with_no_time_left_the_first_signal_is_the_last(void **state)
{
	struct session session;
	struct ending ending = { .phase = ENDING_NOT_BEGUN };

	(void)state;
	open_session(&session, false);
	ending_begin(&ending, now_ns(), 6000, now_ns() - 1, false);
	assert_int_equal(ending.phase, ENDING_KILL);
	ending_step(&ending, &session.looks.members, false, now_ns());
	while (process_runs(&watch_members(session.watch)[0]) && watch_count(session.watch) > 0) {
		pause_a_moment();
		watch_look(session.watch, 0);
	}
	close_session(&session);
}

static void an_end_that_would_come_sooner_stands(void **state)
{
	struct ending ending = { .phase = ENDING_NOT_BEGUN };
	int64_t now = 1000 * NS_PER_S, kill_ns;

	(void)state;
	ending_begin(&ending, now, 6000, INT64_MAX, false);
	kill_ns = ending.kill_ns;
	assert_int_equal(kill_ns, now + 4 * NS_PER_S);
	ending_begin(&ending, now + NS_PER_S, 6000, INT64_MAX, true);
	assert_int_equal(ending.kill_ns, kill_ns);
	assert_true(ending.ends_host);
	ending_begin(&ending, now + NS_PER_S, 6000, now + NS_PER_S, false);
	assert_int_equal(ending.kill_ns, now + NS_PER_S);
	assert_true(ending.ends_host);
}

static void a_signal_reaches_nobody_who_came_after(void **state)
{
	struct process process;

	(void)state;
	assert_true(process_read(getpid(), &process));
	process.start_ticks--;
	assert_false(process_runs(&process));
	assert_false(process_signal(&process, SIGKILL)); /* else this test would be gone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descendants_belong_and_the_host_does_not),
		cmocka_unit_test(one_that_was_seen_is_remembered_when_its_parent_has_ended),
		cmocka_unit_test(a_look_that_has_no_time_forgets_nobody),
		cmocka_unit_test(there_is_room_for_all_that_can_run),
		cmocka_unit_test(the_host_is_ended_last_and_only_where_it_must),
		cmocka_unit_test(with_no_time_left_the_first_signal_is_the_last),
		cmocka_unit_test(an_end_that_would_come_sooner_stands),
		cmocka_unit_test(a_signal_reaches_nobody_who_came_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
