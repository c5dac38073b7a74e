/* The standby: a copy of the guardian that sleeps, for the case that the guardian is killed or stopped.
 *
 * Nobody but root can do that to it; but a machine short of memory kills too, and then the session must not outlive
 * its lease.  The renewer could not end it: it has no power over anybody.  The copy shares its memory with the
 * guardian until one of them writes to it, so it costs next to nothing.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/runtime.h"
#include "guard/log.h"
#include "keeper/guardian.h"
#include "keeper/title.h"

/* A running guardian begins before this. */
#define BEGUN_LATE_NS (300 * NS_PER_MS)
#define OPENED_WITHIN_NS (10 * NS_PER_S)

/* By when a guardian that runs has done the next thing.  It is looked at again then: the lease has been renewed in
 * the meantime, most often. */
static int64_t limit_ns(const struct guardian *guardian)
{
	const struct guardian_life *life = guardian->life;
	int64_t end_ns = guardian->guard.end_ms * NS_PER_MS;

	if (life->is_gone)
		return INT64_MAX;
	if (!life->is_opened)
		return life->deadline_boot_ns;
	if (guardian->guard.only_warns && !life->is_ending)
		return INT64_MAX;
	/* Its own SIGKILL comes a third of the end before it. */
	return life->deadline_boot_ns - (life->is_ending ? end_ns / 4 : end_ns - BEGUN_LATE_NS);
}

static void arm(int timer_fd, int64_t at_ns)
{
	struct itimerspec alarm = { .it_value = { .tv_sec = (time_t)(at_ns / NS_PER_S),
						  .tv_nsec = (long)(at_ns % NS_PER_S) } };

	if (at_ns != INT64_MAX)
		timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &alarm, NULL);
}

/* Sleeps until the guardian is needed; false where it has ended in order. */
static bool wait_for_need(const struct guardian *guardian, int guardian_fd)
{
	struct pollfd polled[] = { { .fd = guardian_fd, .events = POLLIN },
				   { .fd = guardian->timer_fd, .events = POLLIN } };

	for (;;) {
		uint64_t expirations;
		int64_t limit = limit_ns(guardian);
		if (clock_boot_ns() >= limit)
			return true;
		arm(guardian->timer_fd, limit);
		if (poll(polled, 2, -1) < 0)
			continue;
		if (polled[0].revents)
			return !guardian->life->is_over && !guardian->life->is_gone;
		if (polled[1].revents && read(guardian->timer_fd, &expirations, sizeof(expirations)) < 0)
			continue;
	}
}

static void set_title(const struct guardian *guardian, const char *part)
{
	char title[128];

	snprintf(title, sizeof(title), "awsflock-keeper: %s of %.60s (%.32s)", part, guardian->guard.lock,
		 guardian->session.person);
	title_set(title);
}

/* What the guardian's end leaves behind, as the lease's loss: with the grace, where there is time for it. */
static void take_over(struct guardian *guardian)
{
	int64_t now_ns = clock_boot_ns(), in_time_ns, after_grace_ns;

	set_title(guardian, "guardian");
	log_line(LOG_ALERT, "the guardian of '%s' was killed or stopped: its standby ends the session",
		 guardian->guard.lock);
	if (guardian->life->joined > 0)
		guardian->may_not_release = true;
	sharing_leave(&guardian->sharing);
	if (!guardian->life->is_opened) {
		guardian->state_over_ns = now_ns + OPENED_WITHIN_NS;
		return;
	}
	guardian->opened_ns = guardian->life->opened_ns;
	guardian->state = GUARDIAN_OPEN;
	guardian->state_over_ns = INT64_MAX;
	guardian->look_ns = now_ns;
	if (guardian->life->is_ending || guardian->life->is_closed) {
		closing_begin_end(guardian, "its guardian was killed or stopped", !guardian->life->is_closed);
		return;
	}
	guardian_lost(guardian, false, "the process that guards it was killed or stopped");
	if (guardian->guard.only_warns)
		return;
	in_time_ns = guardian->end_at_ns;
	after_grace_ns = now_ns + guardian->guard.grace_ms * NS_PER_MS;
	if (after_grace_ns < in_time_ns)
		guardian->end_at_ns = after_grace_ns;
}

/* In the copy.  True where it is the guardian now. */
static bool be_standby(struct guardian *guardian, int guardian_fd)
{
	set_title(guardian, "standby");
	guardian->standby_pid = 0;
	guardian->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	lease_clients_close(guardian); /* those are the guardian's own */
	if (guardian->timer_fd < 0 || !wait_for_need(guardian, guardian_fd))
		forked_exit(0);
	/* One alone may be in charge.  A stopped one is killed without having run again. */
	syscall(SYS_pidfd_send_signal, guardian_fd, SIGKILL, NULL, 0);
	close(guardian_fd);
	take_over(guardian);
	return true;
}

bool standby_start(struct guardian *guardian)
{
	int guardian_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	pid_t child;

	guardian->standby_ns = clock_boot_ns() + NS_PER_S;
	if (guardian_fd < 0)
		return false;
	child = fork();
	if (child == 0) {
		close(guardian->timer_fd);
		return be_standby(guardian, guardian_fd);
	}
	close(guardian_fd);
	if (child < 0) {
		log_line(LOG_WARNING, "no standby can be started now");
		return false;
	}
	guardian->standby_pid = child;
	guardian->standby_fd = (int)syscall(SYS_pidfd_open, child, 0);
	return false;
}
