/* See standby.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/standby.h"

#include <signal.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/runtime.h"
#include "keeper/spare_memory.h"
#include "keeper/title.h"
#include "proc/process.h"

/* A guardian that runs has done something within this part of the end, or this time. */
#define STALLS_PER_END 4
#define STALLED_MIN_NS (250 * NS_PER_MS)
#define STALLED_MAX_NS (500 * NS_PER_MS)
/* Past the deadline what cannot be killed is looked at more rarely. */
#define STALLED_LATE_NS (2 * NS_PER_S)
#define ALARM_AGAIN_MS 100

static int64_t stalled_ns(const struct guardian *guardian)
{
	int64_t part_ns = guardian->guard.end_ms * NS_PER_MS / STALLS_PER_END;

	if (guardian_now_ns(guardian) >= guardian->life->deadline_boot_ns)
		return STALLED_LATE_NS;
	if (part_ns < STALLED_MIN_NS)
		return STALLED_MIN_NS;
	return part_ns < STALLED_MAX_NS ? part_ns : STALLED_MAX_NS;
}

/* From when a guardian that runs has something to do all the time.  It is looked at again then: the lease has been
 * renewed in the meantime, most often.  Where no session is known to be open, a stopped guardian may not have heard of
 * it. */
static int64_t watched_from_ns(const struct guardian *guardian)
{
	const struct guardian_life *life = guardian->life;
	int64_t end_ns = guardian->guard.end_ms * NS_PER_MS;

	if (life->is_gone)
		return NEVER;
	if (guardian->guard.only_warns && life->is_opened && !life->is_ending)
		return NEVER;
	return life->deadline_boot_ns - (life->is_ending ? end_ns / 2 : end_ns);
}

/* STEPS is what it had done some time ago.  However long it takes to kill, one that kills is left alone: each that
 * takes over has to begin anew. */
static bool is_stalled(const struct guardian *guardian, uint64_t steps)
{
	int64_t now_ns = guardian_now_ns(guardian), from_ns = watched_from_ns(guardian);

	if (from_ns > now_ns)
		return false;
	return guardian->progress->steps == steps ||
	       (!guardian->life->is_ending && now_ns >= guardian->life->deadline_boot_ns);
}

/* True where the guardian has ended. */
static bool sleep_until(const struct guardian *guardian, int guardian_fd, int64_t until_ns)
{
	struct world *world = guardian->world;
	struct pollfd polled[] = { { .fd = guardian_fd, .events = POLLIN },
				   { .fd = guardian->timer_fd, .events = POLLIN } };

	while (guardian_now_ns(guardian) < until_ns) {
		uint64_t expirations;
		int timeout_ms = -1;
		if (until_ns != NEVER && !world->ops->set_timer(world, guardian->timer_fd, until_ns))
			timeout_ms = ALARM_AGAIN_MS;
		if (world->ops->poll(world, polled, 2, timeout_ms) < 0) {
			polled[0].revents = polled[1].revents = 0;
			clock_pause_ns(ALARM_AGAIN_MS * NS_PER_MS);
			poll(polled, 1, 0);
		}
		if (polled[0].revents)
			return true;
		if (polled[1].revents && read(guardian->timer_fd, &expirations, sizeof(expirations)) < 0)
			continue;
	}
	return false;
}

/* Sleeps until the guardian is needed; false where it has ended in order. */
static bool wait_for_need(const struct guardian *guardian, int guardian_fd)
{
	for (;;) {
		int64_t now_ns = guardian_now_ns(guardian), from_ns = watched_from_ns(guardian);
		bool is_watched = from_ns <= now_ns;
		uint64_t steps = guardian->progress->steps;
		if (sleep_until(guardian, guardian_fd, is_watched ? now_ns + stalled_ns(guardian) : from_ns))
			return !guardian->life->is_over && !guardian->life->is_gone;
		if (is_watched && is_stalled(guardian, steps))
			return true;
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
	spare_memory_trim_stack();
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
