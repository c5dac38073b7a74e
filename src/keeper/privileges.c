/* See privileges.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

static awsflock_code find_user(const char *name, uid_t *uid, gid_t *gid, awsflock_error *error)
{
	char room[4096];
	struct passwd entry, *found = NULL;

	if (getpwnam_r(name, &entry, room, sizeof(room), &found) != 0 || !found)
		return error_set(error, AWSFLOCK_CONFIG,
				 "there is no user '%.80s' on this machine: mend the guard's 'user'", name);
	if (found->pw_uid == 0)
		return error_set(error, AWSFLOCK_CONFIG,
				 "the guard's 'user' is root: name one that can do nothing, such as nobody");
	*uid = found->pw_uid;
	*gid = found->pw_gid;
	return AWSFLOCK_OK;
}

static bool drop_bounding_set(void)
{
	for (unsigned long capability = 0; capability <= CAP_LAST_CAP; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL)
			return false;
	return true;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
	       syscall(SYS_capset, &header, none) == 0;
}

static bool become_user(uid_t uid, gid_t gid)
{
	uid_t real, effective, saved;

	if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return false;
	return getresuid(&real, &effective, &saved) == 0 && real == uid && effective == uid && saved == uid;
}

awsflock_code privileges_drop(const char *user, awsflock_error *error)
{
	struct rlimit none = { 0, 0 };
	uid_t uid = 0;
	gid_t gid = 0;
	awsflock_code code = user ? find_user(user, &uid, &gid, error) : AWSFLOCK_OK;

	if (code != AWSFLOCK_OK)
		return code;
	if (!drop_bounding_set() || !become_user(uid, gid) || !drop_capabilities() ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
	    setrlimit(RLIMIT_CORE, &none) != 0)
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno,
				       "the renewer cannot give up root's powers, so it does not run");
	return AWSFLOCK_OK;
}
