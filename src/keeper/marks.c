/* See marks.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/marks.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/forked_exit.h"
#include "keeper/title.h"
#include "proc/precedence.h"

#define CAPACITY_FIRST 64
#define TRIES_MAX 2

void marks_init(struct marks *marks, const char *session, bool (*is_carried)(pid_t pid, const char *mark))
{
	*marks = (struct marks){ .is_carried = is_carried, .owner = getpid(), .fd = -1 };
	snprintf(marks->mark, sizeof(marks->mark), "AWSFLOCK_SESSION=%s", session);
}

/* ---- The reader ------------------------------------------------------------------------------------------ */

/* In the copy.  It answers each process id with one byte. */
_Noreturn static void be_reader(const struct marks *marks, int fd, pid_t owner)
{
	pid_t pid;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != owner)
		forked_exit(0);
	fd = dup2(fd, STDIN_FILENO);
	descriptors_close_from(STDIN_FILENO + 1);
	title_set("awsflock-keeper: reader");
	precedence_take(); /* it is waited for by one that has it */
	while (read(fd, &pid, sizeof(pid)) == (ssize_t)sizeof(pid)) {
		char answer = marks->is_carried(pid, marks->mark) ? 1 : 0;
		if (send(fd, &answer, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	forked_exit(0);
}

/* It may not die before it is let go: it is reaped when the next one is needed. */
static void leave_reader(struct marks *marks)
{
	if (marks->fd >= 0)
		close(marks->fd);
	marks->fd = -1;
	if (marks->reader > 0 && marks->owner == getpid())
		kill(marks->reader, SIGKILL);
}

/* One that does not die is not joined by a second. */
static bool is_reader_gone(struct marks *marks)
{
	if (marks->reader > 0 && waitpid(marks->reader, NULL, WNOHANG) == 0)
		return false;
	marks->reader = 0;
	return true;
}

static bool start_reader(struct marks *marks)
{
	int ends[2];
	pid_t owner = getpid(), child;

	if (!is_reader_gone(marks) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		return false;
	child = fork();
	if (child == 0)
		be_reader(marks, ends[1], owner);
	close(ends[1]);
	if (child < 0) {
		close(ends[0]);
		return false;
	}
	marks->reader = child;
	marks->fd = ends[0];
	return true;
}

static bool have_reader(struct marks *marks)
{
	if (marks->owner != getpid()) {
		leave_reader(marks); /* the original's */
		marks->reader = 0;
		marks->owner = getpid();
	}
	return marks->fd >= 0 || start_reader(marks);
}

/* For the whole time, whatever interrupts it. */
static bool is_answered(int fd)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	int64_t until_ns = clock_monotonic_ns() + MARKS_ANSWER_MS * NS_PER_MS, left_ns;
	int ready = 0;

	while ((left_ns = until_ns - clock_monotonic_ns()) > 0) {
		struct timespec left = clock_timespec(left_ns);
		ready = ppoll(&polled, 1, &left, NULL);
		if (ready > 0 || (ready < 0 && errno != EINTR))
			break;
	}
	return ready > 0;
}

static enum mark ask_reader(struct marks *marks, pid_t pid)
{
	char answer = 0;

	if (send(marks->fd, &pid, sizeof(pid), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(pid) &&
	    is_answered(marks->fd) && recv(marks->fd, &answer, 1, MSG_DONTWAIT) == 1)
		return answer ? MARK_CARRIED : MARK_ABSENT;
	leave_reader(marks);
	return MARK_UNKNOWN;
}

/* ---- What is known --------------------------------------------------------------------------------------- */

static int compare_entries(const void *left, const void *right)
{
	pid_t a = ((const struct mark_entry *)left)->pid, b = ((const struct mark_entry *)right)->pid;

	return (a > b) - (a < b);
}

static struct mark_entry entry_of(const struct marks *marks, const struct process *process)
{
	struct mark_entry entry = { .pid = process->pid,
				    .start_ticks = process->start_ticks,
				    .environment = process->environment };
	const struct mark_entry *found = NULL;

	if (marks->known.count > 0)
		found = bsearch(&entry, marks->known.entries, marks->known.count, sizeof(entry), compare_entries);
	if (found && found->start_ticks == entry.start_ticks && found->environment == entry.environment)
		return *found;
	return entry;
}

/* Without memory it is read again in the next look. */
static void remember(struct mark_list *list, const struct mark_entry *entry)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : CAPACITY_FIRST;
		struct mark_entry *grown = reallocarray(list->entries, capacity, sizeof(*grown));
		if (!grown)
			return;
		list->entries = grown;
		list->capacity = capacity;
	}
	list->entries[list->count++] = *entry;
}

static void read_entry(struct marks *marks, struct mark_entry *entry)
{
	if (!have_reader(marks)) {
		marks->is_stuck = true; /* the last one is still dying: in the next look */
		return;
	}
	entry->mark = ask_reader(marks, entry->pid);
	if (entry->mark != MARK_UNKNOWN)
		return;
	marks->is_stuck = true;
	entry->tries++;
}

enum mark marks_of(struct marks *marks, const struct process *process, bool may_ask)
{
	struct mark_entry entry = entry_of(marks, process);

	if (entry.mark == MARK_UNKNOWN && may_ask && !marks->is_stuck && entry.tries < TRIES_MAX)
		read_entry(marks, &entry);
	if (entry.mark == MARK_UNKNOWN && entry.tries < TRIES_MAX)
		marks->has_unread = true;
	remember(&marks->seen, &entry);
	return entry.mark;
}

void marks_begin_look(struct marks *marks)
{
	marks->seen.count = 0;
	marks->has_unread = marks->is_stuck = false;
}

void marks_end_look(struct marks *marks)
{
	struct mark_list seen = marks->seen;

	if (seen.count > 1)
		qsort(seen.entries, seen.count, sizeof(*seen.entries), compare_entries);
	marks->seen = marks->known;
	marks->seen.count = 0;
	marks->known = seen;
	if (!marks->has_unread)
		marks->unread_since_ns = 0;
	else if (marks->unread_since_ns == 0)
		marks->unread_since_ns = clock_boot_ns();
	marks->has_unread = marks->is_stuck = false;
}

bool marks_are_settled(const struct marks *marks)
{
	return marks->unread_since_ns == 0 || clock_boot_ns() - marks->unread_since_ns >= MARKS_PATIENCE_NS;
}

bool marks_are_read(const struct marks *marks)
{
	return marks->unread_since_ns == 0;
}

/* It is killed: most often that takes no time, and else it is left to die. */
static void reap_reader(struct marks *marks)
{
	struct pollfd died = { .fd = marks->reader > 0 ? process_pidfd_open(marks->reader) : -1, .events = POLLIN };

	if (died.fd < 0)
		return;
	poll(&died, 1, MARKS_ANSWER_MS);
	close(died.fd);
	is_reader_gone(marks);
}

void marks_free(struct marks *marks)
{
	leave_reader(marks);
	if (marks->owner == getpid())
		reap_reader(marks);
	free(marks->known.entries);
	free(marks->seen.entries);
	marks->known = marks->seen = (struct mark_list){ .entries = NULL };
}
