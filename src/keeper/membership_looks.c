/* See membership_looks.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/membership_looks.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "keeper/terminals.h"
#include "proc/cgroup.h"
#include "proc/cgroup_mount.h"

static struct watch *watch_of(struct membership *members)
{
	struct membership_looks *looks = (struct membership_looks *)members;

	looks->watch.progress = members->progress;
	return &looks->watch;
}

static const struct watch *const_watch_of(const struct membership *members)
{
	return &((const struct membership_looks *)members)->watch;
}

static bool begin_looks(struct membership *members)
{
	(void)members; /* a look finds the host's children whenever it comes */
	return true;
}

static bool refresh_members(struct membership *members, bool fully)
{
	return fully ? watch_look(watch_of(members), members->until_ns)
		     : watch_look_quickly(watch_of(members), members->until_ns);
}

static size_t count_members(const struct membership *members)
{
	return watch_count(const_watch_of(members));
}

static bool is_empty(struct membership *members)
{
	return watch_is_empty(watch_of(members), members->until_ns);
}

static bool host_runs(const struct membership *members)
{
	return watch_host_runs(const_watch_of(members));
}

static void host_moves(struct membership *members)
{
	watch_renew_host(watch_of(members));
}

static void signal_members(struct membership *members, int signal)
{
	watch_signal(watch_of(members), signal);
	watch_signal(watch_of(members), SIGCONT);
}

/* Without a fixpoint too: this comes again. */
static bool kill_members(struct membership *members)
{
	bool respawns;

	watch_stop_all(watch_of(members));
	watch_signal(watch_of(members), SIGKILL);
	respawns = watch_kill_respawning(watch_of(members), SIGKILL);
	watch_look(watch_of(members), 0);
	return respawns;
}

/* ---- The host -------------------------------------------------------------------------------------------- */

/* logind's scope for this one login; never the group in which this keeper stands itself. */
static bool find_scope(const struct watch *watch, char group[PATH_MAX])
{
	char own[PATH_MAX];

	return watch->host_is_login_service && watch_host_runs(watch) &&
	       process_control_group(watch->host.pid, group, PATH_MAX) && cgroup_is_session_scope(group) &&
	       process_control_group(getpid(), own, sizeof(own)) && strcmp(own, group) != 0;
}

/* Where that cannot be had, the members are killed one by one as well. */
static void kill_control_group(const struct watch *watch)
{
	static struct cgroup_mount mount;
	char group[PATH_MAX], path[2 * PATH_MAX];
	int fd;

	if (!find_scope(watch, group) || !cgroup_mount_find("/proc/self/mountinfo", group, cgroup_is_one, &mount) ||
	    !cgroup_mount_path(&mount, group, path, sizeof(path)))
		return;
	fd = cgroup_open(path);
	if (fd < 0)
		return;
	cgroup_kill(fd);
	close(fd);
}

/* Who is looked at is the host's child in either case. */
static void host_closes(struct membership *members)
{
	(void)members;
}

static void kill_host(struct membership *members)
{
	kill_control_group(watch_of(members));
	process_pidfd_signal(watch_of(members)->host_pidfd, SIGKILL);
}

/* ---- The rest -------------------------------------------------------------------------------------------- */

static bool each_member(const struct membership *members, bool (*each)(void *arg, const struct process *process),
			void *arg)
{
	const struct watch *watch = const_watch_of(members);

	for (size_t i = 0; i < watch_count(watch); i++)
		if (!each(arg, &watch_members(watch)[i]))
			return false;
	return true;
}

static void describe_members(const struct membership *members, char *text, size_t size)
{
	watch_describe(const_watch_of(members), text, size);
}

static void notify_members(struct membership *members, const char *tty, const char *line)
{
	const struct watch *watch = watch_of(members);
	struct terminals terminals;

	watch_look(watch_of(members), 0);
	terminals_init(&terminals, line);
	for (size_t i = 0; i < watch_count(watch); i++)
		terminals_tell(&terminals, &watch_members(watch)[i]);
	terminals_tell_tty(&terminals, tty);
}

static int event_fd(const struct membership *members)
{
	(void)members;
	return -1;
}

static void free_looks(struct membership *members)
{
	watch_free(watch_of(members));
}

bool membership_looks_init(struct membership_looks *looks, int host_pidfd, bool host_is_login_service,
			   const char *session)
{
	static const struct membership_ops ops = { .how = "watched by looking at all processes",
						   .begin = begin_looks,
						   .refresh = refresh_members,
						   .count = count_members,
						   .is_empty = is_empty,
						   .host_runs = host_runs,
						   .host_moves = host_moves,
						   .signal = signal_members,
						   .host_closes = host_closes,
						   .kill = kill_members,
						   .kill_host = kill_host,
						   .each = each_member,
						   .describe = describe_members,
						   .notify = notify_members,
						   .event_fd = event_fd,
						   .free = free_looks };

	looks->members = (struct membership){ .ops = &ops };
	return watch_init(&looks->watch, host_pidfd, host_is_login_service, session);
}
