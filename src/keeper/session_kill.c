/* See session_kill.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session_kill.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/session_host.h"

/* One that waits for a disk does not freeze, and is met at the next step; the others do, or have been killed by then. */
#define FREEZE_WITHIN_NS (100 * NS_PER_MS)
#define FROZEN_LOOK_MS 5
/* So long sudo's monitor outlives the others: it tells sudo how its command ended, and ends. */
#define SPARED_NS (100 * NS_PER_MS)

/* Who is signalled, and with what. */
struct shot {
	const struct session_group *session;
	struct progress *progress; /* may be NULL */
	const int *signals;        /* 0: no more */
	const char *group;         /* nobody outside of it is signalled */
	pid_t spared;              /* beside the host; 0: nobody */
	bool has_missed;           /* somebody could not be signalled now */
};

static bool signal_one(void *arg, pid_t pid)
{
	struct shot *shot = arg;

	progress_step(shot->progress);
	if (pid == shot->session->host || pid == shot->spared)
		return true;
	if (!cgroup_signal_member(pid, shot->group, shot->signals))
		shot->has_missed = shot->has_missed || errno != ESRCH;
	return true;
}

/* False where somebody was missed. */
static bool signal_all(const struct session_group *session, const int *signals, pid_t spared,
		       struct progress *progress)
{
	struct shot shot = { .session = session,
			     .progress = progress,
			     .signals = signals,
			     .group = session_group_place(session)->group,
			     .spared = spared };

	return cgroup_each(session->group, signal_one, &shot) && !shot.has_missed;
}

void session_kill_signal(const struct session_group *session, int signal, struct progress *progress)
{
	const int signals[] = { signal, SIGCONT, 0 };

	if (session->group >= 0)
		signal_all(session, signals, 0, progress);
}

struct monitor_search {
	pid_t host;
	struct process found; /* pid 0: nobody */
};

static bool find_monitor(void *arg, const struct process *process)
{
	struct monitor_search *search = arg;

	if (process_real_user(process->pid) != 0 || process_is_keeper(process->pid) ||
	    !process_has_program_of(process->pid, search->host))
		return true;
	search->found = *process;
	return false;
}

/* A direct child of the host's that is root's and runs the host's own program: sudo's, which waits for the command and
 * tells how it ended. */
static struct process monitor_to_spare(const struct session_group *session)
{
	struct monitor_search search = { .host = session->host };

	process_each_child(session->host, find_monitor, &search);
	return search.found;
}

static bool await_frozen(const struct session_group *session)
{
	struct pollfd polled = { .fd = session->events, .events = POLLPRI };
	struct cgroup_state state = { .is_frozen = false };

	if (cgroup_read_events(session->events, &state) && !state.is_frozen && poll(&polled, 1, FROZEN_LOOK_MS) > 0)
		cgroup_read_events(session->events, &state);
	return state.is_frozen;
}

/* Kills all but the host and SPARED.  Nothing is started while the group is frozen, so one reading of it then is
 * complete: true where there was one, and nobody else will run again. */
static bool kill_frozen(struct session_group *session, pid_t spared, struct progress *progress)
{
	static const int signals[] = { SIGKILL, 0 };
	int64_t until_ns = clock_monotonic_ns() + FREEZE_WITHIN_NS;
	bool is_frozen = false, is_complete;

	if (cgroup_freeze(session->group, true))
		do {
			signal_all(session, signals, spared, progress);
			is_frozen = await_frozen(session);
		} while (!is_frozen && clock_monotonic_ns() < until_ns);
	is_complete = signal_all(session, signals, spared, progress) && is_frozen;
	cgroup_freeze(session->group, false);
	return is_complete;
}

/* The host stays in the group with its session for as long as it has not closed it: it may itself be what goes on starting
 * others.  What it starts once all others are dead is its own, as a module's helper is that undoes a mount; it has until
 * session_kill_host(). */
static void sweep_around_host(struct session_group *session, struct progress *progress)
{
	struct session_places *shared = session->shared;
	int64_t now_ns = clock_monotonic_ns();

	if (!shared->is_swept) {
		shared->spared = monitor_to_spare(session);
		shared->spared_until_ns = now_ns + SPARED_NS;
		shared->is_swept = kill_frozen(session, shared->spared.pid, progress);
	} else if (shared->spared.pid > 0 && now_ns >= shared->spared_until_ns) {
		if (!process_runs(&shared->spared) || kill_frozen(session, 0, progress))
			shared->spared.pid = 0;
	}
}

/* Whom a move has not taken along, and none will where the group that it was for is gone. */
static void kill_left_behind(const struct session_group *session, struct progress *progress)
{
	static const int signals[] = { SIGKILL, 0 };
	const struct session_place *left = session_group_left_place(session);
	int fd = left && left->group[0] ? session_group_open_place(&session->mount, left) : -1;
	char group[PATH_MAX];
	bool host_is_there;

	if (fd < 0)
		return;
	host_is_there = session_host_read_group(session, group) && cgroup_is_within(group, left->group);
	if (host_is_there || !cgroup_kill(fd)) {
		struct shot shot = {
			.session = session, .progress = progress, .signals = signals, .group = left->group
		};
		cgroup_each(fd, signal_one, &shot);
	}
	close(fd);
}

void session_kill_members(struct session_group *session, struct progress *progress)
{
	session_host_follow(session);
	session->shared->is_ending = true;
	kill_left_behind(session, progress);
	if (!session_group_open(session) || session->is_gone)
		return;
	if (session_host_is_inside(session) || (!session->shared->host_has_left && session_host_runs(session))) {
		/* One that closes and could not be moved has nobody left who would kill it: what it starts is not told
		 * from what the session starts. */
		if (session->shared->host_closes)
			kill_frozen(session, 0, progress);
		else
			sweep_around_host(session, progress);
		return;
	}
	if (!cgroup_kill(session->group))
		kill_frozen(session, 0, progress);
	cgroup_freeze(session->group, false);
}

void session_kill_host(struct session_group *session, struct progress *progress)
{
	if (session_group_open(session) && !session->is_gone && !cgroup_kill(session->group))
		kill_frozen(session, 0, progress);
	process_pidfd_signal(session->host_pidfd, SIGKILL);
}
