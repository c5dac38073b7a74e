/* See session_host.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session_host.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Each meets whom those before it have missed; what is left then, the next look takes along. */
#define PASSES_MAX 8

bool session_host_runs(const struct session_group *session)
{
	return session->host > 0 && !process_pidfd_ended(session->host_pidfd);
}

void session_host_renew(struct session_group *session)
{
	session->host = process_of_pidfd(session->host_pidfd);
}

/* Its group, read before its pidfd is asked again: so it is the host's, not that of one that came after it. */
bool session_host_read_group(const struct session_group *session, char group[PATH_MAX])
{
	return session->host > 0 && process_control_group(session->host, group, PATH_MAX) &&
	       session_host_runs(session);
}

bool session_host_is_inside(const struct session_group *session)
{
	char group[PATH_MAX];

	return session_host_read_group(session, group) &&
	       cgroup_is_within(group, session_group_place(session)->group);
}

static bool enter_group(const struct session_group *session, int group)
{
	if (!session_host_runs(session))
		return true; /* it starts nothing any more, and its id may be another's */
	return cgroup_add(group, session->host) || !session_host_runs(session);
}

static bool add_to_group(void *arg, pid_t pid)
{
	struct session_group *session = arg;

	cgroup_add(session->group, pid);
	return true;
}

/* Cuts GROUP off to the lowest session's group in it.  A user can give that name to groups of his own. */
static bool cut_to_session(const struct session_group *session, char *group)
{
	char *name, *next;

	for (;;) {
		name = NULL;
		for (next = group; (next = strstr(next, "/" SESSION_GROUP_PREFIX)); next++)
			name = next;
		if (!name)
			return false;
		name[1 + strcspn(name + 1, "/")] = '\0';
		if (session_group_is_roots(session, group))
			return true;
		*name = '\0';
	}
}

bool session_host_is_anothers(const struct session_group *session, pid_t pid)
{
	const struct session_place *place = session_group_place(session);
	char group[PATH_MAX];

	return process_control_group(pid, group, sizeof(group)) && !cgroup_is_within(group, place->group) &&
	       cut_to_session(session, group) && !cgroup_is_within(place->origin, group) &&
	       strcmp(strrchr(group, '/') + 1, session->name) != 0;
}

/* With its own children; whom those start from then on is born there. */
static bool add_child(void *arg, const struct process *process)
{
	if (process_is_keeper(process->pid) || session_host_is_anothers(arg, process->pid))
		return true;
	add_to_group(arg, process->pid);
	return process_each_child(process->pid, add_child, arg);
}

bool session_host_enclose(struct session_group *session)
{
	if (session->group < 0 || !enter_group(session, session->group))
		return false;
	if (session_host_runs(session))
		process_each_child(session->host, add_child, session);
	return true;
}

/* Everything that the host started on its way, too.  Whoever is started meanwhile the next pass finds. */
static void take_along(struct session_group *session)
{
	const struct session_place *before = session_group_left_place(session);
	int fd = before->group[0] ? session_group_open_place(&session->mount, before) : -1;
	bool is_left = fd >= 0 ? cgroup_is_populated(fd) : before->group[0] && errno != ENOENT && errno != ENODEV;

	for (int pass = 0; pass < PASSES_MAX && fd >= 0 && is_left && session->group >= 0; pass++) {
		cgroup_each(fd, add_to_group, session);
		is_left = cgroup_is_populated(fd);
	}
	if (fd >= 0)
		close(fd);
	if (session->group < 0 && !session->is_gone)
		return;
	if (session->group >= 0 && session_host_runs(session))
		process_each_child(session->host, add_child, session);
	if (!is_left)
		session_group_arrive(session);
}

/* Keepers that were killed in the middle of a move may have left the host in the group that they made for it. */
static void cut_own_name(const struct session_group *session, char *group)
{
	char *name = strrchr(group, '/');

	if (strcmp(name + 1, session->name) == 0)
		name[name == group] = '\0';
}

/* The host is in its group before the session is said to be there. */
static void move_session(struct session_group *session, char *group, const char *origin)
{
	bool is_scope = cgroup_is_session_scope(group);
	struct session_place place;
	int fd;

	cut_own_name(session, group);
	fd = is_scope ? session_group_take_scope(session, group, origin, &place)
		      : session_group_make(session, group, &place);
	if (fd < 0)
		return;
	if (!is_scope && !enter_group(session, fd)) {
		close(fd);
		session_group_remove(session, &place);
		return;
	}
	session_group_settle(session, fd, &place);
	take_along(session);
}

bool session_host_follow(struct session_group *session)
{
	struct session_place before;
	char group[PATH_MAX];

	session_place_copy(&before, session_group_place(session));
	if (session_group_left_place(session)) {
		session_group_open(session);
		take_along(session);
	} else if (session->shared->host_has_left || !session_host_read_group(session, group) ||
		   cgroup_is_within(group, before.group)) {
		/* It is where it should be. */
	} else if (!session_group_is_roots(session, group)) {
		if (session_group_open(session))
			session_host_enclose(session);
	} else if (!cgroup_is_within(before.origin, group)) {
		move_session(session, group, before.origin);
	}
	return !session_group_left_place(session);
}

void session_host_let_go(struct session_group *session)
{
	const struct session_place *place;
	char group[PATH_MAX];

	session->shared->host_closes = true;
	session_host_follow(session); /* what it has left behind is counted where it is */
	place = session_group_place(session);
	/* Another guard of the same host may have moved it already. */
	if (!session->shared->host_has_left && session_host_read_group(session, group))
		session->shared->host_has_left =
			!cgroup_is_within(group, place->group) ||
			session_group_add_near(&session->mount, place->origin, session->host);
}

void session_host_put_back(const struct session_group *session)
{
	if (session_host_is_inside(session))
		session_group_add_near(&session->mount, session_group_place(session)->origin, session->host);
}
