/* See membership_cgroup.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/membership_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/description.h"
#include "keeper/progress.h"
#include "keeper/terminals.h"
#include "proc/process.h"

/* One that waits for a disk does not freeze, and is met at the next step; the others do, or have been killed by then. */
#define FREEZE_WITHIN_NS (100 * NS_PER_MS)
#define FROZEN_LOOK_MS 5
/* So long sudo's monitor outlives the others: it tells sudo how its command ended, and ends. */
#define SPARED_NS (100 * NS_PER_MS)

static struct membership_cgroup *cgroup_of(struct membership *members)
{
	return (struct membership_cgroup *)members;
}

static struct session_place *place_of(const struct membership_cgroup *cgroup)
{
	return &cgroup->shared->places[cgroup->shared->current & 1];
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- Groups by name -------------------------------------------------------------------------------------- */

static int open_group(const struct cgroup_mount *mount, const char *group)
{
	char path[2 * PATH_MAX];

	if (!cgroup_mount_path(mount, group, path, sizeof(path)))
		return -1;
	return cgroup_open(path);
}

static bool add_to(const struct cgroup_mount *mount, const char *group, pid_t pid)
{
	int fd = open_group(mount, group);
	bool is_added = fd >= 0 && cgroup_add(fd, pid);

	close_fd(&fd);
	return is_added;
}

static bool is_roots(const struct membership_cgroup *cgroup, const char *group)
{
	int fd = open_group(&cgroup->mount, group);
	bool is_one = fd >= 0 && cgroup_is_roots(fd);

	close_fd(&fd);
	return is_one;
}

static bool is_roots_up_to(const struct membership_cgroup *cgroup, char *group, size_t size)
{
	char next = group[size];
	bool is_one;

	group[size] = '\0';
	is_one = is_roots(cgroup, group);
	group[size] = next;
	return is_one;
}

/* Cuts GROUP off to the lowest part that is for root alone to fill, with all above it: out of what systemd hands to
 * its user that user could move what runs there. */
static bool climb_to_roots_own(const struct membership_cgroup *cgroup, char *group)
{
	size_t end = strcmp(cgroup->mount.root, "/") == 0 ? 0 : strlen(cgroup->mount.root);

	if (!is_roots(cgroup, cgroup->mount.root))
		return false;
	while (group[end] == '/' && group[end + 1] != '\0') {
		size_t next = end + 1 + strcspn(group + end + 1, "/");
		if (!is_roots_up_to(cgroup, group, next))
			break;
		end = next;
	}
	group[end > 0 ? end : 1] = '\0';
	return true;
}

/* logind's name for a login's own. */
static bool is_session_scope(const char *group)
{
	const char *name = strrchr(group, '/') + 1;
	size_t size = strlen(name);

	return strncmp(name, "session-", strlen("session-")) == 0 && size > strlen(".scope") &&
	       strcmp(name + size - strlen(".scope"), ".scope") == 0;
}

/* ---- Where the session is -------------------------------------------------------------------------------- */

static int make_group(const struct membership_cgroup *cgroup, const char *parent)
{
	int fd = open_group(&cgroup->mount, parent), group = -1;

	if (fd >= 0)
		group = cgroup_make(fd, cgroup->name);
	close_fd(&fd);
	return group;
}

/* True where it is gone, or not ours to remove. */
static bool remove_group(const struct membership_cgroup *cgroup, const struct session_place *place)
{
	char path[2 * PATH_MAX];

	if (place->is_logind_scope || !place->group[0])
		return true;
	return cgroup_mount_path(&cgroup->mount, place->group, path, sizeof(path)) && cgroup_remove_path(path);
}

/* The session is in GROUP, an open one, from now on. */
static void settle_session(struct membership_cgroup *cgroup, int group, const struct session_place *place)
{
	cgroup->shared->places[(cgroup->shared->current + 1) & 1] = *place;
	cgroup->opened = ++cgroup->shared->current;
	close_fd(&cgroup->group);
	close_fd(&cgroup->events);
	cgroup->group = group;
	cgroup->events = cgroup_open_events(group);
	cgroup->is_gone = false;
}

/* Makes a group for a host that stands in ORIGIN. */
static bool settle_below(struct membership_cgroup *cgroup, const char *origin)
{
	struct session_place place = { .is_logind_scope = false };
	char parent[PATH_MAX];
	int group, length;

	snprintf(parent, sizeof(parent), "%s", origin);
	snprintf(place.origin, sizeof(place.origin), "%s", origin);
	if (!climb_to_roots_own(cgroup, parent))
		return false;
	length = snprintf(place.group, sizeof(place.group), "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
			  cgroup->name);
	if (length < 0 || (size_t)length >= sizeof(place.group))
		return false;
	/* First, so that no group is ever unknown. */
	group_record_write(&cgroup->record, GROUP_IS_ENDED, place.group, place_of(cgroup)->group);
	group = make_group(cgroup, parent);
	if (group < 0)
		return false;
	settle_session(cgroup, group, &place);
	return true;
}

/* A standby may have been started before the last move.  False where it cannot be told now who is there. */
static bool open_place(struct membership_cgroup *cgroup)
{
	if (cgroup->opened != cgroup->shared->current) {
		close_fd(&cgroup->group);
		close_fd(&cgroup->events);
		cgroup->is_gone = false;
		cgroup->opened = cgroup->shared->current;
	}
	if (cgroup->is_gone)
		return true;
	if (cgroup->group < 0)
		cgroup->group = open_group(&cgroup->mount, place_of(cgroup)->group);
	if (cgroup->group >= 0 && cgroup->events < 0)
		cgroup->events = cgroup_open_events(cgroup->group);
	cgroup->is_gone = cgroup->events < 0 && (errno == ENOENT || errno == ENODEV);
	return cgroup->is_gone || cgroup->events >= 0;
}

static bool read_events(struct membership_cgroup *cgroup, struct cgroup_state *state)
{
	*state = (struct cgroup_state){ .is_populated = !cgroup->is_gone };
	if (cgroup->is_gone || cgroup_read_events(cgroup->events, state))
		return true;
	cgroup->is_gone = errno == ENODEV;
	if (cgroup->is_gone)
		close_fd(&cgroup->events);
	state->is_populated = !cgroup->is_gone;
	return cgroup->is_gone;
}

/* ---- The host -------------------------------------------------------------------------------------------- */

static bool host_runs(const struct membership *members)
{
	const struct membership_cgroup *cgroup = (const struct membership_cgroup *)members;

	return cgroup->host > 0 && !process_pidfd_ended(cgroup->host_pidfd);
}

/* Its group, read before its pidfd is asked again: so it is the host's, not that of one that came after it. */
static bool read_hosts_group(const struct membership_cgroup *cgroup, char group[PATH_MAX])
{
	return cgroup->host > 0 && process_control_group(cgroup->host, group, PATH_MAX) &&
	       host_runs(&cgroup->members);
}

static bool enter_group(const struct membership_cgroup *cgroup)
{
	if (!host_runs(&cgroup->members))
		return true; /* it starts nothing any more, and its id may be another's */
	if (cgroup->group >= 0 && cgroup_add(cgroup->group, cgroup->host))
		return true;
	return !host_runs(&cgroup->members);
}

static bool add_to_group(void *arg, pid_t pid)
{
	struct membership_cgroup *cgroup = arg;

	cgroup_add(cgroup->group, pid);
	return true;
}

/* Of another session, that of a host which the person started before this one: its own keepers look for it there. */
static bool is_anothers(const struct membership_cgroup *cgroup, pid_t pid)
{
	const struct session_place *place = place_of(cgroup);
	char group[PATH_MAX], *name;

	if (!process_control_group(pid, group, sizeof(group)) || cgroup_is_within(group, place->group))
		return false;
	name = strrchr(group, '/');
	return strncmp(name + 1, MEMBERSHIP_GROUP_PREFIX, strlen(MEMBERSHIP_GROUP_PREFIX)) == 0 &&
	       strcmp(group, place->origin) != 0 && strcmp(name + 1, cgroup->name) != 0;
}

/* With its own children; whom those start from then on is born there. */
static bool add_child(void *arg, const struct process *process)
{
	if (process_is_keeper(process->pid) || is_anothers(arg, process->pid))
		return true;
	add_to_group(arg, process->pid);
	return process_each_child(process->pid, add_child, arg);
}

/* What a host has started before it opens the session belongs as well. */
static bool enclose_host(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);

	if (!enter_group(cgroup))
		return false;
	if (host_runs(members))
		process_each_child(cgroup->host, add_child, cgroup);
	return true;
}

/* Everything that the host started on its way, too. */
static void take_along(struct membership_cgroup *cgroup, const struct session_place *before)
{
	int fd = open_group(&cgroup->mount, before->group);

	if (fd >= 0)
		cgroup_each(fd, add_to_group, cgroup);
	close_fd(&fd);
	process_each_child(cgroup->host, add_child, cgroup);
	if (remove_group(cgroup, before))
		group_record_write(&cgroup->record, GROUP_IS_ENDED, place_of(cgroup)->group, "");
}

static bool settle_in_scope(struct membership_cgroup *cgroup, const char *group, const char *origin)
{
	struct session_place place = { .is_logind_scope = true };
	int fd = open_group(&cgroup->mount, group);

	if (fd < 0)
		return false;
	snprintf(place.group, sizeof(place.group), "%s", group);
	snprintf(place.origin, sizeof(place.origin), "%s", origin);
	group_record_write(&cgroup->record, GROUP_IS_ENDED, place.group, place_of(cgroup)->group);
	settle_session(cgroup, fd, &place);
	return true;
}

/* Only root can have moved the host: pam_systemd, most often.  Back to where it came from, or above that, it is moved
 * when it closes: by another guard of the same host, too. */
static void follow_host(struct membership_cgroup *cgroup)
{
	struct session_place before = *place_of(cgroup);
	char group[PATH_MAX];

	if (cgroup->shared->host_has_left || !read_hosts_group(cgroup, group) ||
	    cgroup_is_within(group, before.group) || cgroup_is_within(before.origin, group))
		return;
	if (is_session_scope(group)) {
		if (settle_in_scope(cgroup, group, before.origin))
			take_along(cgroup, &before);
	} else if (settle_below(cgroup, group) && enter_group(cgroup)) {
		take_along(cgroup, &before);
	}
}

static void host_closes(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	const struct session_place *place;
	char group[PATH_MAX];

	follow_host(cgroup); /* what it has left behind is counted where it is */
	place = place_of(cgroup);
	/* Another guard of the same host may have moved it already. */
	if (!cgroup->shared->host_has_left && read_hosts_group(cgroup, group))
		cgroup->shared->host_has_left = !cgroup_is_within(group, place->group) ||
						add_to(&cgroup->mount, place->origin, cgroup->host);
}

/* ---- Who is there ---------------------------------------------------------------------------------------- */

static bool count_one(void *arg, pid_t pid)
{
	struct membership_cgroup *cgroup = arg;

	cgroup->count += pid != cgroup->host;
	return true;
}

static bool refresh_members(struct membership *members, bool fully)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	struct cgroup_state state;

	(void)fully; /* there is nobody whom this does not find */
	follow_host(cgroup);
	if (group_record_is_missing(&cgroup->record))
		group_record_write(&cgroup->record, GROUP_IS_ENDED, place_of(cgroup)->group, "");
	/* Reading it is what makes event_fd() quiet again. */
	if (!open_place(cgroup) || !read_events(cgroup, &state))
		return false;
	cgroup->count = 0;
	return cgroup->is_gone || cgroup_each(cgroup->group, count_one, cgroup);
}

static size_t count_members(const struct membership *members)
{
	return ((const struct membership_cgroup *)members)->count;
}

static bool is_empty(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	struct cgroup_state state;

	if (!open_place(cgroup) || !read_events(cgroup, &state))
		return false;
	return !state.is_populated || (refresh_members(members, true) && cgroup->count == 0);
}

static int event_fd(const struct membership *members)
{
	return ((const struct membership_cgroup *)members)->events;
}

/* ---- Ending ---------------------------------------------------------------------------------------------- */

/* Who is signalled, and with what. */
struct shot {
	const struct membership_cgroup *cgroup;
	const int *signals; /* 0: no more */
	pid_t spared;       /* beside the host; 0: nobody */
	bool has_missed;    /* somebody could not be signalled now */
};

static bool signal_one(void *arg, pid_t pid)
{
	struct shot *shot = arg;

	progress_step(shot->cgroup->members.progress);
	if (pid == shot->cgroup->host || pid == shot->spared)
		return true;
	if (!cgroup_signal_member(pid, place_of(shot->cgroup)->group, shot->signals))
		shot->has_missed = shot->has_missed || errno != ESRCH;
	return true;
}

/* False where somebody was missed. */
static bool signal_all(const struct membership_cgroup *cgroup, const int *signals, pid_t spared)
{
	struct shot shot = { .cgroup = cgroup, .signals = signals, .spared = spared };

	return cgroup_each(cgroup->group, signal_one, &shot) && !shot.has_missed;
}

static void signal_members(struct membership *members, int signal)
{
	const int signals[] = { signal, SIGCONT, 0 };

	if (cgroup_of(members)->group >= 0)
		signal_all(cgroup_of(members), signals, 0);
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
static struct process monitor_to_spare(const struct membership_cgroup *cgroup)
{
	struct monitor_search search = { .host = cgroup->host };

	process_each_child(cgroup->host, find_monitor, &search);
	return search.found;
}

static bool await_frozen(const struct membership_cgroup *cgroup)
{
	struct pollfd polled = { .fd = cgroup->events, .events = POLLPRI };
	struct cgroup_state state = { .is_frozen = false };

	if (cgroup_read_events(cgroup->events, &state) && !state.is_frozen && poll(&polled, 1, FROZEN_LOOK_MS) > 0)
		cgroup_read_events(cgroup->events, &state);
	return state.is_frozen;
}

/* Kills all but the host and SPARED.  Nothing is started while the group is frozen, so one reading of it then is
 * complete: true where there was one, and nobody else will run again. */
static bool kill_frozen(struct membership_cgroup *cgroup, pid_t spared)
{
	static const int signals[] = { SIGKILL, 0 };
	int64_t until_ns = clock_monotonic_ns() + FREEZE_WITHIN_NS;
	bool is_frozen = false, is_complete;

	if (cgroup_freeze(cgroup->group, true))
		do {
			signal_all(cgroup, signals, spared);
			is_frozen = await_frozen(cgroup);
		} while (!is_frozen && clock_monotonic_ns() < until_ns);
	is_complete = signal_all(cgroup, signals, spared) && is_frozen;
	cgroup_freeze(cgroup->group, false);
	return is_complete;
}

/* The host stays in the group with its session for as long as it has not closed it: it may itself be what goes on starting
 * others.  What it starts once all others are dead is its own, as a module's helper is that undoes a mount; it has until
 * kill_host(). */
static void sweep_around_host(struct membership_cgroup *cgroup)
{
	struct session_places *shared = cgroup->shared;
	int64_t now_ns = clock_monotonic_ns();

	if (!shared->is_swept) {
		shared->spared = monitor_to_spare(cgroup);
		shared->spared_until_ns = now_ns + SPARED_NS;
		shared->is_swept = kill_frozen(cgroup, shared->spared.pid);
	} else if (shared->spared.pid > 0 && now_ns >= shared->spared_until_ns) {
		if (!process_runs(&shared->spared) || kill_frozen(cgroup, 0))
			shared->spared.pid = 0;
	}
}

static bool kill_members(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);

	follow_host(cgroup);
	cgroup->shared->is_ending = true;
	if (!open_place(cgroup) || cgroup->is_gone)
		return false;
	if (!cgroup->shared->host_has_left && host_runs(members)) {
		sweep_around_host(cgroup);
		return false;
	}
	if (!cgroup_kill(cgroup->group))
		kill_frozen(cgroup, 0);
	cgroup_freeze(cgroup->group, false);
	return false;
}

static void kill_host(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);

	if (open_place(cgroup) && !cgroup->is_gone && !cgroup_kill(cgroup->group))
		kill_frozen(cgroup, 0);
	process_pidfd_signal(cgroup->host_pidfd, SIGKILL);
}

/* ---- Telling --------------------------------------------------------------------------------------------- */

struct first {
	const struct membership_cgroup *cgroup;
	struct process processes[DESCRIPTION_MAX];
	size_t known, all;
};

static bool note_first(void *arg, pid_t pid)
{
	struct first *first = arg;

	if (pid == first->cgroup->host)
		return true;
	first->all++;
	if (first->known < DESCRIPTION_MAX && process_read(pid, &first->processes[first->known]))
		first->known++;
	return true;
}

static void describe_members(const struct membership *members, char *text, size_t size)
{
	struct first first = { .cgroup = (const struct membership_cgroup *)members };

	if (first.cgroup->group >= 0)
		cgroup_each(first.cgroup->group, note_first, &first);
	describe_processes(first.processes, first.known, first.all, text, size);
}

static bool tell_one(void *arg, pid_t pid)
{
	struct process process;

	if (process_read(pid, &process))
		terminals_tell(arg, &process);
	return true;
}

static void notify_members(struct membership *members, const char *tty, const char *line)
{
	struct terminals terminals;

	members->ops->refresh(members, true);
	terminals_init(&terminals, line);
	if (cgroup_of(members)->group >= 0)
		cgroup_each(cgroup_of(members)->group, tell_one, &terminals);
	terminals_tell_tty(&terminals, tty);
}

/* ---- Beginning and end ----------------------------------------------------------------------------------- */

/* With processes left in it (leftovers = release) a group stays until somebody who sweeps finds it empty.  One whose
 * processes could not be ended is tried again then. */
static void leave_group(struct membership_cgroup *cgroup)
{
	const struct session_place *place = place_of(cgroup);

	if (cgroup->shared->is_ending && !is_empty(&cgroup->members))
		group_record_close(&cgroup->record);
	else if (remove_group(cgroup, place))
		group_record_remove(&cgroup->record);
	else
		group_record_write(&cgroup->record, GROUP_IS_REMOVED, place->group, "");
}

static void free_cgroup(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	char group[PATH_MAX];

	if (!cgroup->shared)
		return;
	open_place(cgroup);
	if (read_hosts_group(cgroup, group) && cgroup_is_within(group, place_of(cgroup)->group))
		add_to(&cgroup->mount, place_of(cgroup)->origin, cgroup->host);
	if (cgroup->group >= 0)
		cgroup_freeze(cgroup->group, false);
	leave_group(cgroup);
	group_record_close(&cgroup->record);
	close_fd(&cgroup->group);
	close_fd(&cgroup->events);
	munmap(cgroup->shared, sizeof(*cgroup->shared));
	cgroup->shared = NULL;
}

bool membership_cgroup_leave(const struct cgroup_mount *mount)
{
	char group[PATH_MAX], *inside;

	if (!add_to(mount, "/init.scope", getpid()))
		add_to(mount, "/", getpid());
	if (!process_control_group(getpid(), group, sizeof(group)))
		return false;
	inside = strstr(group, "/" MEMBERSHIP_GROUP_PREFIX);
	if (!inside)
		return true;
	inside[inside == group] = '\0';
	return add_to(mount, group, getpid());
}

static bool refuse_cgroup(struct membership_cgroup *cgroup, char *why, size_t why_size, const char *sentence)
{
	free_cgroup(&cgroup->members);
	snprintf(why, why_size, "%s", sentence);
	return false;
}

bool membership_cgroup_init(struct membership_cgroup *cgroup, int host_pidfd, const char *session, char *why,
			    size_t why_size)
{
	static const struct membership_ops ops = { .how = "in a control group",
						   .begin = enclose_host,
						   .refresh = refresh_members,
						   .count = count_members,
						   .is_empty = is_empty,
						   .host_runs = host_runs,
						   .signal = signal_members,
						   .host_closes = host_closes,
						   .kill = kill_members,
						   .kill_host = kill_host,
						   .describe = describe_members,
						   .notify = notify_members,
						   .event_fd = event_fd,
						   .free = free_cgroup };
	char origin[PATH_MAX];

	*cgroup = (struct membership_cgroup){ .members = { .ops = &ops },
					      .host_pidfd = host_pidfd,
					      .host = process_of_pidfd(host_pidfd),
					      .group = -1,
					      .events = -1 };
	snprintf(cgroup->name, sizeof(cgroup->name), MEMBERSHIP_GROUP_PREFIX "%s", session);
	group_record_init(&cgroup->record, session);
	if (!read_hosts_group(cgroup, origin) ||
	    !cgroup_mount_find("/proc/self/mountinfo", origin, cgroup_is_one, &cgroup->mount))
		return refuse_cgroup(cgroup, why, why_size, "no writable cgroup2 is mounted");
	cgroup->shared =
		mmap(NULL, sizeof(*cgroup->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cgroup->shared == MAP_FAILED) {
		cgroup->shared = NULL;
		return refuse_cgroup(cgroup, why, why_size, "out of memory");
	}
	if (!membership_cgroup_leave(&cgroup->mount))
		return refuse_cgroup(cgroup, why, why_size,
				     "the keeper cannot leave the control group of another session");
	if (!settle_below(cgroup, origin))
		return refuse_cgroup(cgroup, why, why_size, "no control group can be made");
	return true;
}
