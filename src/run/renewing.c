/* See renewing.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/renewing.h"

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

static void *renew_thread(void *arg)
{
	struct renewing *renewing = arg;

	if (awsflock_keepalive(renewing->lease, renewing->stop_ms, &renewing->error) != AWSFLOCK_CANCELLED)
		signal_event(renewing->ended_fd);
	return NULL;
}

bool renewing_start(struct renewing *renewing, awsflock *context, awsflock_lease *lease, int64_t stop_ms)
{
	int failure;

	*renewing = (struct renewing){ .context = context, .lease = lease, .stop_ms = stop_ms };
	renewing->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	renewing->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (renewing->ended_fd < 0 || renewing->stop_fd < 0) {
		failure = errno;
		goto fail;
	}
	awsflock_set_stop_fd(context, renewing->stop_fd);
	/* It inherits the mask of the supervisor, in which all signals are blocked. */
	failure = pthread_create(&renewing->thread, NULL, renew_thread, renewing);
	if (failure != 0)
		goto fail;
	renewing->running = true;
	return true;
fail:
	awsflock_set_stop_fd(context, -1);
	if (renewing->ended_fd >= 0)
		close(renewing->ended_fd);
	if (renewing->stop_fd >= 0)
		close(renewing->stop_fd);
	errno = failure;
	return false;
}

bool renewing_has_ended(const struct renewing *renewing)
{
	struct pollfd ended = { .fd = renewing->ended_fd, .events = POLLIN };

	return poll(&ended, 1, 0) == 1;
}

void renewing_stop(struct renewing *renewing)
{
	if (!renewing->running)
		return;
	signal_event(renewing->stop_fd);
	pthread_join(renewing->thread, NULL);
	renewing->running = false;
	awsflock_set_stop_fd(renewing->context, -1);
	close(renewing->ended_fd);
	close(renewing->stop_fd);
}
