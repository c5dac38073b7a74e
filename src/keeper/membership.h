/* SPDX-License-Identifier: Apache-2.0
 *
 * Who belongs to a session: the one question on which everything that ends or releases depends.
 *
 * An implementation answers it by looking at all processes (membership_looks.c), or has the kernel keep the answer (a
 * control group: event_fd() is cgroup.events, refresh() does next to nothing, kill() freezes and kills at once). */
#ifndef KEEPER_MEMBERSHIP_H
#define KEEPER_MEMBERSHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/process.h"

struct membership;

struct membership_ops {
	const char *how; /* it is known who belongs, for the log: "in a control group" */
	/* The session opens: from now on what its host starts belongs.  False where that cannot be had. */
	bool (*begin)(struct membership *members);
	/* Brings the answer up to date; false where it could not be, and then it is what it was.  FULLY: also who can
	 * be found in no cheap way. */
	bool (*refresh)(struct membership *members, bool fully);
	/* How many there are, as of the last refresh; the host is never one. */
	size_t (*count)(const struct membership *members);
	/* Nobody is left, for certain. */
	bool (*is_empty)(struct membership *members);
	bool (*host_runs)(const struct membership *members);
	/* Its pidfd is another process's now, a child of its own: that is the host from here on. */
	void (*host_moves)(struct membership *members);
	/* SIGNAL, and SIGCONT after it, to every member: a stopped process would not take it. */
	void (*signal)(struct membership *members, int signal);
	/* The host has begun to close the session: what it starts from now on is its own, where that can be told. */
	void (*host_closes)(struct membership *members);
	/* One step of killing every member, such that none can fork away; never waits for their end.  True where it
	 * must come again at once. */
	bool (*kill)(struct membership *members);
	/* Kills the host, with all that stands in a control group of the session's own. */
	void (*kill_host)(struct membership *members);
	/* Calls EACH for every member; false where it said so, or they cannot be told. */
	bool (*each)(const struct membership *members, bool (*each)(void *arg, const struct process *process),
		     void *arg);
	/* "1234 (tmux), 1240 (vi) and 3 more", sanitised; "" where there is none. */
	void (*describe)(const struct membership *members, char *text, size_t size);
	/* Writes LINE to the terminals of the members, and to TTY. */
	void (*notify)(struct membership *members, const char *tty, const char *line);
	/* Becomes ready (POLLPRI) when the count may have changed; -1: there is none, and one has to look. */
	int (*event_fd)(const struct membership *members);
	void (*free)(struct membership *members);
};

struct progress;

struct membership {
	const struct membership_ops *ops;
	struct progress *progress; /* stepped in whatever may take long; may be NULL */
	/* CLOCK_BOOTTIME: who may take long about an answer breaks off then; 0: no matter. */
	int64_t until_ns;
};

#endif
