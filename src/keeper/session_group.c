/* See session_group.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session_group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct session_place *session_group_place(const struct session_group *session)
{
	return &session->shared->places[session->shared->current & 1];
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void session_group_init(struct session_group *session, int host_pidfd, const char *id)
{
	*session = (struct session_group){
		.host_pidfd = host_pidfd, .host = process_of_pidfd(host_pidfd), .group = -1, .events = -1
	};
	snprintf(session->name, sizeof(session->name), SESSION_GROUP_PREFIX "%s", id);
	group_record_init(&session->record, id);
}

bool session_group_share(struct session_group *session)
{
	void *shared =
		mmap(NULL, sizeof(*session->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return false;
	session->shared = shared;
	return true;
}

void session_group_free(struct session_group *session)
{
	group_record_close(&session->record);
	close_fd(&session->group);
	close_fd(&session->events);
	if (session->shared)
		munmap(session->shared, sizeof(*session->shared));
	session->shared = NULL;
}

/* ---- Groups by name -------------------------------------------------------------------------------------- */

int session_group_open_named(const struct cgroup_mount *mount, const char *group)
{
	char path[2 * PATH_MAX];

	if (!cgroup_mount_path(mount, group, path, sizeof(path)))
		return -1;
	return cgroup_open(path);
}

bool session_group_add_to(const struct cgroup_mount *mount, const char *group, pid_t pid)
{
	int fd = session_group_open_named(mount, group);
	bool is_added = fd >= 0 && cgroup_add(fd, pid);

	close_fd(&fd);
	return is_added;
}

static bool is_roots(const struct session_group *session, const char *group)
{
	int fd = session_group_open_named(&session->mount, group);
	bool is_one = fd >= 0 && cgroup_is_roots(fd);

	close_fd(&fd);
	return is_one;
}

static bool is_roots_up_to(const struct session_group *session, char *group, size_t size)
{
	char next = group[size];
	bool is_one;

	group[size] = '\0';
	is_one = is_roots(session, group);
	group[size] = next;
	return is_one;
}

/* Cuts GROUP off to the lowest part that is for root alone to fill, with all above it: out of what systemd hands to
 * its user that user could move what runs there. */
static bool climb_to_roots_own(const struct session_group *session, char *group)
{
	size_t end = strcmp(session->mount.root, "/") == 0 ? 0 : strlen(session->mount.root);

	if (!is_roots(session, session->mount.root))
		return false;
	while (group[end] == '/' && group[end + 1] != '\0') {
		size_t next = end + 1 + strcspn(group + end + 1, "/");
		if (!is_roots_up_to(session, group, next))
			break;
		end = next;
	}
	group[end > 0 ? end : 1] = '\0';
	return true;
}

bool session_group_leave_all(const struct cgroup_mount *mount)
{
	char group[PATH_MAX], *inside;

	if (!session_group_add_to(mount, "/init.scope", getpid()))
		session_group_add_to(mount, "/", getpid());
	if (!process_control_group(getpid(), group, sizeof(group)))
		return false;
	inside = strstr(group, "/" SESSION_GROUP_PREFIX);
	if (!inside)
		return true;
	inside[inside == group] = '\0';
	return session_group_add_to(mount, group, getpid());
}

/* ---- Where the session is -------------------------------------------------------------------------------- */

static int make_group(const struct session_group *session, const char *parent)
{
	int fd = session_group_open_named(&session->mount, parent), group = -1;

	if (fd >= 0)
		group = cgroup_make(fd, session->name);
	close_fd(&fd);
	return group;
}

bool session_group_remove(const struct session_group *session, const struct session_place *place)
{
	char path[2 * PATH_MAX];

	if (place->is_logind_scope || !place->group[0])
		return true;
	return cgroup_mount_path(&session->mount, place->group, path, sizeof(path)) && cgroup_remove_path(path);
}

/* The session is in GROUP, an open one, from now on. */
static void settle_session(struct session_group *session, int group, const struct session_place *place)
{
	session->shared->places[(session->shared->current + 1) & 1] = *place;
	session->opened = ++session->shared->current;
	close_fd(&session->group);
	close_fd(&session->events);
	session->group = group;
	session->events = cgroup_open_events(group);
	session->is_gone = false;
}

bool session_group_make_for(struct session_group *session, const char *origin)
{
	struct session_place place = { .is_logind_scope = false };
	char parent[PATH_MAX];
	int group, length;

	snprintf(parent, sizeof(parent), "%s", origin);
	snprintf(place.origin, sizeof(place.origin), "%s", origin);
	if (!climb_to_roots_own(session, parent))
		return false;
	length = snprintf(place.group, sizeof(place.group), "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
			  session->name);
	if (length < 0 || (size_t)length >= sizeof(place.group))
		return false;
	/* First, so that no group is ever unknown. */
	group_record_write(&session->record, GROUP_IS_ENDED, place.group, session_group_place(session)->group);
	group = make_group(session, parent);
	if (group < 0)
		return false;
	settle_session(session, group, &place);
	return true;
}

bool session_group_open(struct session_group *session)
{
	if (session->opened != session->shared->current) {
		close_fd(&session->group);
		close_fd(&session->events);
		session->is_gone = false;
		session->opened = session->shared->current;
	}
	if (session->is_gone)
		return true;
	if (session->group < 0)
		session->group = session_group_open_named(&session->mount, session_group_place(session)->group);
	if (session->group >= 0 && session->events < 0)
		session->events = cgroup_open_events(session->group);
	session->is_gone = session->events < 0 && (errno == ENOENT || errno == ENODEV);
	return session->is_gone || session->events >= 0;
}

bool session_group_read_events(struct session_group *session, struct cgroup_state *state)
{
	*state = (struct cgroup_state){ .is_populated = !session->is_gone };
	if (session->is_gone || cgroup_read_events(session->events, state))
		return true;
	session->is_gone = errno == ENODEV;
	if (session->is_gone)
		close_fd(&session->events);
	state->is_populated = !session->is_gone;
	return session->is_gone;
}

bool session_group_settle_in_scope(struct session_group *session, const char *group, const char *origin)
{
	struct session_place place = { .is_logind_scope = true };
	int fd = session_group_open_named(&session->mount, group);

	if (fd < 0)
		return false;
	snprintf(place.group, sizeof(place.group), "%s", group);
	snprintf(place.origin, sizeof(place.origin), "%s", origin);
	group_record_write(&session->record, GROUP_IS_ENDED, place.group, session_group_place(session)->group);
	settle_session(session, fd, &place);
	return true;
}

void session_group_leave(struct session_group *session, bool has_failed)
{
	const struct session_place *place = session_group_place(session);

	if (has_failed)
		group_record_close(&session->record);
	else if (session_group_remove(session, place))
		group_record_remove(&session->record);
	else
		group_record_write(&session->record, GROUP_IS_REMOVED, place->group, "");
}

void session_group_write_missing_record(struct session_group *session)
{
	if (group_record_is_missing(&session->record))
		group_record_write(&session->record, GROUP_IS_ENDED, session_group_place(session)->group, "");
}
