/* See holder.h.  One thread: awsflock_keepalive() renews until the descriptor says that there is something else to do.
 * SPDX-License-Identifier: Apache-2.0 */
#include "hold/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/spawn.h"
#include "base/text.h"
#include "hold/lease_use.h"
#include "proc/process.h"
#include "run/giving_back.h"
#include "term/json_output.h"
#include "term/report.h"
#include "term/waiting.h"

/* How long before another can have the lock its loss is told; a third of the lease where that is shorter. */
#define LOSS_TOLD_MS INT64_C(5000)

struct holder {
	const struct hold_job *job;
	int parent_fd;
	struct lease_use use;
	awsflock_lease *lease;
	int signal_fd, process_fd, limit_fd;
	int stop_fd; /* readable once one of them is */
};

void holder_signals(sigset_t *set)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, numbers[i]);
	}
}

/* ---- What ends the holding --------------------------------------------------------------------------------- */

static bool watch(struct holder *holder, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return fd >= 0 && epoll_ctl(holder->stop_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static int open_watches(struct holder *holder)
{
	const struct hold_job *job = holder->job;
	sigset_t signals;

	holder_signals(&signals);
	holder->stop_fd = epoll_create1(EPOLL_CLOEXEC);
	holder->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	holder->limit_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (holder->stop_fd < 0 || !watch(holder, holder->signal_fd) || !watch(holder, holder->limit_fd)) {
		report_error("cannot watch for what ends the holding of '%s': %s", job->lock, strerror(errno));
		return CLI_FAILED;
	}
	if (job->while_pid == 0)
		return CLI_OK;
	holder->process_fd = process_pidfd_open(job->while_pid);
	if (watch(holder, holder->process_fd) && !process_pidfd_ended(holder->process_fd))
		return CLI_OK;
	if (holder->process_fd >= 0 || errno == ESRCH)
		report_error("process %d (--while) does not run: nothing is taken", (int)job->while_pid);
	else
		report_error("cannot watch process %d (--while): %s", (int)job->while_pid, strerror(errno));
	return CLI_FAILED;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_watches(struct holder *holder)
{
	close_fd(holder->signal_fd);
	close_fd(holder->process_fd);
	close_fd(holder->limit_fd);
	close_fd(holder->stop_fd);
}

static bool start_limit(const struct holder *holder)
{
	struct itimerspec limit = { .it_value = { .tv_sec = holder->job->max_hold_seconds } };

	return timerfd_settime(holder->limit_fd, 0, &limit, NULL) == 0;
}

static bool is_readable(int fd)
{
	struct pollfd look = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&look, 1, 0) == 1;
}

/* The signal that came, or 0; it is taken. */
static int take_signal(const struct holder *holder)
{
	struct signalfd_siginfo info;

	return read(holder->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}

static void describe_end(const struct holder *holder, char *reason, size_t size)
{
	char limit[64];
	int number = take_signal(holder);

	text_duration(holder->job->max_hold_seconds, limit, sizeof(limit));
	if (number != 0)
		snprintf(reason, size, "its holder was told to end (%s)", strsignal(number));
	else if (is_readable(holder->process_fd))
		snprintf(reason, size, "process %d has ended", (int)holder->job->while_pid);
	else
		snprintf(reason, size, "its limit of %s was reached", limit);
}

/* ---- Taking the lock --------------------------------------------------------------------------------------- */

static int not_taken(const struct holder *holder, awsflock_code code, const awsflock_error *error)
{
	int number = code == AWSFLOCK_CANCELLED ? take_signal(holder) : 0;

	if (number != 0)
		return 128 + number;
	if (code != AWSFLOCK_CANCELLED)
		return report_failure(error);
	report_error("process %d (--while) has ended: '%s' is not taken", (int)holder->job->while_pid,
		     holder->job->lock);
	return CLI_NOT_HELD;
}

static int take(struct holder *holder)
{
	const struct hold_job *job = holder->job;
	awsflock_error error;
	awsflock_code code;
	int result;

	awsflock_set_stop_fd(job->context, holder->stop_fd);
	awsflock_set_lease_id_callback(job->context, lease_use_note_id, &holder->use);
	awsflock_set_give_back_later(job->context, true);
	code = awsflock_acquire(job->context, job->lock, &job->acquire, &holder->lease, &error);
	waiting_end();
	if (code == AWSFLOCK_OK)
		return CLI_OK;
	result = not_taken(holder, code, &error);
	giving_back_start(job->context, job->lock);
	return result;
}

/* ---- Telling that it is held ------------------------------------------------------------------------------- */

static int print_lease(const struct holder *holder)
{
	return holder->job->json ? json_result(json_from_lease(holder->lease, holder->job->owner)) : CLI_OK;
}

/* Nothing of the caller's is held by the holder from here on: no terminal, no pipe that somebody reads to its end. */
static void leave_caller(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close_fd(null);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
}

static int tell_held(struct holder *holder)
{
	awsflock_error error;
	ssize_t told;

	if (!start_limit(holder)) {
		report_error("cannot set the limit: %s", strerror(errno));
		return CLI_FAILED;
	}
	if (lease_use_keep(&holder->use, holder->lease, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (print_lease(holder) != CLI_OK)
		return CLI_FAILED;
	if (holder->parent_fd < 0)
		return CLI_OK;
	leave_caller();
	told = write(holder->parent_fd, "", 1);
	close(holder->parent_fd);
	return told == 1 ? CLI_OK : CLI_FAILED;
}

/* ---- Holding and ending ------------------------------------------------------------------------------------ */

static void on_renewed(void *arg, const awsflock_lease *lease)
{
	struct lease_use *use = arg;
	awsflock_error error;

	if (lease_use_keep(use, lease, &error) != AWSFLOCK_OK)
		report_notice("%s", error.message);
}

static bool write_state(struct holder *holder, enum lease_state state)
{
	awsflock_error error;

	holder->use.record.state = state;
	if (lease_file_write(&holder->use.file, &holder->use.record, &error) == AWSFLOCK_OK)
		return true;
	report_error("%s", error.message);
	return false;
}

/* Releases the lock; where that is not known to have worked the file goes on telling of the lease. */
static int release(struct holder *holder)
{
	awsflock_error error;
	awsflock_code code;

	awsflock_set_stop_fd(holder->job->context, -1);
	holder->use.record.reason[0] = '\0';
	describe_end(holder, holder->use.record.reason, sizeof(holder->use.record.reason));
	code = awsflock_release(holder->lease, 0, &error);
	if (code == AWSFLOCK_OK) {
		report_notice("'%s' is released: %s", holder->job->lock, holder->use.record.reason);
		if (!write_state(holder, LEASE_ENDED))
			lease_file_remove(&holder->use.file); /* no file is better than one that tells of a lease */
		return CLI_OK;
	}
	snprintf(holder->use.record.reason, sizeof(holder->use.record.reason), "%s", error.message);
	write_state(holder, code == AWSFLOCK_LOST ? LEASE_LOST : LEASE_HELD);
	return report_failure(&error);
}

/* The file is let go first: the command may release by it, and whoever else does need not wait for the command. */
static void run_on_lost(struct holder *holder)
{
	char shell[] = "/bin/sh", flag[] = "-c", fence[32];
	char *words[] = { shell, flag, (char *)holder->job->on_lost, NULL };
	int output = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	int complaint = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	sigset_t signals;
	pid_t pid;
	int failed;

	snprintf(fence, sizeof(fence), "%" PRId64, holder->use.record.fence);
	setenv("AWSFLOCK_LOCK", holder->job->lock, 1);
	setenv("AWSFLOCK_FENCE", fence, 1);
	setenv("AWSFLOCK_LEASE_FILE", holder->job->path, 1);
	setenv("AWSFLOCK_REASON", holder->use.record.reason, 1);
	lease_use_close(&holder->use);
	failed = spawn_program(words, environ, output, complaint, &pid);
	if (failed != 0)
		report_error("cannot run the command for a lost lease: %s", strerror(failed));
	holder_signals(&signals);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	while (failed == 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
	}
	close_fd(output);
	close_fd(complaint);
}

static int lose(struct holder *holder, const awsflock_error *error)
{
	report_error("LOCK LOST: %s", error->message);
	snprintf(holder->use.record.reason, sizeof(holder->use.record.reason), "%s", error->message);
	write_state(holder, LEASE_LOST);
	if (holder->job->on_lost)
		run_on_lost(holder);
	return CLI_NOT_HELD;
}

static int hold(struct holder *holder)
{
	const struct hold_job *job = holder->job;
	int64_t third_ms = job->acquire.lease_seconds * MS_PER_S / 3;
	awsflock_error error;

	report_debug("'%s' is held, with fence %" PRIu64, job->lock, awsflock_lease_fence(holder->lease));
	awsflock_set_renewed_callback(job->context, on_renewed, &holder->use);
	if (awsflock_keepalive(holder->lease, third_ms < LOSS_TOLD_MS ? third_ms : LOSS_TOLD_MS, &error) ==
	    AWSFLOCK_CANCELLED)
		return release(holder);
	return lose(holder, &error);
}

/* Of a lease that nobody came to know of. */
static void give_back(struct holder *holder)
{
	awsflock_error error;
	awsflock_code code;

	awsflock_set_stop_fd(holder->job->context, -1);
	code = awsflock_release(holder->lease, 0, &error);
	if (code != AWSFLOCK_OK && code != AWSFLOCK_LOST)
		report_error("cannot release '%s', which remains held until its lease expires: %s",
			     holder->job->lock, error.message);
}

int holder_run(const struct hold_job *job, int parent_fd)
{
	struct holder holder = { .job = job,
				 .parent_fd = parent_fd,
				 .signal_fd = -1,
				 .process_fd = -1,
				 .limit_fd = -1,
				 .stop_fd = -1,
				 .use = { .file = { .directory = -1, .fd = -1 } } };
	awsflock_error error;
	bool kept = false;
	int result = open_watches(&holder);

	if (result == CLI_OK &&
	    lease_use_reserve(&holder.use, job->context, job->path, job->lock, true, &error) != AWSFLOCK_OK)
		result = report_failure(&error);
	else if (result == CLI_OK)
		result = take(&holder);
	if (holder.lease) {
		result = tell_held(&holder);
		kept = result == CLI_OK;
		if (kept)
			result = hold(&holder);
		else
			give_back(&holder);
	}
	awsflock_lease_free(&holder.lease);
	if (kept)
		lease_use_close(&holder.use);
	else
		lease_use_drop(&holder.use);
	close_watches(&holder);
	return result;
}
