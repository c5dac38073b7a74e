/* SPDX-License-Identifier: Apache-2.0
 *
 * See giving_back.h. */
#include "run/giving_back.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/forked_exit.h"
#include "term/report.h"

/* However long the lease is: a process that nobody waits for is not to stay for days. */
#define TRIES_FOR_NS (600 * NS_PER_S)
#define PAUSE_MIN_NS (1 * NS_PER_S)
#define PAUSE_MAX_NS (60 * NS_PER_S)

/* Out of the reach of the user's terminal, pipes and locks on files: whoever waits for their end waits for nobody
 * here. */
static void leave_user(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	descriptors_close_from(STDERR_FILENO + 1);
	if (chdir("/") != 0)
		report_debug("the directory is kept: %s", strerror(errno));
}

/* A thread of the original may have held a lock that nobody lets go of here: then the alarm is the end. */
static void end_by_alarm(int64_t until_boot_ns)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t none;

	sigemptyset(&by_default.sa_mask);
	sigemptyset(&none);
	sigaction(SIGALRM, &by_default, NULL);
	sigaction(SIGTERM, &by_default, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm((unsigned)((until_boot_ns - clock_boot_ns()) / NS_PER_S + 1));
}

static void give_back(awsflock *context, int64_t until_boot_ns)
{
	int64_t pause_ns = PAUSE_MIN_NS;
	awsflock_error error;

	awsflock_set_log(context, NULL, NULL);
	awsflock_set_stop(context, NULL, NULL);
	awsflock_set_stop_fd(context, -1);
	while (clock_boot_ns() < until_boot_ns && awsflock_give_back(context, &error) != AWSFLOCK_OK) {
		clock_pause_ns(pause_ns);
		pause_ns = pause_ns * 2 < PAUSE_MAX_NS ? pause_ns * 2 : PAUSE_MAX_NS;
	}
}

void giving_back_start(awsflock *context, const char *lock)
{
	int64_t until_boot_ns = awsflock_owed_until_boot_ns(context), now_ns = clock_boot_ns();
	pid_t process;

	if (until_boot_ns <= now_ns)
		return;
	if (until_boot_ns > now_ns + TRIES_FOR_NS)
		until_boot_ns = now_ns + TRIES_FOR_NS;
	process = fork();
	if (process == 0) {
		leave_user();
		end_by_alarm(until_boot_ns);
		give_back(context, until_boot_ns);
		forked_exit(0);
	}
	if (process > 0)
		report_debug("'%s' may have been taken: process %d gives it back", lock, (int)process);
	else
		report_error(
			"'%s' may remain held without a holder until its lease expires: no process can be started "
			"to give it back: %s",
			lock, strerror(errno));
}
