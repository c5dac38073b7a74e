/* See hold.h.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/forked_exit.h"
#include "hold/holder.h"
#include "term/report.h"

/* Where the holder keeps the pipe on which its parent waits; it closes all above. */
#define HOLDER_PIPE_FD (STDERR_FILENO + 1)

static void block_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, by_default = { .sa_handler = SIG_DFL };
	sigset_t signals;

	sigemptyset(&ignore.sa_mask);
	sigemptyset(&by_default.sa_mask);
	/* A failed write() is better than an end that leaves the lock held. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	sigaction(SIGCHLD, &by_default, NULL);
	holder_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

/* The holder: nothing of what its parent's callers have open stays open in it. */
static int hold_behind(const struct hold_job *job, int pipe_fd, pid_t parent)
{
	if (pipe_fd != HOLDER_PIPE_FD && dup3(pipe_fd, HOLDER_PIPE_FD, O_CLOEXEC) < 0) {
		report_error("cannot prepare the process that holds '%s': %s", job->lock, strerror(errno));
		return CLI_FAILED;
	}
	descriptors_close_from(HOLDER_PIPE_FD + 1);
	/* Until the lock is held it is nobody's who does not wait for it. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || getppid() != parent)
		return CLI_INTERRUPTED;
	return holder_run(job, HOLDER_PIPE_FD);
}

static int exit_code_of(pid_t holder)
{
	int status = 0;

	while (waitpid(holder, &status, 0) < 0) {
		if (errno != EINTR)
			return CLI_FAILED;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Hands signals on, until the holder has the lock or ends. */
static int wait_for_holder(pid_t holder, int pipe_fd, int signal_fd)
{
	struct pollfd fds[] = { { .fd = pipe_fd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	char told;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return CLI_FAILED;
		if (fds[1].revents != 0 && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			kill(holder, (int)info.ssi_signo);
		if (fds[0].revents != 0)
			return read(pipe_fd, &told, 1) == 1 ? CLI_OK : exit_code_of(holder);
	}
}

static int hold_detached(const struct hold_job *job)
{
	pid_t parent = getpid(), holder;
	int ends[2], signal_fd, result;
	sigset_t signals;

	holder_signals(&signals);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0 || pipe2(ends, O_CLOEXEC) != 0) {
		report_error("cannot start a process to hold '%s': %s", job->lock, strerror(errno));
		return CLI_FAILED;
	}
	holder = fork();
	if (holder == 0) {
		close(ends[0]);
		forked_exit(hold_behind(job, ends[1], parent));
	}
	close(ends[1]);
	if (holder > 0) {
		result = wait_for_holder(holder, ends[0], signal_fd);
	} else {
		report_error("cannot start a process to hold '%s': %s", job->lock, strerror(errno));
		result = CLI_FAILED;
	}
	close(ends[0]);
	close(signal_fd);
	return result;
}

int hold_run(const struct hold_job *job)
{
	block_signals();
	return job->detach ? hold_detached(job) : holder_run(job, -1);
}
