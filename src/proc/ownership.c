/* See ownership.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/ownership.h"

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proc/process.h"

static bool is_made_by(int namespace, uid_t user)
{
	uid_t owner;

	return ioctl(namespace, NS_GET_OWNER_UID, &owner) == 0 && owner == user;
}

/* Goes up from NAMESPACE, which it closes, to what this process stands in itself; -1: that is where one is. */
static bool is_within_one_of(int namespace, uid_t user)
{
	bool is_within = false;

	while (namespace >= 0 && !is_within) {
		int above = ioctl(namespace, NS_GET_PARENT);
		is_within = above >= 0 && is_made_by(namespace, user);
		close(namespace);
		namespace = above;
	}
	if (namespace >= 0)
		close(namespace);
	return is_within;
}

bool process_is_run_by(pid_t pid, uid_t user)
{
	return process_real_user(pid) == user || is_within_one_of(process_other_user_namespace(pid), user);
}
