/* See session_group.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/session_group.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void session_place_copy(struct session_place *to, const struct session_place *from)
{
	to->number = from->number;
	to->is_logind_scope = from->is_logind_scope;
	snprintf(to->group, sizeof(to->group), "%s", from->group);
	snprintf(to->origin, sizeof(to->origin), "%s", from->origin);
}

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

void session_group_init(struct session_group *session, int host_pidfd, const char *id, int64_t until_ns)
{
	*session = (struct session_group){ .host_pidfd = host_pidfd,
					   .host = process_of_pidfd(host_pidfd),
					   .ended_person = (uid_t)-1,
					   .group = -1,
					   .events = -1 };
	snprintf(session->name, sizeof(session->name), SESSION_GROUP_PREFIX "%s", id);
	group_record_init(&session->record, id, until_ns);
}

bool session_group_share(struct session_group *session)
{
	void *shared =
		mmap(NULL, sizeof(*session->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		return false;
	session->shared = shared;
	session->shared->audit_session = PROCESS_NO_AUDIT_SESSION;
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

int session_group_open_place(const struct cgroup_mount *mount, const struct session_place *place)
{
	int fd = session_group_open_named(mount, place->group);

	if (fd < 0 || cgroup_number(fd) == place->number)
		return fd;
	close(fd);
	errno = ENOENT;
	return -1;
}

bool session_group_add_to(const struct cgroup_mount *mount, const char *group, pid_t pid)
{
	int fd = session_group_open_named(mount, group);
	bool is_added = fd >= 0 && cgroup_add(fd, pid);

	close_fd(&fd);
	return is_added;
}

bool session_group_add_near(const struct cgroup_mount *mount, const char *group, pid_t pid)
{
	char nearest[PATH_MAX], *slash;

	snprintf(nearest, sizeof(nearest), "%s", group);
	while (!session_group_add_to(mount, nearest, pid)) {
		slash = strrchr(nearest, '/');
		if (!slash || strcmp(nearest, "/") == 0)
			return false;
		slash[slash == nearest] = '\0';
	}
	return true;
}

bool session_group_is_roots(const struct session_group *session, const char *group)
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
	is_one = session_group_is_roots(session, group);
	group[size] = next;
	return is_one;
}

/* Cuts GROUP off to the lowest part that is for root alone to fill, with all above it: out of what systemd hands to
 * its user that user could move what runs there. */
static bool climb_to_roots_own(const struct session_group *session, char *group)
{
	size_t end = strcmp(session->mount.root, "/") == 0 ? 0 : strlen(session->mount.root);

	if (!session_group_is_roots(session, session->mount.root))
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

bool session_group_recall(struct session_group *session, const char *id, const struct cgroup_mount *mount,
			  const char *group)
{
	struct session_place *place;
	char *name;
	int fd;

	session_group_init(session, -1, id, 0);
	if (!session_group_share(session))
		return false;
	session->mount = *mount;
	place = session_group_place(session);
	snprintf(place->group, sizeof(place->group), "%s", group);
	snprintf(place->origin, sizeof(place->origin), "%s", group);
	name = strrchr(place->origin, '/');
	name[name == place->origin] = '\0';
	fd = session_group_open_named(mount, group);
	place->number = cgroup_number(fd);
	close_fd(&fd);
	session->shared->is_ending = true;
	return true;
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

/* The session's own group has a name that nobody can guess, and is written down before there is one. */
static struct recorded_group recorded(const struct session_place *place)
{
	return (struct recorded_group){ .group = place->group,
					.number = place->is_logind_scope ? place->number : 0 };
}

/* ALSO: NULL, or one whose name is "": none. */
static void write_record(struct session_group *session, enum group_fate fate, const struct session_place *place,
			 const struct session_place *also)
{
	struct recorded_group groups[2] = { recorded(place) };
	struct recorded_people people = { .audit_session = session->shared->audit_session,
					  .person = session->ended_person,
					  .call = session->call };
	size_t count = 1;

	if (also && also->group[0])
		groups[count++] = recorded(also);
	group_record_write(&session->record, fate, groups, count, &people);
}

int session_group_make(struct session_group *session, const char *origin, struct session_place *place)
{
	char parent[PATH_MAX];
	int group, length;

	*place = (struct session_place){ .is_logind_scope = false };
	snprintf(parent, sizeof(parent), "%s", origin);
	snprintf(place->origin, sizeof(place->origin), "%s", origin);
	if (!climb_to_roots_own(session, parent))
		return -1;
	length = snprintf(place->group, sizeof(place->group), "%s/%s", strcmp(parent, "/") == 0 ? "" : parent,
			  session->name);
	if (length < 0 || (size_t)length >= sizeof(place->group))
		return -1;
	/* First, so that no group is ever unknown. */
	write_record(session, GROUP_IS_ENDED, place, session_group_place(session));
	group = make_group(session, parent);
	place->number = cgroup_number(group);
	return group;
}

int session_group_take_scope(struct session_group *session, const char *group, const char *origin,
			     struct session_place *place)
{
	int fd = session_group_open_named(&session->mount, group);

	*place = (struct session_place){ .is_logind_scope = true, .number = cgroup_number(fd) };
	snprintf(place->group, sizeof(place->group), "%s", group);
	snprintf(place->origin, sizeof(place->origin), "%s", origin);
	if (fd >= 0)
		write_record(session, GROUP_IS_ENDED, place, session_group_place(session));
	return fd;
}

void session_group_settle(struct session_group *session, int group, const struct session_place *place)
{
	session_place_copy(&session->shared->places[(session->shared->current + 1) & 1], place);
	session->opened = ++session->shared->current;
	close_fd(&session->group);
	close_fd(&session->events);
	session->group = group;
	session->events = cgroup_open_events(group);
	session->is_gone = false;
}

const struct session_place *session_group_left_place(const struct session_group *session)
{
	const struct session_places *shared = session->shared;

	return shared->arrived == shared->current ? NULL : &shared->places[(shared->current + 1) & 1];
}

void session_group_arrive(struct session_group *session)
{
	const struct session_place *before = session_group_left_place(session);

	if (before && session_group_remove(session, before)) {
		write_record(session, GROUP_IS_ENDED, session_group_place(session), NULL);
		session->shared->arrived = session->shared->current;
	}
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
		session->group = session_group_open_place(&session->mount, session_group_place(session));
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

void session_group_leave(struct session_group *session, bool has_failed)
{
	const struct session_place *place = session_group_place(session), *left = session_group_left_place(session);

	if (has_failed)
		group_record_close(&session->record);
	else if (session_group_remove(session, place) && (!left || session_group_remove(session, left)))
		group_record_remove(&session->record);
	else
		write_record(session, GROUP_IS_REMOVED, place, left);
}

void session_group_write_record(struct session_group *session)
{
	write_record(session, GROUP_IS_ENDED, session_group_place(session), session_group_left_place(session));
}

void session_group_write_missing_record(struct session_group *session)
{
	if (group_record_is_missing(&session->record))
		session_group_write_record(session);
}
