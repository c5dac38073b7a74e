/* See sleeper.h.  SPDX-License-Identifier: Apache-2.0 */
#include "sleeper.h"

#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

pid_t sleeper_start(char *const environment[])
{
	char *const words[] = { "sleep", "1000", NULL };
	int closed_by_exec[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(closed_by_exec, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve("/bin/sleep", words, environment);
		_exit(1);
	}
	close(closed_by_exec[1]);
	assert_int_equal(read(closed_by_exec[0], &byte, 1), 0);
	close(closed_by_exec[0]);
	return pid;
}
