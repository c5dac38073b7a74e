/* See pidfd.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/pidfd.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An old kernel or a sandbox such as gVisor says the first, a seccomp filter either. */
static bool is_not_to_be_had(int error)
{
	return error == ENOSYS || error == EPERM;
}

int pidfd_of_self(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

const char *pidfd_fault(void)
{
	int self = pidfd_of_self();
	bool missing = self < 0 && is_not_to_be_had(errno);

	if (self >= 0) {
		missing = syscall(SYS_pidfd_send_signal, self, 0, NULL, 0) != 0 && is_not_to_be_had(errno);
		close(self);
	}
	return missing ? "pidfd_open(2) or pidfd_send_signal(2) is missing or forbidden here: Linux 5.3 or later "
			 "has them, "
			 "and a container's seccomp profile must allow both"
		       : NULL;
}
