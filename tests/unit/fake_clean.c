/* In place of door/clean.c in the module under test: the keeper stays whoever runs the test, with their limits.
 * SPDX-License-Identifier: Apache-2.0 */
#include "door/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/descriptors.h"

int clean_process(int socket, int host, gid_t tty_group)
{
	sigset_t none;
	(void)tty_group;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	socket = fcntl(socket, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED);
	host = fcntl(host, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED);
	if (dup2(socket, CLEAN_SOCKET) < 0 || dup2(host, CLEAN_HOST) < 0 ||
	    !descriptors_close_on_exec_from(CLEAN_FIRST_CLOSED))
		return errno;
	return 0;
}
