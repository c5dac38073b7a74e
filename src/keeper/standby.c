/* See standby.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/standby.h"

#include <signal.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/runtime.h"
#include "keeper/title.h"
#include "proc/process.h"

/* A running guardian begins before this. */
#define BEGUN_LATE_NS (300 * NS_PER_MS)
#define ALARM_AGAIN_MS 100
/* A guardian that takes over after the deadline kills at once, and has given up by then. */
#define GIVEN_UP_NS (3 * NS_PER_S)

/* By when a guardian that runs has done the next thing.  It is looked at again then: the lease has been renewed in
 * the meantime, most often.  Where no session is known to be open, a stopped guardian may not have heard of it. */
static int64_t deadline_of_guardian_ns(const struct guardian *guardian)
{
	const struct guardian_life *life = guardian->life;
	int64_t end_ns = guardian->guard.end_ms * NS_PER_MS;

	if (life->is_gone)
		return NEVER;
	if (guardian->guard.only_warns && life->is_opened && !life->is_ending)
		return NEVER;
	/* Its own SIGKILL comes a third of the end before it, that of a host which does not close a sixth. */
	return life->deadline_boot_ns - (life->is_ending ? end_ns / 8 : end_ns - BEGUN_LATE_NS);
}

/* A guardian that took over when it was late already is not late for that: else each would be killed by the next before
 * it had ended anything. */
static int64_t patience_until_ns(const struct guardian *guardian)
{
	int64_t now_ns = guardian_now_ns(guardian), deadline_ns = guardian->life->deadline_boot_ns;

	if (deadline_of_guardian_ns(guardian) > now_ns)
		return now_ns;
	return deadline_ns > now_ns ? deadline_ns : now_ns + GIVEN_UP_NS;
}

/* Sleeps until the guardian is needed; false where it has ended in order. */
static bool wait_for_need(const struct guardian *guardian, int guardian_fd)
{
	struct world *world = guardian->world;
	struct pollfd polled[] = { { .fd = guardian_fd, .events = POLLIN },
				   { .fd = guardian->timer_fd, .events = POLLIN } };
	int64_t patience_ns = patience_until_ns(guardian);

	for (;;) {
		uint64_t expirations;
		int64_t limit_ns = deadline_of_guardian_ns(guardian);
		int timeout_ms = -1;
		if (limit_ns < patience_ns)
			limit_ns = patience_ns;
		if (guardian_now_ns(guardian) >= limit_ns)
			return true;
		if (limit_ns != NEVER && !world->ops->set_timer(world, guardian->timer_fd, limit_ns))
			timeout_ms = ALARM_AGAIN_MS;
		if (world->ops->poll(world, polled, 2, timeout_ms) < 0) {
			polled[0].revents = polled[1].revents = 0;
			poll(NULL, 0, ALARM_AGAIN_MS);
			poll(polled, 1, 0);
		}
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

static void close_lease_clients(struct guardian *guardian)
{
	while (guardian->lease_client_count > 0)
		close(guardian->lease_clients[--guardian->lease_client_count].fd);
}

/* In the copy. */
static void be_standby(struct guardian *guardian, int guardian_fd)
{
	set_title(guardian, "standby");
	guardian->standby_pid = 0;
	guardian->standby_fd = -1;
	if (guardian->timer_fd >= 0)
		close(guardian->timer_fd);
	guardian->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK); /* or none: it polls */
	close_lease_clients(guardian); /* those are the guardian's own */
	if (!wait_for_need(guardian, guardian_fd))
		forked_exit(0);
	/* One alone may be in charge.  A stopped one is killed without having run again. */
	process_pidfd_signal(guardian_fd, SIGKILL);
	close(guardian_fd);
	guardian->is_standby = true;
	set_title(guardian, "guardian");
}

enum standby_result standby_start(struct guardian *guardian)
{
	int pidfd = -1;
	pid_t child = guardian->world->ops->fork(guardian->world, &pidfd);

	if (child < 0)
		return STANDBY_IMPOSSIBLE;
	if (child == 0) {
		be_standby(guardian, pidfd);
		return STANDBY_TAKES_OVER;
	}
	guardian->standby_pid = child;
	guardian->standby_fd = pidfd;
	return STANDBY_STARTED;
}
