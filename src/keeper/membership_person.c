/* See membership_person.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/membership_person.h"

#include <signal.h>

#include "base/clock.h"
#include "keeper/description.h"
#include "keeper/progress.h"
#include "proc/hunt.h"
#include "proc/ownership.h"

static struct membership_person *person_of(struct membership *members)
{
	return (struct membership_person *)members;
}

/* What whoever asks has said of time holds for the session's own as well. */
static struct membership *session_of(struct membership *members)
{
	struct membership *session = person_of(members)->session;

	session->until_ns = members->until_ns;
	return session;
}

static const struct membership *const_session_of(const struct membership *members)
{
	return ((const struct membership_person *)members)->session;
}

/* ---- Whom the person runs -------------------------------------------------------------------------------- */

/* What a look goes by. */
struct look {
	const struct membership_person *person;
	pid_t host; /* -1: it has ended */
	int64_t until_boot_ns;
};

static bool is_run_by_person(const void *arg, const struct process *process)
{
	const struct look *look = arg;

	return process_is_run_by(process->pid, look->person->person);
}

/* The child of one of the person's may be another's: root's, under sudo.  A renewer is run by whom another guard names. */
static bool is_outside(const void *arg, const struct process *process)
{
	const struct look *look = arg;

	return process->pid == look->host || process->pid <= 1 || !is_run_by_person(arg, process) ||
	       process_is_keeper(process->parent);
}

static bool goes_on(void *arg)
{
	const struct look *look = arg;

	progress_step(look->person->members.progress);
	return look->until_boot_ns == 0 || clock_boot_ns() < look->until_boot_ns;
}

static struct look begin_look(const struct membership_person *person, int64_t until_boot_ns)
{
	return (struct look){ .person = person,
			      .host = process_of_pidfd(person->host_pidfd),
			      .until_boot_ns = until_boot_ns };
}

static struct selection selection_of(struct look *look)
{
	return (struct selection){
		.belongs = is_run_by_person, .is_outside = is_outside, .goes_on = goes_on, .arg = look
	};
}

static bool look_at_all(struct membership_person *person, int64_t until_boot_ns)
{
	struct look look = begin_look(person, until_boot_ns);
	struct selection selection = selection_of(&look);

	return selection_scan(&selection, &person->found);
}

/* Stopped before they are killed, they cannot go on starting others, even where they have as many as they may. */
static bool kill_found(struct membership_person *person)
{
	struct look look = begin_look(person, 0);
	struct selection selection = selection_of(&look);
	bool respawns;

	selection_stop(&selection, &person->found); /* without a fixpoint too: this comes again */
	process_list_signal(&person->found, SIGKILL);
	respawns = hunt_newest(&selection, &person->found, SIGKILL);
	look_at_all(person, 0);
	return respawns;
}

/* ---- With the session's own ------------------------------------------------------------------------------ */

static bool begin(struct membership *members)
{
	return session_of(members)->ops->begin(session_of(members));
}

static bool refresh_members(struct membership *members, bool fully)
{
	bool is_refreshed = session_of(members)->ops->refresh(session_of(members), fully);

	return look_at_all(person_of(members), members->until_ns) && is_refreshed;
}

/* Who is both counts twice: what matters is whether there is one. */
static size_t count_members(const struct membership *members)
{
	const struct membership *session = const_session_of(members);

	return session->ops->count(session) + ((const struct membership_person *)members)->found.count;
}

static bool sees_nobody(void *arg)
{
	struct membership_person *person = arg;

	return look_at_all(person, person->members.until_ns) && person->found.count == 0;
}

static bool sees_one(void *arg)
{
	struct membership_person *person = arg;
	struct look look = begin_look(person, 0);
	struct selection selection = selection_of(&look);

	return hunt_newest(&selection, &person->found, 0);
}

static bool is_empty(struct membership *members)
{
	return session_of(members)->ops->is_empty(session_of(members)) &&
	       hunt_finds_nobody(sees_nobody, sees_one, person_of(members));
}

static bool host_runs(const struct membership *members)
{
	return const_session_of(members)->ops->host_runs(const_session_of(members));
}

static void host_moves(struct membership *members)
{
	session_of(members)->ops->host_moves(session_of(members));
}

static void signal_members(struct membership *members, int signal)
{
	const struct process_list *found = &person_of(members)->found;

	session_of(members)->ops->signal(session_of(members), signal);
	for (size_t i = 0; i < found->count; i++) {
		progress_step(members->progress);
		process_signal(&found->processes[i], signal);
		process_signal(&found->processes[i], SIGCONT);
	}
}

static void host_closes(struct membership *members)
{
	session_of(members)->ops->host_closes(session_of(members));
}

static bool kill_members(struct membership *members)
{
	bool again = session_of(members)->ops->kill(session_of(members));

	return kill_found(person_of(members)) || again;
}

static void kill_host(struct membership *members)
{
	session_of(members)->ops->kill_host(session_of(members));
}

static bool each_member(const struct membership *members, bool (*each)(void *arg, const struct process *process),
			void *arg)
{
	const struct process_list *found = &((const struct membership_person *)members)->found;

	for (size_t i = 0; i < found->count; i++)
		if (!each(arg, &found->processes[i]))
			return false;
	return const_session_of(members)->ops->each(const_session_of(members), each, arg);
}

static void describe_members(const struct membership *members, char *text, size_t size)
{
	const struct membership *session = const_session_of(members);
	const struct process_list *found = &((const struct membership_person *)members)->found;
	size_t shown = found->count < DESCRIPTION_MAX ? found->count : DESCRIPTION_MAX;

	if (session->ops->count(session) > 0)
		session->ops->describe(session, text, size);
	else
		describe_processes(found->processes, shown, found->count, text, size);
}

static void notify_members(struct membership *members, const char *tty, const char *line)
{
	session_of(members)->ops->notify(session_of(members), tty, line);
}

static int event_fd(const struct membership *members)
{
	return const_session_of(members)->ops->event_fd(const_session_of(members));
}

static void free_person(struct membership *members)
{
	process_list_free(&person_of(members)->found);
	session_of(members)->ops->free(session_of(members));
}

void membership_person_init(struct membership_person *person, struct membership *session, int host_pidfd, uid_t uid)
{
	static const struct membership_ops ops = { .how = "with all that the person runs",
						   .begin = begin,
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
						   .free = free_person };

	*person = (struct membership_person){ .members = { .ops = &ops, .progress = session->progress },
					      .session = session,
					      .host_pidfd = host_pidfd,
					      .person = uid };
}
