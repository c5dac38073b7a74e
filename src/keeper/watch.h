/* Which processes belong to a session.  SPDX-License-Identifier: Apache-2.0
 *
 * The descendants of the host, the process that opened the session; they are remembered, since one whose parent
 * ends becomes init's child and cannot be told by a fresh look.  Where the host is a login service (sshd, login):
 * also everything with its audit session, which the kernel hands down and only root can change; unless it is that
 * of the service's, which all of its sessions have.  And whatever carries the session's mark in its environment and
 * is younger than the session; the mark can be taken off, so it alone is not enough, and it can be made unreadable
 * (marks.h). */
#ifndef KEEPER_WATCH_H
#define KEEPER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "keeper/marks.h"
#include "proc/process.h"

/* As many as Linux can run (PID_MAX_LIMIT): memory is only used for those that are there. */
#define WATCH_MEMBERS_MAX (sizeof(long) > 4 ? 4194304 : 32768)

struct progress;

struct watch_list {
	uint32_t count;
	struct process members[WATCH_MEMBERS_MAX]; /* by rising pid */
};

/* The members live in memory that the standby shares: it goes on where a killed guardian stopped.  One list is
 * whole at any moment. */
struct watch_shared {
	_Atomic uint32_t current; /* which of the two lists is whole */
	struct watch_list lists[2];
};

struct watch {
	struct process host; /* pid 0: it had ended before it was seen */
	int host_pidfd;
	bool host_is_login_service; /* its audit session and control group are the session's alone, once they are set */
	uint32_t services_session; /* the audit session of the host's parent */
	uint32_t audit_session;    /* the last known one of such a host */
	uint64_t began_ticks;      /* the host's own start: nothing of the session is older */
	struct marks marks;
	struct progress *progress; /* stepped for each process that is looked at or signalled; may be NULL */
	struct watch_shared *shared;
};

/* HOST_IS_LOGIN_SERVICE: the caller knows it for a login service, started by root for this session.  SESSION: the
 * mark's value.  False without memory. */
bool watch_init(struct watch *watch, int host_pidfd, bool host_is_login_service, const char *session);
void watch_free(struct watch *watch);

/* The pidfd has become that of a child of the host's: that is the host from here on, and no member any more. */
void watch_renew_host(struct watch *watch);

/* Looks for new members, and forgets those that have ended.  A quick look goes down from the host and the members;
 * a full one goes through all processes.  False where something could not be looked at, or not by UNTIL_BOOT_NS
 * (CLOCK_BOOTTIME; 0: it may take what it takes): then nobody is forgotten. */
bool watch_look_quickly(struct watch *watch, int64_t until_boot_ns);
bool watch_look(struct watch *watch, int64_t until_boot_ns);

/* Full looks that stop (SIGSTOP) whom they see, until nobody new is seen; for a mark that is not known yet they do not
 * wait.  False where there is no end to it. */
bool watch_stop_all(struct watch *watch);

/* Looks at every process that is started during the next moments, as soon as it is there, and sends SIGNAL (0:
 * none) to those that belong: one that starts the next and ends, over and over, is gone before a look at all of
 * them comes to it.  Returns at once where nothing is started at all.  True where it saw one. */
bool watch_kill_respawning(struct watch *watch, int signal);

/* Is nobody left?  For certain where nothing was started while it looked; on a busy machine where it has seen
 * nobody in several looks and hunts.  Processes whose mark cannot be read hold up that word for MARKS_PATIENCE_NS. */
bool watch_is_empty(struct watch *watch, int64_t until_boot_ns);

void watch_signal(const struct watch *watch, int signal);
size_t watch_count(const struct watch *watch);
const struct process *watch_members(const struct watch *watch);
bool watch_host_runs(const struct watch *watch);

/* "1234 (tmux), 1240 (vi) and 3 more", sanitised; "" where there is none. */
void watch_describe(const struct watch *watch, char *text, size_t size);

#endif
