/* Spawning a program and taking in what it prints.  SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/outside.h"
#include "base/spawn.h"

#define COMPLAINT_SIZE ((size_t)4096)
/* How long to sit in poll(2): the stop callback, a clock that is not poll's, and a kernel without pidfds. */
#define SLICE_MS 100

struct child {
	struct runtime *runtime;
	const struct child_options *options;
	struct child_result *result;
	pid_t pid;
	int pid_fd;  /* -1: the kernel has none */
	int outside; /* not a child of this process, but what base/outside.h has started; -1: a child */
	int output_fd, complaint_fd;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- Starting it -------------------------------------------------------------------------------------------- */

/* Descriptors above the standard ones: as a file action, duplicating onto itself would leave it to be closed. */
static int open_pipe(int ends[2])
{
	int raised;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	for (int i = 0; i < 2; i++) {
		if (ends[i] > STDERR_FILENO)
			continue;
		raised = fcntl(ends[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (raised < 0) {
			int failed = errno;

			close_fd(&ends[0]);
			close_fd(&ends[1]);
			return failed;
		}
		close(ends[i]);
		ends[i] = raised;
	}
	/* This end only: what is behind the other end waits when the pipe is full. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return 0;
}

/* Returns 0 or an errno. */
static int start_program(struct child *child, int output_fd, int complaint_fd)
{
	const struct child_options *options = child->options;
	int socket = child->runtime->outside_socket;
	int failed = ECONNRESET;

	if (socket > 0)
		failed = outside_run(socket, options->words, options->environment, output_fd, complaint_fd,
				     &child->outside);
	/* Where that process has been killed, the program is one of our own. */
	if (failed == ECONNRESET || failed == EPIPE)
		failed = spawn_program(options->words, options->environment, output_fd, complaint_fd, &child->pid);
	return failed;
}

static awsflock_code start_child(struct child *child, awsflock_error *error)
{
	int output[2] = { -1, -1 }, complaint[2] = { -1, -1 };
	int failed = open_pipe(output);

	if (failed == 0)
		failed = open_pipe(complaint);
	if (failed == 0)
		failed = start_program(child, output[1], complaint[1]);
	close_fd(&output[1]);
	close_fd(&complaint[1]);
	child->output_fd = output[0];
	child->complaint_fd = complaint[0];
	if (failed != 0)
		return error_set(error, AWSFLOCK_CONFIG, "%s", strerror(failed));
	if (child->outside < 0)
		child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	return AWSFLOCK_OK;
}

/* ---- Taking in ---------------------------------------------------------------------------------------------- */

/* All that is there; closes *FD at the end of it.  What does not fit into a buffer that CUTS is dropped.  False
 * where it should have fitted. */
static bool take_output(int *fd, struct buf *buf, bool cuts)
{
	char bytes[4096];
	ssize_t got;
	bool fits = true;

	if (*fd < 0)
		return true;
	while (fits && (got = read(*fd, bytes, sizeof(bytes))) > 0) {
		size_t room = buf->limit - buf->size;

		fits = cuts || (size_t)got <= room;
		if (fits)
			buf_append(buf, bytes, (size_t)got <= room ? (size_t)got : room);
	}
	wipe(bytes, sizeof(bytes));
	if (fits && (got == 0 || (errno != EAGAIN && errno != EINTR)))
		close_fd(fd);
	return fits;
}

static bool take_all(struct child *child)
{
	take_output(&child->complaint_fd, &child->result->complaint, true);
	return take_output(&child->output_fd, &child->result->output, false);
}

static void wait_for_something(const struct child *child)
{
	const struct runtime *runtime = child->runtime;
	int64_t left_ms = (child->options->give_up_boot_ns - runtime_boot_ns(child->runtime)) / NS_PER_MS + 1;
	struct pollfd fds[] = {
		{ .fd = child->output_fd, .events = POLLIN },
		{ .fd = child->complaint_fd, .events = POLLIN },
		{ .fd = child->outside >= 0 ? child->outside : child->pid_fd, .events = POLLIN },
		{ .fd = runtime->stop_ignored ? -1 : runtime->stop_fd, .events = POLLIN },
	};

	if (left_ms > 0)
		poll(fds, sizeof(fds) / sizeof(fds[0]), left_ms < SLICE_MS ? (int)left_ms : SLICE_MS);
}

/* ---- Its end ------------------------------------------------------------------------------------------------ */

static bool has_ended(struct child *child)
{
	int status, got;

	if (child->outside >= 0)
		got = outside_wait(child->outside, &status);
	else
		got = waitpid(child->pid, &status, WNOHANG);
	if (got == 0 || (got < 0 && errno == EINTR))
		return false;
	if (got < 0) {
		child->result->end = CHILD_REAPED_ELSEWHERE;
	} else {
		child->result->end = WIFSIGNALED(status) ? CHILD_SIGNALLED : CHILD_EXITED;
		child->result->number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
	}
	return true;
}

static void kill_it(struct child *child, enum child_end reason)
{
	child->result->end = reason;
	if (child->outside >= 0) {
		outside_kill(child->outside);
		return;
	}
	kill(-child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void see_through(struct child *child)
{
	for (;;) {
		/* In this order: what it printed before its end is there once the end is seen. */
		bool ended = has_ended(child), fits = take_all(child);

		if (ended) {
			if (!fits)
				child->result->end = CHILD_TOO_LARGE;
			return;
		}
		if (!fits)
			return kill_it(child, CHILD_TOO_LARGE);
		if (runtime_stop_requested(child->runtime))
			return kill_it(child, CHILD_STOPPED);
		if (runtime_boot_ns(child->runtime) >= child->options->give_up_boot_ns)
			return kill_it(child, CHILD_TIMED_OUT);
		wait_for_something(child);
	}
}

awsflock_code child_run(struct runtime *runtime, const struct child_options *options, struct child_result *result,
			awsflock_error *error)
{
	struct child child = {
		.runtime = runtime, .options = options, .result = result, .pid_fd = -1, .outside = -1
	};
	awsflock_code code;

	*result = (struct child_result){ .output = { .limit = options->output_limit },
					 .complaint = { .limit = COMPLAINT_SIZE } };
	code = start_child(&child, error);
	if (code == AWSFLOCK_OK)
		see_through(&child);
	close_fd(&child.output_fd);
	close_fd(&child.complaint_fd);
	close_fd(&child.pid_fd);
	close_fd(&child.outside);
	if (code == AWSFLOCK_OK && result->output.failed && result->end != CHILD_TOO_LARGE)
		code = error_out_of_memory(error);
	if (code != AWSFLOCK_OK)
		child_result_clear(result);
	return code;
}

void child_result_clear(struct child_result *result)
{
	buf_free(&result->output);
	buf_free(&result->complaint);
}
