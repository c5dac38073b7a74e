/* Where the control groups of the unified hierarchy (cgroup v2) are found as files.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_CGROUP_MOUNT_H
#define PROC_CGROUP_MOUNT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct cgroup_mount {
	char point[PATH_MAX]; /* where it is mounted */
	char root[PATH_MAX];  /* the group that is seen there, as /proc/PID/cgroup names groups; "/" most often */
};

/* Reads one line of /proc/PID/mountinfo, see proc(5).  False where it is no cgroup2 that may be written to. */
bool cgroup_mount_parse(const char *line, struct cgroup_mount *mount);

/* The first mount in the file MOUNTINFO, /proc/self/mountinfo's format, through which GROUP can be written to, and whose
 * directory for it IS_USABLE: another mount may lie over it.  False where there is none. */
bool cgroup_mount_find(const char *mountinfo, const char *group, bool (*is_usable)(const char *path),
		       struct cgroup_mount *mount);

/* GROUP ("/user.slice/session-1.scope") as a directory's path.  False, with ENAMETOOLONG, where the mount does not
 * show it, or SIZE is too small. */
bool cgroup_mount_path(const struct cgroup_mount *mount, const char *group, char *path, size_t size);

#endif
