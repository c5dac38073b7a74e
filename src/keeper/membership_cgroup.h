/* SPDX-License-Identifier: Apache-2.0
 *
 * Who belongs to a session, as the kernel keeps it: all that is in a control group (cgroup v2) of the session's own.
 *
 * The group is made where the host stands, or above what a user may write to, and the host is moved into it before it
 * starts anything.  Where another module of its PAM stack moves the host afterwards (pam_systemd does, to a scope that
 * logind makes for that one session), the session is followed there.  It stays in the group until it closes the session;
 * then it is moved back to where it came from: what is left in the group is the session's. */
#ifndef KEEPER_MEMBERSHIP_CGROUP_H
#define KEEPER_MEMBERSHIP_CGROUP_H

#include "keeper/group_record.h"
#include "keeper/membership.h"
#include "proc/cgroup.h"
#include "proc/cgroup_mount.h"
#include "proc/process.h"

#define MEMBERSHIP_GROUP_PREFIX "awsflock-"

/* Where the session is.  The standby must know it too, so it lies in memory that both see. */
struct session_place {
	char group[PATH_MAX];  /* as /proc/PID/cgroup names it */
	char origin[PATH_MAX]; /* where the host stood before */
	bool is_logind_scope;  /* else it was made here, and is removed at the end */
};

struct session_places {
	_Atomic unsigned current; /* the number of the last move; its lowest bit tells which of the two counts */
	struct session_place places[2];
	_Atomic bool host_has_left; /* it closes, and has been moved to where it came from */
	_Atomic bool is_ending;
	_Atomic bool is_swept;   /* all but the host and SPARED have been killed */
	struct process spared;   /* sudo's monitor; pid 0: nobody */
	int64_t spared_until_ns; /* CLOCK_MONOTONIC */
};

struct membership_cgroup {
	struct membership members;
	struct cgroup_mount mount;
	struct session_places *shared;
	struct group_record record;
	char name[64]; /* of the group */
	int host_pidfd;
	pid_t host;        /* -1: it has ended */
	unsigned opened;   /* the move whose group is open here */
	int group, events; /* -1: not open */
	bool is_gone;      /* removed: nobody was in it */
	size_t count;
};

/* Makes the group of SESSION, and moves this process out of every such group; the host is not in it yet.  False where
 * that is not possible; WHY is a sentence then.  Ended by members.ops->free(). */
bool membership_cgroup_init(struct membership_cgroup *cgroup, int host_pidfd, const char *session, char *why,
			    size_t why_size);

/* Moves this process out of every session's group: it would end with it. */
bool membership_cgroup_leave(const struct cgroup_mount *mount);

#endif
