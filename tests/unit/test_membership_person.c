/* What a person runs, beside a session whose members the test makes up: real processes of a user that nobody has.
 * SPDX-License-Identifier: Apache-2.0 */
#include "keeper/membership_person.h"

#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/progress.h"
#include "proc/process.h"

/* Who ends a person ends them on all of the machine, and this test may run twice there: of the ids that distributions and
 * systemd give to nobody (60706 to 61183), by the process's own. */
static uid_t person, another;

static void choose_people(void)
{
	person = 60706 + (uid_t)(getpid() % 239) * 2;
	another = person + 1;
}

/* ---- A session of its own --------------------------------------------------------------------------------- */

struct fake_session {
	struct membership members;
	size_t count;
	bool again; /* what kill() answers */
	int last_signal, kills, host_kills, closes, notices;
};

static struct fake_session *fake(struct membership *members)
{
	return (struct fake_session *)members;
}

static bool fake_refresh(struct membership *members, bool fully)
{
	(void)members;
	return fully;
}

static size_t fake_count(const struct membership *members)
{
	return ((const struct fake_session *)members)->count;
}

static bool fake_is_empty(struct membership *members)
{
	return fake(members)->count == 0;
}

static bool fake_host_runs(const struct membership *members)
{
	(void)members;
	return true;
}

static void fake_signal(struct membership *members, int signal)
{
	fake(members)->last_signal = signal;
}

static void fake_host_closes(struct membership *members)
{
	fake(members)->closes++;
}

static bool fake_kill(struct membership *members)
{
	fake(members)->kills++;
	return fake(members)->again;
}

static void fake_kill_host(struct membership *members)
{
	fake(members)->host_kills++;
}

static void fake_describe(const struct membership *members, char *text, size_t size)
{
	(void)members;
	snprintf(text, size, "the session's");
}

static void fake_notify(struct membership *members, const char *tty, const char *line)
{
	assert_string_equal(tty, "/dev/pts/7");
	assert_string_equal(line, "it ends");
	fake(members)->notices++;
}

static int fake_event_fd(const struct membership *members)
{
	(void)members;
	return 77;
}

static void fake_free(struct membership *members)
{
	fake(members)->count = 0;
}

static const struct membership_ops fake_ops = { .refresh = fake_refresh,
						.count = fake_count,
						.is_empty = fake_is_empty,
						.host_runs = fake_host_runs,
						.signal = fake_signal,
						.host_closes = fake_host_closes,
						.kill = fake_kill,
						.kill_host = fake_kill_host,
						.describe = fake_describe,
						.notify = fake_notify,
						.event_fd = fake_event_fd,
						.free = fake_free };

/* ---- Both ------------------------------------------------------------------------------------------------- */

struct fixture {
	struct fake_session session;
	struct membership_person person;
	struct membership *members;
	pid_t host; /* run by the person too */
	int host_pidfd, progress_fd;
	struct progress *progress;
};

/* A process of USER's, which only sleeps. */
static pid_t start(uid_t user)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, "of-tests");
		if (setresuid(user, user, user) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The signal by which PID ended. */
static int ended_by(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void set_up(struct fixture *fixture)
{
	if (geteuid() != 0)
		skip(); /* nobody else can start processes of other users */
	*fixture = (struct fixture){ .session = { .members = { .ops = &fake_ops } }, .host = start(person) };
	fixture->host_pidfd = process_pidfd_open(fixture->host);
	assert_true(fixture->host_pidfd >= 0);
	fixture->progress = progress_new(&fixture->progress_fd);
	assert_non_null(fixture->progress);
	fixture->session.members.progress = fixture->progress;
	membership_person_init(&fixture->person, &fixture->session.members, fixture->host_pidfd, person);
	fixture->members = &fixture->person.members;
}

static void tear_down(struct fixture *fixture)
{
	fixture->session.count = 1;
	fixture->members->ops->free(fixture->members);
	assert_int_equal(fixture->session.count, 0);
	progress_free(fixture->progress);
	close(fixture->progress_fd);
	close(fixture->host_pidfd);
	end(fixture->host);
}

static void all_that_the_person_runs_counts_but_for_the_host(void **state)
{
	struct fixture fixture;
	pid_t one, of_another;
	char text[128], expected[64];

	(void)state;
	set_up(&fixture);
	one = start(person);
	of_another = start(another);
	assert_true(fixture.members->ops->refresh(fixture.members, true));
	assert_int_equal(fixture.members->ops->count(fixture.members), 1);
	fixture.members->ops->describe(fixture.members, text, sizeof(text));
	snprintf(expected, sizeof(expected), "%d (of-tests)", (int)one);
	assert_string_equal(text, expected);
	fixture.session.count = 2;
	assert_int_equal(fixture.members->ops->count(fixture.members), 3);
	fixture.members->ops->describe(fixture.members, text, sizeof(text));
	assert_string_equal(text, "the session's");
	assert_false(fixture.members->ops->refresh(fixture.members, false)); /* as the session's own */
	end(one);
	end(of_another);
	tear_down(&fixture);
}

static void nobody_is_left_when_neither_the_session_nor_the_person_runs_anything(void **state)
{
	struct fixture fixture;
	pid_t one;

	(void)state;
	set_up(&fixture);
	one = start(person);
	assert_false(fixture.members->ops->is_empty(fixture.members));
	end(one);
	assert_true(fixture.members->ops->is_empty(fixture.members));
	fixture.session.count = 1;
	assert_false(fixture.members->ops->is_empty(fixture.members));
	tear_down(&fixture);
}

static void a_signal_reaches_who_is_stopped(void **state)
{
	struct fixture fixture;
	uint64_t steps;
	pid_t one;

	(void)state;
	set_up(&fixture);
	one = start(person);
	kill(one, SIGSTOP);
	assert_true(fixture.members->ops->refresh(fixture.members, true));
	steps = fixture.progress->steps;
	fixture.members->ops->signal(fixture.members, SIGTERM);
	assert_int_equal(fixture.progress->steps, steps + 1);
	assert_int_equal(ended_by(one), SIGTERM);
	assert_int_equal(fixture.session.last_signal, SIGTERM);
	assert_true(process_real_user(fixture.host) == person);
	tear_down(&fixture);
}

static void all_are_killed_but_the_host_and_other_peoples(void **state)
{
	struct fixture fixture;
	struct process still;
	pid_t one, two, of_another;

	(void)state;
	set_up(&fixture);
	one = start(person);
	two = start(person);
	of_another = start(another);
	fixture.session.again = true;
	assert_true(fixture.members->ops->kill(fixture.members));
	assert_int_equal(ended_by(one), SIGKILL);
	assert_int_equal(ended_by(two), SIGKILL);
	fixture.session.again = false;
	assert_false(fixture.members->ops->kill(fixture.members));
	assert_int_equal(fixture.session.kills, 2);
	assert_int_equal(fixture.members->ops->count(fixture.members), 0);
	assert_true(process_read(fixture.host, &still) && process_read(of_another, &still));
	assert_int_equal(fixture.session.host_kills, 0);
	end(of_another);
	tear_down(&fixture);
}

/* Each process that is looked at is a step. */
static void a_look_shows_progress_and_is_over_in_time(void **state)
{
	struct fixture fixture;
	uint64_t steps;
	pid_t one;

	(void)state;
	set_up(&fixture);
	one = start(person);
	steps = fixture.progress->steps;
	assert_true(fixture.members->ops->refresh(fixture.members, true));
	assert_true(fixture.progress->steps > steps);
	end(one);
	fixture.members->until_ns = clock_boot_ns() - 1;
	assert_false(fixture.members->ops->refresh(fixture.members, true));
	assert_int_equal(fixture.session.members.until_ns, fixture.members->until_ns);
	assert_int_equal(fixture.members->ops->count(fixture.members), 1); /* as it was */
	fixture.members->until_ns = clock_boot_ns() + 3600 * NS_PER_S;
	assert_true(fixture.members->ops->refresh(fixture.members, true));
	assert_int_equal(fixture.members->ops->count(fixture.members), 0);
	tear_down(&fixture);
}

static void what_is_the_sessions_alone_is_left_to_it(void **state)
{
	struct fixture fixture;

	(void)state;
	set_up(&fixture);
	fixture.members->ops->host_closes(fixture.members);
	fixture.members->ops->kill_host(fixture.members);
	fixture.members->ops->notify(fixture.members, "/dev/pts/7", "it ends");
	assert_int_equal(fixture.session.closes, 1);
	assert_int_equal(fixture.session.host_kills, 1);
	assert_int_equal(fixture.session.notices, 1);
	assert_true(fixture.members->ops->host_runs(fixture.members));
	assert_int_equal(fixture.members->ops->event_fd(fixture.members), 77);
	tear_down(&fixture);
}

/* As the program of a keeper: starts its renewer as USER, tells the renewer's id on stdout, and stays. */
static void be_keeper(const char *user)
{
	pid_t renewer = start((uid_t)strtoul(user, NULL, 10));

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    write(STDOUT_FILENO, &renewer, sizeof(renewer)) != sizeof(renewer))
		_exit(1);
	for (;;)
		pause();
}

/* PROGRAM is this one, under a keeper's name; returns the renewer.  *KEEPER is its parent. */
static pid_t start_renewer(const char *program, pid_t *keeper)
{
	int told[2];
	pid_t renewer;
	char user[24];

	snprintf(user, sizeof(user), "%u", (unsigned)person);
	assert_int_equal(pipe(told), 0);
	*keeper = fork();
	if (*keeper == 0) {
		if (dup2(told[1], STDOUT_FILENO) == STDOUT_FILENO)
			execl(program, program, user, NULL);
		_exit(1);
	}
	close(told[1]);
	assert_int_equal(read(told[0], &renewer, sizeof(renewer)), sizeof(renewer));
	close(told[0]);
	return renewer;
}

static void copy_this_program(const char *to)
{
	char bytes[65536];
	int from_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ssize_t size;

	assert_true(from_fd >= 0 && to_fd >= 0);
	while ((size = read(from_fd, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to_fd, bytes, (size_t)size), size);
	close(from_fd);
	close(to_fd);
}

/* Another guard may name the person as whom its renewer is to run. */
static void a_keepers_renewer_is_never_the_persons(void **state)
{
	char directory[] = "/tmp/test_membership_person.XXXXXX", program[128];
	struct fixture fixture;
	struct process still;
	pid_t keeper, renewer;

	(void)state;
	set_up(&fixture);
	assert_non_null(mkdtemp(directory));
	snprintf(program, sizeof(program), "%s/awsflock-keeper", directory);
	copy_this_program(program);
	renewer = start_renewer(program, &keeper);
	assert_true(fixture.members->ops->refresh(fixture.members, true));
	assert_int_equal(fixture.members->ops->count(fixture.members), 0);
	assert_false(fixture.members->ops->kill(fixture.members));
	assert_true(process_read(renewer, &still) && process_read(keeper, &still));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	end(keeper);
	assert_int_equal(ended_by(renewer), SIGKILL); /* as start() has it */
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	unlink(program);
	rmdir(directory);
	tear_down(&fixture);
}

int main(int argc, char **argv)
{
	if (argc == 2)
		be_keeper(argv[1]);
	choose_people();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_the_person_runs_counts_but_for_the_host),
		cmocka_unit_test(nobody_is_left_when_neither_the_session_nor_the_person_runs_anything),
		cmocka_unit_test(a_signal_reaches_who_is_stopped),
		cmocka_unit_test(all_are_killed_but_the_host_and_other_peoples),
		cmocka_unit_test(a_look_shows_progress_and_is_over_in_time),
		cmocka_unit_test(a_keepers_renewer_is_never_the_persons),
		cmocka_unit_test(what_is_the_sessions_alone_is_left_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
