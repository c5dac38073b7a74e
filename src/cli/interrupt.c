/* Ctrl-C and its like, as a descriptor that the library can watch.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "term/report.h"

static int wake_pipe[2] = { -1, -1 };
static volatile sig_atomic_t first_signal;

static void on_signal(int number)
{
	int saved_errno = errno;

	if (first_signal == 0)
		first_signal = number;
	if (write(wake_pipe[1], "", 1) < 0) {
		/* The pipe is never read: one byte keeps it readable, a full pipe is as good. */
	}
	errno = saved_errno;
}

static void catch_unless_ignored(int number)
{
	struct sigaction old, action = { .sa_handler = on_signal };

	sigemptyset(&action.sa_mask);
	if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

bool interrupt_catch(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
		report_error("cannot make a pipe: %s", strerror(errno));
		return false;
	}
	sigemptyset(&ignore.sa_mask);
	/* A lock whose lease id cannot be told is given back: a failed write() is better than the end. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
	catch_unless_ignored(SIGINT);
	catch_unless_ignored(SIGTERM);
	catch_unless_ignored(SIGHUP);
	return true;
}

int interrupt_fd(void)
{
	return wake_pipe[0];
}

int interrupt_signal(void)
{
	return first_signal;
}

bool interrupt_sleep_ms(int64_t milliseconds)
{
	struct pollfd wake = { .fd = wake_pipe[0], .events = POLLIN };
	int timeout_ms = milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;

	return poll(&wake, 1, timeout_ms) == 0;
}
