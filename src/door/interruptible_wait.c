/* A wait that its person can leave.  SPDX-License-Identifier: Apache-2.0 */
#include "door/interruptible_wait.h"

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Those that stop a host are here too: sudo only takes down that one came, and would stop with the lock when it is
 * granted.  SIGTTOU, where it is blocked, is not even sent for what is written from the background. */
static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGTTIN, SIGTTOU };

static bool is_ignored(int number)
{
	struct sigaction action;
	return sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_IGN;
}

void interruptible_wait_begin(struct interruptible_wait *wait)
{
	sigset_t awaited;
	wait->fd = -1;
	if (pthread_sigmask(SIG_BLOCK, NULL, &wait->before) != 0)
		return;
	sigemptyset(&awaited);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!is_ignored(ends[i]) && sigismember(&wait->before, ends[i]) == 0)
			sigaddset(&awaited, ends[i]);
	wait->fd = signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (wait->fd >= 0)
		pthread_sigmask(SIG_BLOCK, &awaited, NULL);
}

void interruptible_wait_end(struct interruptible_wait *wait)
{
	if (wait->fd < 0)
		return;
	close(wait->fd);
	wait->fd = -1;
	pthread_sigmask(SIG_SETMASK, &wait->before, NULL);
}

bool interruptible_wait_for(const struct interruptible_wait *wait, int fd, int64_t timeout_ms)
{
	/* The signal is only looked at: to read it here would take it from the host. */
	struct pollfd polled[] = { { .fd = fd, .events = POLLIN }, { .fd = wait->fd, .events = POLLIN } };
	int timeout = timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
	/* Whoever has stopped or ended the host does not come in, even where the answer is there. */
	return poll(polled, 2, timeout) <= 0 || polled[1].revents == 0;
}
