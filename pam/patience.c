/* A wait that its person can leave.  SPDX-License-Identifier: Apache-2.0 */
#include "patience.h"

#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

static bool is_ignored(int number)
{
	struct sigaction action;
	return sigaction(number, NULL, &action) != 0 || action.sa_handler == SIG_IGN;
}

void patience_begin(struct patience *patience)
{
	sigset_t awaited;
	patience->fd = -1;
	if (pthread_sigmask(SIG_BLOCK, NULL, &patience->before) != 0)
		return;
	sigemptyset(&awaited);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (!is_ignored(ends[i]) && sigismember(&patience->before, ends[i]) == 0)
			sigaddset(&awaited, ends[i]);
	patience->fd = signalfd(-1, &awaited, SFD_CLOEXEC | SFD_NONBLOCK);
	if (patience->fd >= 0)
		(void)pthread_sigmask(SIG_BLOCK, &awaited, NULL);
}

void patience_end(struct patience *patience)
{
	if (patience->fd < 0)
		return;
	(void)close(patience->fd);
	patience->fd = -1;
	(void)pthread_sigmask(SIG_SETMASK, &patience->before, NULL);
}

bool patience_wait(const struct patience *patience, int fd, int64_t timeout_ms)
{
	/* The signal is only looked at: to read it here would take it from the host. */
	struct pollfd polled[] = { { .fd = fd, .events = POLLIN }, { .fd = patience->fd, .events = POLLIN } };
	int timeout = timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
	return poll(polled, 2, timeout) <= 0 || polled[0].revents != 0 || polled[1].revents == 0;
}
