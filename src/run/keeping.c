/* See keeping.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/keeping.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void signal_event(int fd)
{
	/* Fails only where the event already stands. */
	int failed = eventfd_write(fd, 1);
	(void)failed;
}

static void *keep(void *arg)
{
	struct keeping *keeping = arg;

	if (awsflock_keep(keeping->lease, keeping->stop_ms, &keeping->error) != AWSFLOCK_CANCELLED)
		signal_event(keeping->ended_fd);
	return NULL;
}

bool keeping_start(struct keeping *keeping, awsflock *context, awsflock_lease *lease, int64_t stop_ms)
{
	int failure;

	*keeping = (struct keeping){ .context = context, .lease = lease, .stop_ms = stop_ms };
	keeping->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	keeping->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (keeping->ended_fd < 0 || keeping->stop_fd < 0) {
		failure = errno;
		goto fail;
	}
	awsflock_set_stop_fd(context, keeping->stop_fd);
	/* It inherits the mask of the supervisor, in which all signals are blocked. */
	failure = pthread_create(&keeping->thread, NULL, keep, keeping);
	if (failure != 0)
		goto fail;
	keeping->running = true;
	return true;
fail:
	awsflock_set_stop_fd(context, -1);
	if (keeping->ended_fd >= 0)
		close(keeping->ended_fd);
	if (keeping->stop_fd >= 0)
		close(keeping->stop_fd);
	errno = failure;
	return false;
}

bool keeping_has_ended(const struct keeping *keeping)
{
	struct pollfd ended = { .fd = keeping->ended_fd, .events = POLLIN };

	return poll(&ended, 1, 0) == 1;
}

void keeping_stop(struct keeping *keeping)
{
	if (!keeping->running)
		return;
	signal_event(keeping->stop_fd);
	pthread_join(keeping->thread, NULL);
	keeping->running = false;
	awsflock_set_stop_fd(keeping->context, -1);
	close(keeping->ended_fd);
	close(keeping->stop_fd);
}
