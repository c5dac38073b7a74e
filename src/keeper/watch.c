/* See watch.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"
#include "keeper/description.h"
#include "keeper/progress.h"
#include "proc/hunt.h"
#include "proc/selection.h"

/* So many are seen between two looks at the clock. */
#define CLOCK_EVERY 64

/* What a look goes by. */
struct look {
	struct watch *watch;
	struct process_list before; /* the members so far: a view of the shared list */
	uint32_t audit_session;
	bool host_runs; /* else its id may be another's */
	bool may_ask;   /* for marks that are not known yet */
	int64_t until_boot_ns;
	bool is_late;
	uint32_t steps;
};

/* A login service gets one of its own from pam_loginuid.  What it has before, and for good where that module is not there or
 * may not write (a container), is that of whoever started the service, and of all its sessions. */
static void learn_audit_session(struct watch *watch)
{
	uint32_t session = process_audit_session(watch->host.pid);

	if (session != watch->services_session)
		watch->audit_session = session;
}

/* A file in memory is the only kind whose unused part counts nowhere, even where the machine promises no more memory
 * than it has. */
static struct watch_shared *map_lists(void)
{
	int fd = memfd_create("members", MFD_CLOEXEC);
	void *lists = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, sizeof(struct watch_shared)) == 0)
		lists = mmap(NULL, sizeof(struct watch_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return lists == MAP_FAILED ? NULL : lists;
}

/* Read before its pidfd is asked again: so it is the host, not one that came after it. */
static void read_host(struct watch *watch)
{
	pid_t host = process_of_pidfd(watch->host_pidfd);

	if (host <= 0 || !process_read(host, &watch->host) || process_pidfd_ended(watch->host_pidfd))
		watch->host.pid = 0;
}

bool watch_init(struct watch *watch, int host_pidfd, bool host_is_login_service, const char *session)
{
	*watch = (struct watch){ .host_pidfd = host_pidfd,
				 .host_is_login_service = host_is_login_service,
				 .audit_session = PROCESS_NO_AUDIT_SESSION,
				 .services_session = PROCESS_NO_AUDIT_SESSION };
	read_host(watch);
	if (watch->host.pid > 0 && host_is_login_service) {
		watch->services_session = process_audit_session(watch->host.parent);
		learn_audit_session(watch);
	}
	watch->began_ticks = watch->host.start_ticks;
	marks_init(&watch->marks, session, process_was_started_with);
	watch->shared = map_lists();
	return watch->shared != NULL;
}

void watch_free(struct watch *watch)
{
	marks_free(&watch->marks);
	if (watch->shared)
		munmap(watch->shared, sizeof(*watch->shared));
	watch->shared = NULL;
}

static const struct watch_list *current(const struct watch *watch)
{
	return &watch->shared->lists[watch->shared->current & 1];
}

size_t watch_count(const struct watch *watch)
{
	return current(watch)->count;
}

const struct process *watch_members(const struct watch *watch)
{
	return current(watch)->members;
}

bool watch_host_runs(const struct watch *watch)
{
	return watch->host.pid > 0 && !process_pidfd_ended(watch->host_pidfd);
}

/* ---- Who belongs ----------------------------------------------------------------------------------------- */

/* Never the host, which ends in its own way, nor init, nor a keeper: a sudo's inside this session is its child
 * until it has become nobody's. */
static bool is_outside(const void *arg, const struct process *process)
{
	const struct look *look = arg;

	return process->pid == look->watch->host.pid || process->pid <= 1 || process->pid == getpid() ||
	       process->start_ticks < look->watch->began_ticks || process_is_keeper(process->pid);
}

static bool belongs_by_itself(const void *arg, const struct process *process)
{
	const struct look *look = arg;

	if (look->host_runs && process->parent == look->watch->host.pid)
		return true;
	if (process->start_ticks < look->watch->began_ticks)
		return false;
	return (look->audit_session != PROCESS_NO_AUDIT_SESSION &&
		process_audit_session(process->pid) == look->audit_session) ||
	       marks_of(&look->watch->marks, process, look->may_ask) == MARK_CARRIED;
}

static struct look begin_look(struct watch *watch)
{
	struct watch_list *list = &watch->shared->lists[watch->shared->current & 1];
	struct look look = { .watch = watch,
			     .before = { list->members, list->count },
			     .host_runs = watch_host_runs(watch),
			     .may_ask = true,
			     .audit_session = PROCESS_NO_AUDIT_SESSION };

	if (watch->host_is_login_service && look.host_runs)
		learn_audit_session(watch);
	if (watch->host_is_login_service)
		look.audit_session = watch->audit_session;
	return look;
}

/* One step further; false where there is no time for it. */
static bool goes_on(void *arg)
{
	struct look *look = arg;

	progress_step(look->watch->progress);
	if (look->until_boot_ns != 0 && look->steps++ % CLOCK_EVERY == 0)
		look->is_late = look->is_late || clock_boot_ns() >= look->until_boot_ns;
	return !look->is_late;
}

/* ---- The shared list ------------------------------------------------------------------------------------- */

/* A list that could not be completed would forget somebody: then the earlier one stays. */
static struct watch_list *next_list(struct watch *watch)
{
	return &watch->shared->lists[(watch->shared->current & 1) ^ 1];
}

static void publish(struct watch *watch)
{
	watch->shared->current ^= 1;
}

static bool publish_members(void *arg, const struct process_list *members)
{
	struct look *look = arg;
	struct watch_list *next = next_list(look->watch);

	if (members->count > WATCH_MEMBERS_MAX)
		return false;
	memcpy(next->members, members->processes, members->count * sizeof(*members->processes));
	next->count = (uint32_t)members->count;
	publish(look->watch);
	marks_end_look(&look->watch->marks);
	look->host_runs = watch_host_runs(look->watch);
	return true;
}

/* ---- A quick look ---------------------------------------------------------------------------------------- */

/* Members are added behind the earlier ones, among which each of those that run stands already. */
static bool add_member(struct look *look, const struct process *process)
{
	struct watch_list *next = next_list(look->watch);

	if (next->count == WATCH_MEMBERS_MAX)
		return false;
	next->members[next->count++] = *process;
	return true;
}

static bool add_child(void *arg, const struct process *process)
{
	struct look *look = arg;

	return process_list_has(&look->before, process) || is_outside(look, process) || add_member(look, process);
}

/* Of two with one id the younger comes first: it alone can run. */
static int by_pid(const void *left, const void *right)
{
	const struct process *a = left, *b = right;

	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (a->start_ticks < b->start_ticks) - (a->start_ticks > b->start_ticks);
}

/* One whose parent ended just now can have been the child of two members. */
static void sort_members(struct watch_list *list)
{
	uint32_t kept = 0;

	qsort(list->members, list->count, sizeof(*list->members), by_pid);
	for (uint32_t i = 0; i < list->count; i++)
		if (kept == 0 || list->members[kept - 1].pid != list->members[i].pid)
			list->members[kept++] = list->members[i];
	list->count = kept;
}

/* Who ran at the last look and still does.  Where there is no time to tell, all of them. */
static bool keep_running(struct look *look)
{
	for (size_t i = 0; i < look->before.count; i++) {
		bool is_late = !goes_on(look);
		if ((is_late || process_runs(&look->before.processes[i])) &&
		    !add_member(look, &look->before.processes[i]))
			return false;
	}
	return true;
}

/* The list grows while it is gone through.  *IS_WHOLE: there was time for all. */
static bool add_descendants(struct look *look, bool *is_whole)
{
	struct watch_list *next = next_list(look->watch);

	if (look->host_runs && !process_each_child(look->watch->host.pid, add_child, look))
		return false;
	for (uint32_t i = 0; i < next->count; i++) {
		if (!goes_on(look)) {
			*is_whole = false;
			return true;
		}
		if (!process_each_child(next->members[i].pid, add_child, look))
			return false;
	}
	*is_whole = true;
	return true;
}

bool watch_look_quickly(struct watch *watch, int64_t until_boot_ns)
{
	struct look look = begin_look(watch);
	bool is_whole;

	look.until_boot_ns = until_boot_ns;
	next_list(watch)->count = 0;
	/* A kernel that does not list children fails at that. */
	if (!keep_running(&look) || !add_descendants(&look, &is_whole))
		return watch_look(watch, until_boot_ns);
	sort_members(next_list(watch));
	publish(watch);
	return is_whole;
}

/* ---- A full look ----------------------------------------------------------------------------------------- */

static bool look_with(struct look *look, bool (*step)(const struct selection *, struct process_list *))
{
	struct selection selection = { .belongs = belongs_by_itself,
				       .is_outside = is_outside,
				       .scanned = publish_members,
				       .goes_on = goes_on,
				       .arg = look };
	struct process_list members = { calloc(look->before.count + 1, sizeof(*members.processes)),
					look->before.count };
	bool done;

	if (!members.processes)
		return false;
	memcpy(members.processes, look->before.processes, members.count * sizeof(*members.processes));
	marks_begin_look(&look->watch->marks);
	done = step(&selection, &members);
	process_list_free(&members);
	return done;
}

bool watch_look(struct watch *watch, int64_t until_boot_ns)
{
	struct look look = begin_look(watch);

	look.until_boot_ns = until_boot_ns;
	return look_with(&look, selection_scan);
}

void watch_renew_host(struct watch *watch)
{
	read_host(watch);
	watch_look(watch, 0); /* a full one forgets that it was a member */
}

bool watch_stop_all(struct watch *watch)
{
	struct look look = begin_look(watch);

	look.may_ask = false;
	return look_with(&look, selection_stop);
}

/* ---- Those who do not wait to be seen --------------------------------------------------------------------- */

bool watch_kill_respawning(struct watch *watch, int signal)
{
	struct look look = begin_look(watch);
	struct selection selection = { .belongs = belongs_by_itself, .is_outside = is_outside, .arg = &look };

	return hunt_newest(&selection, &look.before, signal);
}

struct emptiness {
	struct watch *watch;
	int64_t until_boot_ns;
};

static bool sees_nobody(void *arg)
{
	const struct emptiness *emptiness = arg;

	return watch_look(emptiness->watch, emptiness->until_boot_ns) && watch_count(emptiness->watch) == 0;
}

static bool sees_one(void *arg)
{
	const struct emptiness *emptiness = arg;

	return watch_kill_respawning(emptiness->watch, 0);
}

bool watch_is_empty(struct watch *watch, int64_t until_boot_ns)
{
	struct emptiness emptiness = { .watch = watch, .until_boot_ns = until_boot_ns };

	return hunt_finds_nobody(sees_nobody, sees_one, &emptiness) && marks_are_settled(&watch->marks);
}

void watch_signal(const struct watch *watch, int signal)
{
	const struct watch_list *list = current(watch);

	for (size_t i = 0; i < list->count; i++) {
		progress_step(watch->progress);
		process_signal(&list->members[i], signal);
	}
}

void watch_describe(const struct watch *watch, char *text, size_t size)
{
	const struct watch_list *list = current(watch);
	size_t shown = list->count < DESCRIPTION_MAX ? list->count : DESCRIPTION_MAX;

	describe_processes(list->members, shown, list->count, text, size);
}
