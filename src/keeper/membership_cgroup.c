/* See membership_cgroup.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/membership_cgroup.h"

#include <stdio.h>
#include <unistd.h>

#include "keeper/description.h"
#include "keeper/session_host.h"
#include "keeper/session_kill.h"
#include "keeper/terminals.h"

static struct membership_cgroup *cgroup_of(struct membership *members)
{
	return (struct membership_cgroup *)members;
}

static struct session_group *session_of(struct membership *members)
{
	return &cgroup_of(members)->session;
}

static bool enclose_host(struct membership *members)
{
	const struct membership_cgroup *cgroup = cgroup_of(members);
	struct session_group *session = session_of(members);

	if (cgroup->ends_person) {
		session->ended_person = cgroup->strays.person;
		session_group_write_record(session);
	}
	return session_host_enclose(session);
}

static bool host_runs(const struct membership *members)
{
	return session_host_runs(&((const struct membership_cgroup *)members)->session);
}

static void host_moves(struct membership *members)
{
	session_host_renew(session_of(members));
}

static void host_closes(struct membership *members)
{
	session_host_let_go(session_of(members));
}

/* ---- Who is there ----------------------------------------------------------------------------------------- */

static bool count_one(void *arg, pid_t pid)
{
	struct membership_cgroup *cgroup = arg;

	cgroup->count += pid != cgroup->session.host;
	return true;
}

static bool refresh_members(struct membership *members, bool fully)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	struct session_group *session = &cgroup->session;
	struct cgroup_state state;
	bool is_whole;

	is_whole = session_host_follow(session);
	strays_learn(&cgroup->strays, session);
	if (fully)
		strays_gather_now_and_then(&cgroup->strays, session, members->progress);
	session_group_write_missing_record(session);
	/* Reading it is what makes event_fd() quiet again. */
	if (!session_group_open(session) || !session_group_read_events(session, &state) || !is_whole)
		return false;
	cgroup->count = 0;
	return session->is_gone || cgroup_each(session->group, count_one, cgroup);
}

static size_t count_members(const struct membership *members)
{
	return ((const struct membership_cgroup *)members)->count;
}

static bool is_empty(struct membership *members)
{
	struct membership_cgroup *cgroup = cgroup_of(members);
	struct session_group *session = &cgroup->session;
	struct cgroup_state state;

	if (!session_host_follow(session) || !session_group_open(session) ||
	    !session_group_read_events(session, &state))
		return false;
	if (state.is_populated && (!refresh_members(members, false) || cgroup->count > 0))
		return false;
	return strays_gather(&cgroup->strays, session, members->progress);
}

static int event_fd(const struct membership *members)
{
	return ((const struct membership_cgroup *)members)->session.events;
}

/* ---- Ending ---------------------------------------------------------------------------------------------- */

static void signal_members(struct membership *members, int signal)
{
	session_kill_signal(session_of(members), signal, members->progress);
}

static bool kill_members(struct membership *members)
{
	session_kill_members(session_of(members), members->progress);
	return false;
}

static void kill_host(struct membership *members)
{
	session_kill_host(session_of(members), members->progress);
}

/* ---- Telling --------------------------------------------------------------------------------------------- */

struct visit {
	pid_t host;
	bool (*each)(void *arg, const struct process *process);
	void *arg;
};

static bool visit_one(void *arg, pid_t pid)
{
	const struct visit *visit = arg;
	struct process process;

	return pid == visit->host || !process_read(pid, &process) || visit->each(visit->arg, &process);
}

static bool each_member(const struct membership *members, bool (*each)(void *arg, const struct process *process),
			void *arg)
{
	const struct session_group *session = &((const struct membership_cgroup *)members)->session;
	struct visit visit = { .host = session->host, .each = each, .arg = arg };

	return session->group >= 0 && cgroup_each(session->group, visit_one, &visit);
}

struct first {
	const struct session_group *session;
	struct process processes[DESCRIPTION_MAX];
	size_t known, all;
};

static bool note_first(void *arg, pid_t pid)
{
	struct first *first = arg;

	if (pid == first->session->host)
		return true;
	first->all++;
	if (first->known < DESCRIPTION_MAX && process_read(pid, &first->processes[first->known]))
		first->known++;
	return true;
}

static void describe_members(const struct membership *members, char *text, size_t size)
{
	const struct membership_cgroup *cgroup = (const struct membership_cgroup *)members;
	const struct session_group *session = &cgroup->session;
	struct first first = { .session = session };

	if (session->group >= 0)
		cgroup_each(session->group, note_first, &first);
	if (first.all == 0 && cgroup->strays.beside.pid > 0)
		first.processes[first.known++] = cgroup->strays.beside, first.all++;
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
	const struct session_group *session = session_of(members);
	struct terminals terminals;

	members->ops->refresh(members, true);
	terminals_init(&terminals, line);
	if (session->group >= 0)
		cgroup_each(session->group, tell_one, &terminals);
	terminals_tell_tty(&terminals, tty);
}

/* ---- Beginning and end ----------------------------------------------------------------------------------- */

static void free_cgroup(struct membership *members)
{
	struct session_group *session = session_of(members);

	if (!session->shared)
		return;
	session_group_open(session);
	session_host_put_back(session);
	if (session->group >= 0)
		cgroup_freeze(session->group, false);
	session_group_leave(session, session->shared->is_ending && !is_empty(members));
	strays_free(&cgroup_of(members)->strays);
	session_group_free(session);
}

static bool refuse_cgroup(struct membership_cgroup *cgroup, char *why, size_t why_size, const char *sentence)
{
	free_cgroup(&cgroup->members);
	snprintf(why, why_size, "%s", sentence);
	return false;
}

bool membership_cgroup_init(struct membership_cgroup *cgroup, int host_pidfd, const char *id, uid_t person,
			    bool host_is_login_service, bool ends_person, int64_t until_ns, char *why,
			    size_t why_size)
{
	static const struct membership_ops ops = { .how = "in a control group",
						   .begin = enclose_host,
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
						   .free = free_cgroup };
	char origin[PATH_MAX];
	struct session_place place;
	int group;

	*cgroup = (struct membership_cgroup){ .members = { .ops = &ops }, .ends_person = ends_person };
	session_group_init(&cgroup->session, host_pidfd, id, until_ns);
	if (!session_host_read_group(&cgroup->session, origin) ||
	    !cgroup_mount_find("/proc/self/mountinfo", origin, cgroup_is_one, &cgroup->session.mount))
		return refuse_cgroup(cgroup, why, why_size, "no writable cgroup2 is mounted");
	if (!session_group_share(&cgroup->session))
		return refuse_cgroup(cgroup, why, why_size, "out of memory");
	strays_init(&cgroup->strays, &cgroup->session, id, person, host_is_login_service);
	if (!session_group_leave_all(&cgroup->session.mount))
		return refuse_cgroup(cgroup, why, why_size,
				     "the keeper cannot leave the control group of another session");
	group = session_group_make(&cgroup->session, origin, &place);
	if (group < 0)
		return refuse_cgroup(cgroup, why, why_size, "no control group can be made");
	session_group_settle(&cgroup->session, group, &place);
	session_group_arrive(&cgroup->session); /* it was nowhere before */
	return true;
}
