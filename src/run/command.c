/* The command stays in the process group that the user's shell made for the launcher: so it stands in the foreground
 * when the launcher does, Ctrl-C and Ctrl-Z reach it as they reach the rest of a pipeline or script, and no terminal
 * has to be handed over.  SPDX-License-Identifier: Apache-2.0 */
#include "run/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "run/nesting.h"
#include "term/report.h"

#define OWNER_SIZE 1025

/* What awsflock_acquire() records. */
static const char *owner_of(const struct run *run, char *host, size_t size)
{
	const char *owner = run->job->acquire.owner;

	if (!owner)
		owner = awsflock_get(run->job->context, "owner");
	if (owner)
		return owner;
	if (gethostname(host, size) != 0)
		return "";
	host[size - 1] = '\0';
	return host;
}

static bool set_environment(const struct run *run, const awsflock_lease *lease)
{
	char fence[24], host[OWNER_SIZE];

	snprintf(fence, sizeof(fence), "%" PRIu64, awsflock_lease_fence(lease));
	return setenv("AWSFLOCK_LOCK", run->job->lock, 1) == 0 && setenv("AWSFLOCK_FENCE", fence, 1) == 0 &&
	       setenv("AWSFLOCK_OWNER", owner_of(run, host, sizeof(host)), 1) == 0 &&
	       setenv(NESTING_VARIABLE, run->marks, 1) == 0;
}

/* In the child: does not return.  The errno of what failed goes to REPORT_FD, which a successful exec closes. */
static void become_command(const struct run *run, const awsflock_lease *lease, pid_t supervisor, int report_fd)
{
	int failure;

	setpgid(0, run->launcher_group); /* fails where the launcher is gone: then the end is near anyway */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor)
		forked_exit(CLI_RUN_FAILED);
	if (set_environment(run, lease)) {
		sigaction(SIGCHLD, &run->user_child_action, NULL);
		sigaction(SIGPIPE, &run->user_pipe_action, NULL);
		sigprocmask(SIG_SETMASK, &run->user_mask, NULL);
		execvp(run->job->argv[0], run->job->argv);
	}
	failure = errno;
	if (write(report_fd, &failure, sizeof(failure)) != (ssize_t)sizeof(failure))
		forked_exit(CLI_RUN_FAILED);
	forked_exit(CLI_RUN_CANNOT_EXECUTE);
}

/* The errno of what failed in the child, or 0: the command runs. */
static int read_failure(int report_fd)
{
	int failure;
	ssize_t size;

	do {
		size = read(report_fd, &failure, sizeof(failure));
	} while (size < 0 && errno == EINTR);
	return size == (ssize_t)sizeof(failure) ? failure : 0;
}

int command_start(const struct run *run, const awsflock_lease *lease, pid_t *pid)
{
	const char *name = run->job->argv[0];
	pid_t supervisor = getpid(), child;
	int report[2], failure;

	if (pipe2(report, O_CLOEXEC) != 0) {
		report_error("cannot run '%s': %s", name, strerror(errno));
		return CLI_RUN_FAILED;
	}
	child = fork();
	if (child == 0)
		become_command(run, lease, supervisor, report[1]);
	failure = child < 0 ? errno : 0;
	close(report[1]);
	if (child > 0)
		failure = read_failure(report[0]);
	close(report[0]);
	if (failure == 0) {
		*pid = child;
		return CLI_OK;
	}
	report_error("cannot run '%s': %s", name, strerror(failure));
	if (child < 0)
		return CLI_RUN_FAILED;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return failure == ENOENT ? CLI_RUN_NOT_FOUND : CLI_RUN_CANNOT_EXECUTE;
}
