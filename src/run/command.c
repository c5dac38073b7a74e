/* The command stays in the process group that the user's shell made for the launcher: so it stands in the foreground
 * when the launcher does, Ctrl-C and Ctrl-Z reach it as they reach the rest of a pipeline or script, and no terminal
 * has to be handed over.
 *
 * Its process is made before the lock is asked for, since the supervisor leaves the session then, and a process can
 * join no group of another session.  A parent in the same session and another group would count as somebody who minds
 * the group's stopped processes: at the command's end the kernel would find that nobody does any more, and send SIGHUP
 * to all of the group where one of it is stopped (see setpgid(2)), and so to the script that runs awsflock.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "run/command.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/runtime.h"
#include "run/nesting.h"
#include "term/report.h"

#define OWNER_SIZE 1025
#define TOO_LATE (-1)

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

static bool set_environment(const struct run *run, uint64_t fence)
{
	char fence_text[24], host[OWNER_SIZE];

	snprintf(fence_text, sizeof(fence_text), "%" PRIu64, fence);
	return setenv("AWSFLOCK_LOCK", run->job->lock, 1) == 0 && setenv("AWSFLOCK_FENCE", fence_text, 1) == 0 &&
	       setenv("AWSFLOCK_OWNER", owner_of(run, host, sizeof(host)), 1) == 0 &&
	       setenv(NESTING_VARIABLE, run->marks, 1) == 0;
}

/* ---- In the command's process ---------------------------------------------------------------------------- */

/* A Ctrl-Z during the wait was the launcher's: where that stopped, the supervisor stops the command once it runs. */
static void forget_stops(void)
{
	const struct timespec at_once = { 0, 0 };
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTSTP);
	sigaddset(&stops, SIGTTIN);
	sigaddset(&stops, SIGTTOU);
	while (sigtimedwait(&stops, NULL, &at_once) > 0)
		;
}

/* Where all of awsflock stood still after the grant, as in a suspended machine. */
static bool is_too_late(const struct run *run)
{
	return clock_boot_ns() >= atomic_load(&run->state->deadline_boot_ns) - run_stop_ms(run->job) * NS_PER_MS;
}

/* Returns the errno of what failed, or TOO_LATE. */
static int execute(const struct run *run, uint64_t fence)
{
	if (!set_environment(run, fence))
		return errno;
	sigaction(SIGCHLD, &run->user_child_action, NULL);
	sigaction(SIGPIPE, &run->user_pipe_action, NULL);
	forget_stops();
	sigprocmask(SIG_SETMASK, &run->user_mask, NULL);
	if (is_too_late(run))
		return TOO_LATE;
	execvp(run->job->argv[0], run->job->argv);
	return errno;
}

/* Does not return.  A successful exec closes the socket. */
static void become_command(const struct run *run, pid_t supervisor, int socket)
{
	uint64_t fence;
	int failure;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != supervisor || recv(socket, &fence, sizeof(fence), 0) != (ssize_t)sizeof(fence))
		forked_exit(CLI_RUN_FAILED);
	failure = execute(run, fence);
	if (send(socket, &failure, sizeof(failure), MSG_NOSIGNAL) != (ssize_t)sizeof(failure))
		forked_exit(CLI_RUN_FAILED);
	forked_exit(CLI_RUN_CANNOT_EXECUTE);
}

/* ---- In the supervisor ----------------------------------------------------------------------------------- */

bool command_prepare(const struct run *run, struct command *command)
{
	pid_t supervisor = getpid();
	int pair[2];

	*command = (struct command){ .socket = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	command->pid = fork();
	if (command->pid == 0) {
		close(pair[0]);
		close(run->supervisor_socket); /* its end is to be seen */
		become_command(run, supervisor, pair[1]);
	}
	close(pair[1]);
	command->socket = pair[0];
	return command->pid > 0;
}

/* What failed in the child, or 0: the command runs, or was killed before it could. */
static int receive_failure(const struct command *command)
{
	int failure = 0;
	ssize_t size;

	do {
		size = recv(command->socket, &failure, sizeof(failure), 0);
	} while (size < 0 && errno == EINTR);
	return size == (ssize_t)sizeof(failure) ? failure : 0;
}

static void close_socket(struct command *command)
{
	if (command->socket >= 0)
		close(command->socket);
	command->socket = -1;
}

static int explain_failure(const struct run *run, int failure)
{
	if (failure == TOO_LATE) {
		report_error("LOCK LOST: the lease of '%s' ran out before '%s' could be started", run->job->lock,
			     run->job->argv[0]);
		return CLI_RUN_LOST;
	}
	report_error("cannot run '%s': %s", run->job->argv[0], strerror(failure));
	return failure == ENOENT ? CLI_RUN_NOT_FOUND : CLI_RUN_CANNOT_EXECUTE;
}

int command_start(const struct run *run, const awsflock_lease *lease, struct command *command)
{
	uint64_t fence = awsflock_lease_fence(lease);
	int failure = 0;

	/* Fails where the process was killed: then it is seen to end like a command. */
	if (send(command->socket, &fence, sizeof(fence), MSG_NOSIGNAL) == (ssize_t)sizeof(fence))
		failure = receive_failure(command);
	close_socket(command);
	if (failure == 0)
		return CLI_OK;
	command_discard(command);
	return explain_failure(run, failure);
}

void command_discard(struct command *command)
{
	close_socket(command);
	if (command->pid <= 0)
		return;
	kill(command->pid, SIGKILL);
	while (waitpid(command->pid, NULL, 0) < 0 && errno == EINTR)
		;
	command->pid = 0;
}
