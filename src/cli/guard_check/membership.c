/* How surely a guard knows who belongs to a session on this machine.  SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/guard_check/guard_check.h"
#include "proc/cgroup.h"
#include "proc/cgroup_mount.h"
#include "proc/process.h"

/* As the keeper does it: a group is made, and removed. */
static bool can_make_group(const struct cgroup_mount *mount)
{
	int parent = cgroup_open(mount->point), group = -1;
	char name[64];

	if (parent < 0)
		return false;
	snprintf(name, sizeof(name), "awsflock-guard-check-%d", (int)getpid());
	group = cgroup_make(parent, name);
	if (group >= 0) {
		close(group);
		cgroup_remove(parent, name);
	}
	close(parent);
	return group >= 0;
}

static void tell_ends(struct findings *findings, const struct guard *guard)
{
	if (guard->ends_person)
		findings_add(findings, "ends", AWSFLOCK_CHECK_OK, "",
			     "ends = user: all else that a person runs here ends with their login; what sudo, su, "
			     "pkexec or doas open ends alone");
}

bool guard_check_membership(struct findings *findings, const struct guard *guard)
{
	static struct cgroup_mount mount;
	char group[PATH_MAX];

	tell_ends(findings, guard);
	if (process_control_group(getpid(), group, sizeof(group)) &&
	    cgroup_mount_find("/proc/self/mountinfo", group, cgroup_is_one, &mount) && can_make_group(&mount)) {
		findings_add(findings, "cgroup", AWSFLOCK_CHECK_OK, "",
			     "each session gets a control group of its own below %s: nothing that it starts can "
			     "leave it",
			     mount.point);
		return true;
	}
	findings_add(
		findings, "cgroup", guard->require_cgroup ? AWSFLOCK_CHECK_FAILED : AWSFLOCK_CHECK_WARNING,
		"mount cgroup2, which Linux 5.2 or later has; require_cgroup = yes refuses sessions without it",
		guard->require_cgroup
			? "require_cgroup = yes, but no writable cgroup2 is mounted: nobody gets in"
			: "no writable cgroup2 is mounted: sessions are watched by looking at all processes, and a "
			  "process that takes pains can outlive its session");
	return false;
}
