/* See watch.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"

/* More than any session needs that does not grow faster than it can be stopped. */
#define STOP_ROUNDS_MAX 200
#define DESCRIBED_MAX 3
/* A hunt ends when nobody has started anything for as long as the first, and at the latest after the second. */
#define HUNT_QUIET_NS (3 * NS_PER_MS)
#define HUNT_NS (40 * NS_PER_MS)
#define EMPTY_LOOKS 5

/* A look: what it has found so far. */
struct look {
	struct watch *watch;
	struct watch_list *list;
	uint32_t audit_session;
	bool host_runs; /* else its id may be another's */
	bool stops;     /* stop on sight */
	bool found_more;
	bool failed;
	/* All processes, of a full look. */
	struct process *all;
	size_t all_count, all_capacity;
};

/* A door gets one of its own from pam_loginuid.  What it has before, and for good where that module is not there or
 * may not write (a container), is that of whoever started the service, and of all its sessions. */
static void learn_audit_session(struct watch *watch)
{
	uint32_t session = process_audit_session(watch->host.pid);

	if (session != watch->services_session)
		watch->audit_session = session;
}

bool watch_init(struct watch *watch, int host_pidfd, bool host_is_login_service, const char *session)
{
	pid_t host = process_of_pidfd(host_pidfd);

	*watch = (struct watch){ .host_pidfd = host_pidfd,
				 .host_is_login_service = host_is_login_service,
				 .audit_session = PROCESS_NO_AUDIT_SESSION,
				 .services_session = PROCESS_NO_AUDIT_SESSION };
	/* Read before its pidfd is asked again: so it is the host, not one that came after it. */
	if (host <= 0 || !process_read(host, &watch->host) || process_pidfd_ended(host_pidfd))
		watch->host.pid = 0;
	if (watch->host.pid > 0 && host_is_login_service) {
		watch->services_session = process_audit_session(watch->host.parent);
		learn_audit_session(watch);
	}
	watch->began_ticks = watch->host.start_ticks;
	snprintf(watch->mark, sizeof(watch->mark), "AWSFLOCK_SESSION=%s", session);
	watch->shared = mmap(NULL, sizeof(*watch->shared), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (watch->shared == MAP_FAILED)
		watch->shared = NULL;
	return watch->shared != NULL;
}

void watch_free(struct watch *watch)
{
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

static const struct process *find_pid(const struct process *processes, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (processes[i].pid == pid)
			return &processes[i];
	return NULL;
}

static bool has(const struct watch_list *list, const struct process *process)
{
	const struct process *found = find_pid(list->members, list->count, process->pid);

	return found && process_is_same(found, process);
}

/* Never the host, which ends in its own way, nor init, nor a keeper: a sudo's inside this session is its child
 * until it has become nobody's. */
static bool is_outside(const struct look *look, const struct process *process)
{
	return process->pid == look->watch->host.pid || process->pid <= 1 || process->pid == getpid() ||
	       process->start_ticks < look->watch->began_ticks || process_is_keeper(process->pid);
}

static bool belongs_by_itself(const struct look *look, const struct process *process)
{
	if (has(current(look->watch), process))
		return true;
	if (look->host_runs && process->parent == look->watch->host.pid)
		return true;
	if (process->start_ticks < look->watch->began_ticks)
		return false;
	return (look->audit_session != PROCESS_NO_AUDIT_SESSION &&
		process_audit_session(process->pid) == look->audit_session) ||
	       process_was_started_with(process->pid, look->watch->mark);
}

/* A child that was forked before its parent took the SIGSTOP is found by a look that starts after that was sent: a
 * fork in which a signal arrives is undone by the kernel and begun again after it.  A process that starts the next
 * and ends, over and over, is only caught by who stops it the moment it is seen. */
static void add(struct look *look, const struct process *process)
{
	struct watch_list *list = look->list;

	if (has(list, process) || is_outside(look, process))
		return;
	if (list->count == WATCH_MEMBERS_MAX) {
		look->watch->shared->overflowed = 1;
		look->failed = true;
		return;
	}
	list->members[list->count++] = *process;
	if (!has(current(look->watch), process))
		look->found_more = true;
	if (look->stops)
		process_signal(process, SIGSTOP);
}

static struct look begin(struct watch *watch, bool stops)
{
	struct watch_shared *shared = watch->shared;
	struct look look = { .watch = watch,
			     .list = &shared->lists[(shared->current & 1) ^ 1],
			     .host_runs = watch_host_runs(watch),
			     .stops = stops,
			     .audit_session = PROCESS_NO_AUDIT_SESSION };

	look.list->count = 0;
	if (watch->host_is_login_service && look.host_runs)
		learn_audit_session(watch);
	if (watch->host_is_login_service)
		look.audit_session = watch->audit_session;
	return look;
}

static bool finish(struct look *look)
{
	struct watch_shared *shared = look->watch->shared;

	free(look->all);
	look->all = NULL;
	/* One that could not be completed must forget nobody: the earlier list stays. */
	if (look->failed)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	shared->current ^= 1;
	return true;
}

/* ---- A quick look ---------------------------------------------------------------------------------------- */

static bool add_child(void *arg, const struct process *process)
{
	struct look *look = arg;

	add(look, process);
	return !look->failed;
}

bool watch_look_quickly(struct watch *watch)
{
	struct look look = begin(watch, false);
	const struct watch_list *before = current(watch);

	for (size_t i = 0; i < before->count && !look.failed; i++)
		if (process_runs(&before->members[i]))
			add(&look, &before->members[i]);
	if (look.host_runs && !process_each_child(watch->host.pid, add_child, &look))
		look.failed = true;
	/* The list grows while it is gone through. */
	for (size_t i = 0; i < look.list->count && !look.failed; i++)
		if (!process_each_child(look.list->members[i].pid, add_child, &look))
			look.failed = true;
	if (look.failed && !watch->shared->overflowed)
		return watch_look(watch); /* a kernel that does not list children */
	return finish(&look);
}

/* ---- A full look ----------------------------------------------------------------------------------------- */

static bool collect(void *arg, const struct process *process)
{
	struct look *look = arg;

	if (look->all_count == look->all_capacity) {
		size_t capacity = look->all_capacity ? look->all_capacity * 2 : 256;
		struct process *grown = reallocarray(look->all, capacity, sizeof(*grown));
		if (!grown)
			return false;
		look->all = grown;
		look->all_capacity = capacity;
	}
	look->all[look->all_count++] = *process;
	if (belongs_by_itself(look, process) || find_pid(look->list->members, look->list->count, process->parent))
		add(look, process);
	return !look->failed;
}

/* A parent may stand after its child: ids start again from the lowest. */
static void add_by_parent(struct look *look)
{
	uint32_t before;

	do {
		before = look->list->count;
		for (size_t i = 0; i < look->all_count && !look->failed; i++)
			if (find_pid(look->list->members, look->list->count, look->all[i].parent))
				add(look, &look->all[i]);
	} while (look->list->count > before && !look->failed);
}

static bool look_at_all(struct look *look)
{
	if (!process_each(collect, look))
		look->failed = true;
	if (!look->failed)
		add_by_parent(look);
	return finish(look);
}

bool watch_look(struct watch *watch)
{
	struct look look = begin(watch, false);

	return look_at_all(&look);
}

bool watch_stop_all(struct watch *watch)
{
	for (int round = 0; round < STOP_ROUNDS_MAX; round++) {
		struct look look = begin(watch, true);
		if (!look_at_all(&look))
			return false;
		/* The first look finds only members that it has stopped itself. */
		if (round > 0 && !look.found_more)
			return true;
	}
	return false;
}

/* ---- Those who do not wait to be seen --------------------------------------------------------------------- */

/* The id that was given out last: the last word of /proc/loadavg. */
static pid_t last_pid(int fd)
{
	char text[128], *word;
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	int64_t pid;

	if (size <= 0)
		return -1;
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	word = strrchr(text, ' ');
	return word && text_parse_int64(word + 1, 1, INT32_MAX, &pid) ? (pid_t)pid : -1;
}

enum found {
	FOUND_NOBODY, /* has ended, or is not there yet: an id is given out some time before */
	FOUND_ANOTHER,
	FOUND_MEMBER
};

/* Opened before it is judged, the descriptor can stand for nobody else: a later process of the same id is only
 * there once the descriptor's own has ended. */
static enum found find_one(const struct look *look, pid_t pid, int signal)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	enum found found = FOUND_ANOTHER;
	struct process process;

	if (fd < 0)
		return FOUND_NOBODY;
	if (process_read(pid, &process) && belongs_by_itself(look, &process) && !is_outside(look, &process)) {
		found = FOUND_MEMBER;
		if (signal)
			syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
	}
	close(fd);
	return found;
}

bool watch_kill_respawning(struct watch *watch, int signal)
{
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	int64_t began_ns = clock_monotonic_ns(), changed_ns = began_ns, time_ns = began_ns;
	struct look look = begin(watch, false);
	pid_t last = last_pid(fd), judged = last;
	bool caught = false;

	while (last > 0 && time_ns - changed_ns < HUNT_QUIET_NS && time_ns - began_ns < HUNT_NS) {
		pid_t now = last_pid(fd);
		if (now != last)
			changed_ns = time_ns;
		last = now;
		if (last != judged) {
			/* The newest alone: those before it have no life left in which they could be stopped. */
			enum found found = find_one(&look, last, signal);
			caught = caught || found == FOUND_MEMBER;
			if (found != FOUND_NOBODY)
				judged = last;
		}
		time_ns = clock_monotonic_ns();
	}
	if (fd >= 0)
		close(fd);
	return caught;
}

bool watch_is_empty(struct watch *watch)
{
	int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	bool is_empty = true, is_certain = false;

	for (int looks = 0; looks < EMPTY_LOOKS && is_empty && !is_certain; looks++) {
		pid_t before = last_pid(fd);
		is_empty = watch_look(watch) && watch_count(watch) == 0;
		is_certain = before > 0 && last_pid(fd) == before;
		if (is_empty && !is_certain)
			is_empty = !watch_kill_respawning(watch, 0);
	}
	if (fd >= 0)
		close(fd);
	return is_empty;
}

void watch_signal(const struct watch *watch, int signal)
{
	const struct watch_list *list = current(watch);

	for (size_t i = 0; i < list->count; i++)
		process_signal(&list->members[i], signal);
}

void watch_describe(const struct watch *watch, char *text, size_t size)
{
	const struct watch_list *list = current(watch);
	size_t used = 0;

	if (size > 0)
		text[0] = '\0';
	for (size_t i = 0; i < list->count && i < DESCRIBED_MAX && used < size; i++) {
		char name[sizeof(list->members[i].name)];
		text_sanitise(list->members[i].name, name, sizeof(name));
		int put = snprintf(text + used, size - used, "%s%d (%s)", i > 0 ? ", " : "",
				   (int)list->members[i].pid, name);
		used += put > 0 ? (size_t)put : 0;
	}
	if (list->count > DESCRIBED_MAX && used < size)
		snprintf(text + used, size - used, " and %u more", (unsigned)(list->count - DESCRIBED_MAX));
}
