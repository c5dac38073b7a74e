/* See session_host.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session_host.h"

#include <string.h>
#include <unistd.h>

bool session_host_runs(const struct session_group *session)
{
	return session->host > 0 && !process_pidfd_ended(session->host_pidfd);
}

/* Its group, read before its pidfd is asked again: so it is the host's, not that of one that came after it. */
bool session_host_read_group(const struct session_group *session, char group[PATH_MAX])
{
	return session->host > 0 && process_control_group(session->host, group, PATH_MAX) &&
	       session_host_runs(session);
}

static bool enter_group(const struct session_group *session)
{
	if (!session_host_runs(session))
		return true; /* it starts nothing any more, and its id may be another's */
	if (session->group >= 0 && cgroup_add(session->group, session->host))
		return true;
	return !session_host_runs(session);
}

static bool add_to_group(void *arg, pid_t pid)
{
	struct session_group *session = arg;

	cgroup_add(session->group, pid);
	return true;
}

/* Of another session, that of a host which the person started before this one: its own keepers look for it there. */
static bool is_anothers(const struct session_group *session, pid_t pid)
{
	const struct session_place *place = session_group_place(session);
	char group[PATH_MAX], *name;

	if (!process_control_group(pid, group, sizeof(group)) || cgroup_is_within(group, place->group))
		return false;
	name = strrchr(group, '/');
	return strncmp(name + 1, SESSION_GROUP_PREFIX, strlen(SESSION_GROUP_PREFIX)) == 0 &&
	       strcmp(group, place->origin) != 0 && strcmp(name + 1, session->name) != 0;
}

/* With its own children; whom those start from then on is born there. */
static bool add_child(void *arg, const struct process *process)
{
	if (process_is_keeper(process->pid) || is_anothers(arg, process->pid))
		return true;
	add_to_group(arg, process->pid);
	return process_each_child(process->pid, add_child, arg);
}

bool session_host_enclose(struct session_group *session)
{
	if (!enter_group(session))
		return false;
	if (session_host_runs(session))
		process_each_child(session->host, add_child, session);
	return true;
}

/* Everything that the host started on its way, too. */
static void take_along(struct session_group *session, const struct session_place *before)
{
	int fd = session_group_open_named(&session->mount, before->group);

	if (fd >= 0)
		cgroup_each(fd, add_to_group, session);
	if (fd >= 0)
		close(fd);
	process_each_child(session->host, add_child, session);
	if (session_group_remove(session, before))
		group_record_write(&session->record, GROUP_IS_ENDED, session_group_place(session)->group, "");
}

/* logind's name for a login's own. */
static bool is_session_scope(const char *group)
{
	const char *name = strrchr(group, '/') + 1;
	size_t size = strlen(name);

	return strncmp(name, "session-", strlen("session-")) == 0 && size > strlen(".scope") &&
	       strcmp(name + size - strlen(".scope"), ".scope") == 0;
}

void session_host_follow(struct session_group *session)
{
	struct session_place before = *session_group_place(session);
	char group[PATH_MAX];

	if (session->shared->host_has_left || !session_host_read_group(session, group) ||
	    cgroup_is_within(group, before.group) || cgroup_is_within(before.origin, group))
		return;
	if (is_session_scope(group)) {
		if (session_group_settle_in_scope(session, group, before.origin))
			take_along(session, &before);
	} else if (session_group_make_for(session, group) && enter_group(session)) {
		take_along(session, &before);
	}
}

void session_host_let_go(struct session_group *session)
{
	const struct session_place *place;
	char group[PATH_MAX];

	session_host_follow(session); /* what it has left behind is counted where it is */
	place = session_group_place(session);
	/* Another guard of the same host may have moved it already. */
	if (!session->shared->host_has_left && session_host_read_group(session, group))
		session->shared->host_has_left =
			!cgroup_is_within(group, place->group) ||
			session_group_add_to(&session->mount, place->origin, session->host);
}

void session_host_put_back(const struct session_group *session)
{
	const struct session_place *place = session_group_place(session);
	char group[PATH_MAX];

	if (session_host_read_group(session, group) && cgroup_is_within(group, place->group))
		session_group_add_to(&session->mount, place->origin, session->host);
}
