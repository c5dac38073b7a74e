/* See strays.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/strays.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/progress.h"
#include "keeper/session_host.h"
#include "proc/hunt.h"

#define GATHER_AGAIN_NS (1 * NS_PER_S)

void strays_init(struct strays *strays, struct session_group *session, const char *id, uid_t person,
		 bool host_is_login_service)
{
	struct process host;

	*strays = (struct strays){ .person = person,
				   .host_is_login_service = host_is_login_service,
				   .others_session = PROCESS_NO_AUDIT_SESSION };
	marks_init(&strays->marks, id, process_was_started_with);
	if (session->host <= 0 || !process_read(session->host, &host))
		return;
	strays->began_ticks = host.start_ticks;
	strays->others_session = process_audit_session(host_is_login_service ? host.parent : host.pid);
	session->call = (struct recorded_call){ .is_known = !host_is_login_service,
						.person = person,
						.audit_session = strays->others_session,
						.began_ticks = strays->began_ticks };
}

void strays_recall(struct strays *strays, const char *id, const struct recorded_call *call)
{
	*strays = (struct strays){ .person = call->person,
				   .others_session = call->audit_session,
				   .began_ticks = call->began_ticks };
	marks_init(&strays->marks, id, process_was_started_with);
}

void strays_free(struct strays *strays)
{
	marks_free(&strays->marks);
}

void strays_learn(const struct strays *strays, struct session_group *session)
{
	uint32_t audit_session = strays->host_is_login_service && session->host > 0
					 ? process_audit_session(session->host)
					 : PROCESS_NO_AUDIT_SESSION;

	if (audit_session == PROCESS_NO_AUDIT_SESSION || audit_session == strays->others_session ||
	    audit_session == session->shared->audit_session || !session_host_runs(session))
		return;
	session->shared->audit_session = audit_session;
	session_group_write_record(session);
}

/* ---- Who is one ------------------------------------------------------------------------------------------ */

struct look {
	struct strays *strays;
	struct session_group *session;
	struct progress *progress;
	uint32_t audit_session; /* the login's own; PROCESS_NO_AUDIT_SESSION: it has none */
	bool has_met;
};

/* Where a user's service manager may have put it. */
static bool is_in_users_group(const struct look *look, const char *group)
{
	int fd = session_group_open_named(&look->session->mount, group);
	bool is_one = fd >= 0 && !cgroup_is_roots(fd);

	if (fd >= 0)
		close(fd);
	return is_one;
}

static bool is_of_another_login(const struct strays *strays, pid_t pid)
{
	return !strays->host_is_login_service && strays->others_session != PROCESS_NO_AUDIT_SESSION &&
	       process_audit_session(pid) != strays->others_session;
}

static bool is_known_by_itself(const struct look *look, const struct process *process)
{
	struct strays *strays = look->strays;

	if (is_of_another_login(strays, process->pid))
		return false;
	if (!strays->host_is_login_service && strays->others_session != PROCESS_NO_AUDIT_SESSION &&
	    process_real_user(process->pid) != strays->person)
		return true;
	return marks_of(&strays->marks, process, true) == MARK_CARRIED;
}

/* A host that closes was moved back to where it came from: what it starts there is its own. */
static bool is_the_hosts(const struct look *look, const char *group)
{
	const char *origin = session_group_place(look->session)->origin;

	return look->session->shared->host_has_left && strcmp(group, origin) == 0 &&
	       session_group_is_roots(look->session, origin);
}

/* Elsewhere than under a login service.  In another session's group, the host that was called from this one wears its mark.
 * It is looked for among what is of the same login alone: anybody can make a mark that is not read to its end. */
static bool is_of_the_call(const struct look *look, const struct process *process, const char *group)
{
	if (is_in_users_group(look, group))
		return is_known_by_itself(look, process);
	return look->strays->others_session != PROCESS_NO_AUDIT_SESSION &&
	       session_host_is_anothers(look->session, process->pid) &&
	       marks_of(&look->strays->marks, process, true) == MARK_CARRIED;
}

static bool is_stray(const struct look *look, const struct process *process)
{
	char group[PATH_MAX];

	if (process->pid <= 1 || process->pid == look->session->host || process->pid == getpid() ||
	    process->start_ticks < look->strays->began_ticks ||
	    !process_control_group(process->pid, group, sizeof(group)) ||
	    cgroup_is_within(group, session_group_place(look->session)->group))
		return false;
	if (look->audit_session != PROCESS_NO_AUDIT_SESSION)
		return process_audit_session(process->pid) == look->audit_session && !is_the_hosts(look, group) &&
		       !process_is_of_keeper(process);
	return is_of_the_call(look, process, group) && !process_is_of_keeper(process);
}

/* ---- Bringing them home ---------------------------------------------------------------------------------- */

/* A scope of logind's is gone once nobody is in it. */
static bool have_home(struct session_group *session)
{
	struct session_place place;
	char origin[PATH_MAX];
	int group;

	if (!session_group_open(session))
		return false;
	if (!session->is_gone)
		return true;
	if (session_group_left_place(session))
		return false; /* another move would forget who is left there */
	memcpy(origin, session_group_place(session)->origin, sizeof(origin));
	group = session_group_make(session, origin, &place);
	if (group < 0)
		return false;
	session_group_settle(session, group, &place);
	session_group_arrive(session);
	return true;
}

/* What the id names after the descriptor was opened is the process that was judged: so the descriptor is its. */
static bool bring_home(void *arg, const struct process *process)
{
	struct look *look = arg;
	int fd;

	progress_step(look->progress);
	if (!is_stray(look, process))
		return true;
	look->has_met = true;
	fd = process_pidfd_open(process->pid);
	if (fd < 0)
		return true;
	if (session_host_is_anothers(look->session, process->pid))
		look->strays->beside = *process;
	else if (process_runs(process) && have_home(look->session))
		cgroup_add(look->session->group, process->pid);
	if (look->session->shared->is_ending && process_runs(process))
		process_pidfd_signal(fd, SIGKILL);
	close(fd);
	return true;
}

/* ---- Looks ----------------------------------------------------------------------------------------------- */

/* None of it is of another; PROCESS_NO_AUDIT_SESSION: it may be of any. */
static uint32_t session_to_look_at(const struct look *look)
{
	return look->strays->host_is_login_service ? look->audit_session : look->strays->others_session;
}

static bool look_at_all(struct look *look)
{
	look->has_met = false;
	look->strays->beside.pid = 0;
	marks_begin_look(&look->strays->marks);
	if (!process_each_of_session(session_to_look_at(look), bring_home, look))
		return false;
	marks_end_look(&look->strays->marks);
	return !look->has_met;
}

static bool belongs(const void *arg, const struct process *process)
{
	return is_stray(arg, process);
}

static bool is_never_outside(const void *arg, const struct process *process)
{
	(void)arg;
	(void)process;
	return false;
}

static bool sees_nobody(void *arg)
{
	return look_at_all(arg);
}

static bool sees_one(void *arg)
{
	const struct look *look = arg;
	const struct selection strays = { .belongs = belongs, .is_outside = is_never_outside, .arg = arg };
	const struct process_list nobody = { .count = 0 };

	return hunt_newest(&strays, &nobody, look->session->shared->is_ending ? SIGKILL : 0);
}

/* Other sessions' groups are root's, with all that is below them. */
static bool enters(const char *name)
{
	return strncmp(name, SESSION_GROUP_PREFIX, strlen(SESSION_GROUP_PREFIX)) != 0;
}

static bool can_be_any(const struct session_group *session)
{
	int root = session_group_open_named(&session->mount, session->mount.root);
	bool can_be = root < 0 || cgroup_has_users(root, enters);

	if (root >= 0)
		close(root);
	return can_be;
}

static bool meets_nobody(struct strays *strays, struct session_group *session, struct progress *progress)
{
	struct look look = { .strays = strays,
			     .session = session,
			     .progress = progress,
			     .audit_session = session->shared->audit_session };

	strays->gathered_ns = clock_monotonic_ns();
	if (session_to_look_at(&look) == PROCESS_NO_AUDIT_SESSION && !can_be_any(session))
		return true;
	return hunt_finds_nobody(sees_nobody, sees_one, &look);
}

bool strays_gather(struct strays *strays, struct session_group *session, struct progress *progress)
{
	return meets_nobody(strays, session, progress) && marks_are_settled(&strays->marks);
}

/* In a look that gets stuck on one, the others are not asked: another look asks them. */
bool strays_end(struct strays *strays, struct session_group *session, int64_t until_ns)
{
	while (meets_nobody(strays, session, NULL)) {
		if (marks_are_read(&strays->marks))
			return true;
		if (clock_boot_ns() >= until_ns)
			break;
	}
	return false;
}

void strays_gather_now_and_then(struct strays *strays, struct session_group *session, struct progress *progress)
{
	if (session->shared->is_ending ||
	    (strays->gathered_ns != 0 && clock_monotonic_ns() - strays->gathered_ns < GATHER_AGAIN_NS))
		return;
	strays_gather(strays, session, progress);
}
