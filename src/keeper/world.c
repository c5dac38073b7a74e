/* The machine, as a guardian sees it outside of tests.  SPDX-License-Identifier: Apache-2.0 */
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "guard/log.h"
#include "keeper/guardian.h"
#include "proc/precedence.h"
#include "proc/process.h"

static int64_t machine_now_ns(struct world *world)
{
	(void)world;
	return clock_boot_ns();
}

static void machine_log(struct world *world, int priority, const char *line)
{
	(void)world;
	log_line(priority, "%s", line);
}

static bool machine_send(struct world *world, int fd, const struct wire_message *message)
{
	(void)world;
	return wire_send(fd, message);
}

static enum wire_result machine_receive(struct world *world, int fd, struct wire_message *message, uid_t *sender)
{
	(void)world;
	return wire_receive(fd, message, sender);
}

static int machine_poll(struct world *world, struct pollfd *polled, nfds_t count, int timeout_ms)
{
	(void)world;
	return poll(polled, count, timeout_ms);
}

static bool machine_set_timer(struct world *world, int fd, int64_t at_ns)
{
	struct timespec at = clock_timespec(at_ns);
	struct itimerspec alarm = { .it_value = at };

	(void)world;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &alarm, NULL) == 0;
}

static pid_t machine_fork(struct world *world, int *pidfd)
{
	int parent = process_pidfd_open(getpid());
	pid_t child = parent < 0 ? -1 : fork();

	(void)world;
	if (child == 0) {
		*pidfd = parent;
		return 0;
	}
	if (parent >= 0)
		close(parent);
	*pidfd = child < 0 ? -1 : process_pidfd_open(child);
	return child;
}

static awsflock_code machine_restart_renewer(struct world *world, struct guardian *guardian, awsflock_error *error)
{
	(void)world;
	return renewer_process_restart(&guardian->renewer, &guardian->guard, guardian->session.person, error);
}

static void machine_take_precedence(struct world *world)
{
	(void)world;
	precedence_take();
}

struct world *world_of_machine(void)
{
	static const struct world_ops ops = { .now_ns = machine_now_ns,
					      .log = machine_log,
					      .send = machine_send,
					      .receive = machine_receive,
					      .poll = machine_poll,
					      .set_timer = machine_set_timer,
					      .fork = machine_fork,
					      .restart_renewer = machine_restart_renewer,
					      .take_precedence = machine_take_precedence };
	static struct world world = { .ops = &ops };

	return &world;
}
