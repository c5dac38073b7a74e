/* A control group of the unified hierarchy (cgroup v2), through a descriptor of its directory.
 *
 * The kernel keeps who is in it: a process's children are born into its group, and only who may write to both groups'
 * common ancestor can move one elsewhere.  See the kernel's Documentation/admin-guide/cgroup-v2.rst.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_CGROUP_H
#define PROC_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_state {
	bool is_populated; /* a process runs in it or below it */
	bool is_frozen;    /* whole: none of them runs until it is thawed */
};

/* The group NAME in the directory PARENT, made where there is none.  -1, with errno, where it cannot be made, or
 * cannot hold processes.  The caller closes it. */
int cgroup_make(int parent, const char *name);
/* PATH as a group; -1 where it is none. */
int cgroup_open(const char *path);
bool cgroup_is_one(const char *path);
/* The kernel's number of it, its inode, which no other one has or had, whatever its name; 0 where it cannot be told. */
uint64_t cgroup_number(int group);
/* Is it for root alone to say who is in it? */
bool cgroup_is_roots(int group);

/* Moves PID into it, with all its threads; what it starts from then on is born there. */
bool cgroup_add(int group, pid_t pid);
/* "cgroup.events", which has POLLPRI when what it says has changed since it was read.  The caller closes it. */
int cgroup_open_events(int group);
/* False, with errno, where it cannot be read; ENODEV: the group is gone. */
bool cgroup_read_events(int events, struct cgroup_state *state);
/* Does a process run in it or below it?  One that is gone is empty; true where it cannot be told. */
bool cgroup_is_populated(int group);
/* Takes effect a moment later: see is_frozen.  A frozen process can be killed. */
bool cgroup_freeze(int group, bool is_frozen);
/* SIGKILL to all in it and below it, and to what they are just starting.  False on a kernel before 5.14. */
bool cgroup_kill(int group);

/* Calls EACH for every process in it and below it that has not ended; those of other pid namespaces are passed over.
 * False where something could not be read, or EACH said so. */
bool cgroup_each(int group, bool (*each)(void *arg, pid_t pid), void *arg);
/* Is anything that runs below GROUP in a group that others than root may fill?  ENTERS says by its name which of root's
 * groups are looked into.  True where it cannot be told. */
bool cgroup_has_users(int group, bool (*enters)(const char *name));

/* Removes NAME in the directory PARENT, with what is below it, where no process is left.  True where it is gone. */
bool cgroup_remove(int parent, const char *name);

/* The same for a group that is named by its PATH: gone with the one above it, too. */
bool cgroup_remove_path(const char *path);

/* Sends SIGNALS, which end in 0, to PID where it is in GROUP, as /proc/PID/cgroup names it, or below.  False, with errno,
 * where it cannot be had now; ESRCH: it has ended. */
bool cgroup_signal_member(pid_t pid, const char *group, const int *signals);

/* Is GROUP, as /proc/PID/cgroup names it, ABOVE itself or below it? */
bool cgroup_is_within(const char *group, const char *above);
/* Has it logind's name for a login's own: what else is in it belongs to that login alone. */
bool cgroup_is_session_scope(const char *group);

#endif
