/* See hunt.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/hunt.h"

#include <unistd.h>

#include "base/clock.h"

/* A hunt ends when nobody has started anything for as long as the first, and at the latest after the second. */
#define HUNT_QUIET_NS (3 * NS_PER_MS)
#define HUNT_NS (40 * NS_PER_MS)
#define EMPTY_LOOKS 5

enum found {
	FOUND_NOBODY, /* has ended, or is not there yet: an id is given out some time before */
	FOUND_ANOTHER,
	FOUND_MEMBER
};

static bool is_member(const struct selection *selection, const struct process_list *members,
		      const struct process *process)
{
	return (process_list_has(members, process) || selection->belongs(selection->arg, process)) &&
	       !selection->is_outside(selection->arg, process);
}

/* Opened before it is judged, the descriptor can stand for nobody else: a later process of the same id is only
 * there once the descriptor's own has ended. */
static enum found find_one(const struct selection *selection, const struct process_list *members, pid_t pid,
			   int signal)
{
	int fd = process_pidfd_open(pid);
	enum found found = FOUND_ANOTHER;
	struct process process;

	if (fd < 0)
		return FOUND_NOBODY;
	if (process_read(pid, &process) && is_member(selection, members, &process)) {
		found = FOUND_MEMBER;
		if (signal)
			process_pidfd_signal(fd, signal);
	}
	close(fd);
	return found;
}

bool hunt_newest(const struct selection *selection, const struct process_list *members, int signal)
{
	int fd = process_ids_open();
	int64_t began_ns = clock_monotonic_ns(), changed_ns = began_ns, time_ns = began_ns;
	pid_t last = process_newest_id(fd), judged = last;
	bool caught = false;

	while (last > 0 && time_ns - changed_ns < HUNT_QUIET_NS && time_ns - began_ns < HUNT_NS) {
		pid_t now = process_newest_id(fd);
		if (now != last)
			changed_ns = time_ns;
		last = now;
		if (last != judged) {
			/* The newest alone: those before it have no life left in which they could be stopped. */
			enum found found = find_one(selection, members, last, signal);
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

bool hunt_finds_nobody(bool (*sees_nobody)(void *arg), bool (*sees_one)(void *arg), void *arg)
{
	int fd = process_ids_open();
	bool is_empty = true, is_certain = false;

	for (int looks = 0; looks < EMPTY_LOOKS && is_empty && !is_certain; looks++) {
		pid_t before = process_newest_id(fd);
		is_empty = sees_nobody(arg);
		is_certain = before > 0 && process_newest_id(fd) == before;
		if (is_empty && !is_certain)
			is_empty = !sees_one(arg);
	}
	if (fd >= 0)
		close(fd);
	return is_empty;
}
