/* See guardian.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/guardian.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/clock.h"

void guardian_init(struct guardian *guardian, struct world *world, int session_fd, int host_fd)
{
	*guardian = (struct guardian){ .state = GUARDIAN_OPENING,
				       .world = world,
				       .session_fd = session_fd,
				       .host_fd = host_fd,
				       .timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
				       .upstream_fd = -1,
				       .sharing = { .listener = -1 },
				       .standby_fd = -1,
				       .host_is_watched = true };
	for (int timer = 0; timer < TIMER_COUNT; timer++)
		guardian->timers[timer] = NEVER;
	renewer_process_init(&guardian->renewer);
}

bool guardian_share_memory(struct guardian *guardian)
{
	void *life = mmap(NULL, sizeof(*guardian->life), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (life == MAP_FAILED)
		return false;
	guardian->life = life;
	guardian->progress = progress_new(&guardian->renewer.progress_fd);
	if (guardian->progress)
		guardian->progress->boot_ns = guardian_now_ns(guardian);
	return guardian->progress;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void guardian_free(struct guardian *guardian)
{
	if (guardian->life) {
		guardian->life->is_over = true;
		munmap(guardian->life, sizeof(*guardian->life));
	}
	if (guardian->standby_fd >= 0) {
		close(guardian->standby_fd);
		waitpid(guardian->standby_pid, NULL, WNOHANG);
	}
	while (guardian->lease_client_count > 0)
		close(guardian->lease_clients[--guardian->lease_client_count].fd);
	sharing_leave(&guardian->sharing);
	renewer_process_close(&guardian->renewer);
	close_if_open(guardian->renewer.progress_fd);
	close_if_open(guardian->upstream_fd);
	close_if_open(guardian->timer_fd);
	if (guardian->everybody)
		guardian->everybody->ops->free(guardian->everybody);
	else if (guardian->members)
		guardian->members->ops->free(guardian->members);
	progress_free(guardian->progress); /* a last look has stepped it */
	guard_free(&guardian->guard);
	session_free(&guardian->session);
	free(guardian->store_name);
}

int64_t guardian_now_ns(const struct guardian *guardian)
{
	return guardian->world->ops->now_ns(guardian->world);
}

int64_t guardian_bound_deadline(const struct guardian *guardian, int64_t deadline_ns)
{
	int64_t latest_ns = guardian_now_ns(guardian) + guardian->guard.lease_s * NS_PER_S;

	if (deadline_ns < 0)
		return 0;
	/* A keeper that was joined may have a guard with a longer lease. */
	return guardian->upstream_fd < 0 && deadline_ns > latest_ns ? latest_ns : deadline_ns;
}

void guardian_set_timer(struct guardian *guardian, enum guardian_timer timer, int64_t at_ns)
{
	guardian->timers[timer] = at_ns;
}

void guardian_log(const struct guardian *guardian, int priority, const char *format, ...)
{
	char line[2 * AWSFLOCK_ERROR_MESSAGE_SIZE];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length >= 0)
		guardian->world->ops->log(guardian->world, priority, line);
}

bool guardian_send(const struct guardian *guardian, int fd, const struct wire_message *message)
{
	return guardian->world->ops->send(guardian->world, fd, message);
}

bool guardian_send_type(const struct guardian *guardian, int fd, enum wire_type type)
{
	struct wire_message message;

	wire_begin(&message, type);
	return guardian_send(guardian, fd, &message);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

bool guardian_refresh_members(struct guardian *guardian, bool fully)
{
	struct membership *members = guardian->members;
	int64_t until_ns = earlier(guardian->timers[TIMER_RENEWAL], guardian->timers[TIMER_END]);

	members->until_ns = until_ns == NEVER ? 0 : until_ns;
	return members->ops->refresh(members, fully);
}

int guardian_lease_source(const struct guardian *guardian)
{
	return guardian->upstream_fd >= 0 ? guardian->upstream_fd : guardian->renewer.fd;
}
