/* See capabilities.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/capabilities.h"

#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(capability) (UINT64_C(1) << (capability))

static const uint64_t needed = BIT(CAP_KILL) |         /* anybody's processes */
			       BIT(CAP_SYS_PTRACE) |   /* their environments, for the session's mark */
			       BIT(CAP_DAC_OVERRIDE) | /* control groups and terminals that belong to the person */
			       BIT(CAP_SYS_NICE) |     /* precedence while it ends a session */
			       BIT(CAP_SETUID) | BIT(CAP_SETGID) | /* the renewer becomes its user */
			       BIT(CAP_SETPCAP);                   /* and gives up the rest */

static void limit_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
		if (!(needed & BIT(capability)))
			prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* a container may have taken the power to */
}

static bool limit_own_set(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	memset(sets, 0, sizeof(sets));
	if (syscall(SYS_capget, &header, sets) != 0)
		return false;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		sets[i].permitted &= (uint32_t)(needed >> (32 * i));
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) == 0;
}

bool capabilities_limit(void)
{
	limit_bounding_set();
	return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 && limit_own_set() &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}
