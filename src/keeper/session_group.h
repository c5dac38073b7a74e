/* The control group of a session: where it is, making it, reading it and removing it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Above it stand session_host.c, which puts the host into the group, and session_kill.c, which ends what is in it. */
#ifndef KEEPER_SESSION_GROUP_H
#define KEEPER_SESSION_GROUP_H

#include "keeper/group_record.h"
#include "proc/cgroup.h"
#include "proc/cgroup_mount.h"
#include "proc/process.h"

#define SESSION_GROUP_PREFIX "awsflock-"

/* Where the session is.  The standby must know it too, so it lies in memory that both see. */
struct session_place {
	uint64_t number;       /* the kernel's own of the group, cgroup_number() */
	bool is_logind_scope;  /* else it was made here, and is removed at the end */
	char group[PATH_MAX];  /* as /proc/PID/cgroup names it */
	char origin[PATH_MAX]; /* where the host stood before */
};

/* No more than what it says: a page of the shared memory that nobody has touched is none. */
void session_place_copy(struct session_place *to, const struct session_place *from);

struct session_places {
	_Atomic unsigned current; /* the number of the last move; its lowest bit tells which of the two counts */
	_Atomic unsigned arrived; /* the last move after which nobody was left where the session was before */
	_Atomic bool host_closes;
	_Atomic bool host_has_left; /* it closes, and has been moved out of the group */
	_Atomic bool is_ending;
	_Atomic uint32_t audit_session; /* the login's own; PROCESS_NO_AUDIT_SESSION: not known */
	_Atomic bool is_swept;          /* all but the host and SPARED have been killed */
	struct process spared;          /* sudo's monitor; pid 0: nobody */
	int64_t spared_until_ns;        /* CLOCK_MONOTONIC */
	struct session_place places[2];
};

struct session_group {
	struct session_places *shared; /* NULL: there is none */
	struct group_record record;
	char name[64];      /* of the group */
	uid_t ended_person; /* whose processes end with the session, all of them; (uid_t)-1: nobody's */
	struct recorded_call call;
	int host_pidfd;
	pid_t host;        /* -1: it has ended */
	unsigned opened;   /* the move whose group is open here */
	int group, events; /* -1: not open */
	bool is_gone;      /* removed: nobody was in it */
	struct cgroup_mount mount;
};

/* Before anything else; session_group_free() is due from then on.  UNTIL_NS: see group_record_init(). */
void session_group_init(struct session_group *session, int host_pidfd, const char *id, int64_t until_ns);
/* False where there is no memory. */
bool session_group_share(struct session_group *session);
/* It was in GROUP, when its keepers were killed, and is to be ended.  False where there is no memory; session_group_free()
 * is due in either case. */
bool session_group_recall(struct session_group *session, const char *id, const struct cgroup_mount *mount,
			  const char *group);
/* Closes it; what becomes of the group is said before. */
void session_group_free(struct session_group *session);

struct session_place *session_group_place(const struct session_group *session);

/* Makes a group for a host that stands in ORIGIN; PLACE tells of it.  -1 where it cannot be made.  The caller closes it,
 * or settles in it. */
int session_group_make(struct session_group *session, const char *origin, struct session_place *place);
/* The same with GROUP, the scope that logind has made for this session alone. */
int session_group_take_scope(struct session_group *session, const char *group, const char *origin,
			     struct session_place *place);
/* The session is in GROUP, that of PLACE, from now on: nobody of it may be left where it was before. */
void session_group_settle(struct session_group *session, int group, const struct session_place *place);
/* Where the session was before its last move, while somebody may be left there; NULL: nobody is. */
const struct session_place *session_group_left_place(const struct session_group *session);
/* Nobody is left there: it is removed. */
void session_group_arrive(struct session_group *session);

/* Opens the group that counts: a standby may have been started before the last move.  False where it cannot be told now
 * who is there.  One that has another's number is somebody else's: ours is gone. */
bool session_group_open(struct session_group *session);
bool session_group_read_events(struct session_group *session, struct cgroup_state *state);

/* Writes down where the session is, and who belongs to it elsewhere. */
void session_group_write_record(struct session_group *session);
/* The same, where somebody has taken the record away. */
void session_group_write_missing_record(struct session_group *session);
/* True where the group of PLACE is gone, or not ours to remove. */
bool session_group_remove(const struct session_group *session, const struct session_place *place);
/* The keepers leave.  With processes left in it (leftovers = release) a group stays until somebody who sweeps finds it
 * empty; where HAS_FAILED, what could not be ended is tried again then. */
void session_group_leave(struct session_group *session, bool has_failed);

/* By name, as /proc/PID/cgroup has it; -1, with errno, where it cannot be opened.  The caller closes it. */
int session_group_open_named(const struct cgroup_mount *mount, const char *group);
/* Is it for root alone to say who is in it? */
bool session_group_is_roots(const struct session_group *session, const char *group);
bool session_group_add_to(const struct cgroup_mount *mount, const char *group, pid_t pid);
/* The same, or to the nearest one above that takes it: whose GROUP was may have removed it. */
bool session_group_add_near(const struct cgroup_mount *mount, const char *group, pid_t pid);
/* The group of PLACE, and not another that has come by its name. */
int session_group_open_place(const struct cgroup_mount *mount, const struct session_place *place);
/* Moves this process out of every session's group: it would end with it. */
bool session_group_leave_all(const struct cgroup_mount *mount);

#endif
