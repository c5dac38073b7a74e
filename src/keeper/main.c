/* awsflock-keeper: started by pam_awsflock.so or awsflock_sudo.so, see wire.h; by others only to sweep.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/text.h"
#include "guard/log.h"
#include "keeper/capabilities.h"
#include "keeper/guardian.h"
#include "keeper/loop.h"
#include "keeper/machine.h"
#include "keeper/opening.h"
#include "keeper/spare_memory.h"
#include "keeper/sweep.h"
#include "keeper/title.h"

#define FD_SESSION 3
#define FD_HOST 4

static bool is_number(const char *text, int number)
{
	int64_t parsed;

	return text_parse_int64(text, number, number, &parsed);
}

static bool read_arguments(int argc, char **argv)
{
	return argc == 5 && strcmp(argv[1], "--session-fd") == 0 && is_number(argv[2], FD_SESSION) &&
	       strcmp(argv[3], "--host-fd") == 0 && is_number(argv[4], FD_HOST);
}

/* The best that one can do who is told nothing of the machine: not to be chosen when memory is short. */
static void write_proc_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0) {
		/* A container may forbid it. */
	}
	close(fd);
}

/* The module has made all clean before this program began; what must not be wrong is made sure of here too. */
static bool settle_process(int first_to_close)
{
	struct rlimit none = { 0, 0 };
	sigset_t nothing;

	if (getuid() != 0 || geteuid() != 0 || !descriptors_close_from(first_to_close) || chdir("/") != 0)
		return false;
	umask(077);
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	sigemptyset(&nothing);
	sigprocmask(SIG_SETMASK, &nothing, NULL);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	/* What a terminal or a careless administrator's "killall -HUP" sends must not end it. */
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_NAME, "awsflock-keeper", 0, 0, 0);
	write_proc_file("/proc/self/oom_score_adj", "-1000");
	/* Else it would be of the login's audit session, with all that is ended together. */
	write_proc_file("/proc/self/loginuid", "4294967295");
	return capabilities_limit();
}

static bool settle_descriptors(void)
{
	struct stat status;

	if (fstat(FD_SESSION, &status) != 0 || !S_ISSOCK(status.st_mode) || fstat(FD_HOST, &status) != 0)
		return false;
	fcntl(FD_SESSION, F_SETFD, FD_CLOEXEC);
	fcntl(FD_HOST, F_SETFD, FD_CLOEXEC);
	return true;
}

static bool is_sweep(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], "--sweep") == 0;
}

static int sweep(void)
{
	if (!settle_process(STDERR_FILENO + 1)) {
		fputs("awsflock-keeper: only root can sweep\n", stderr);
		return 2;
	}
	log_open("sweep");
	if (sweep_run())
		return 0;
	fputs("awsflock-keeper: what killed keepers left cannot be found or ended: see the system's log\n", stderr);
	return 1;
}

/* The standby is there before the module is told.  It comes back here too, as the guardian, where it takes over. */
static void guard_session(struct guardian *guardian)
{
	spare_memory_trim_heap();
	machine_event(guardian, EVENT_GRANTED, NULL, 0);
	machine_run_timers(guardian);
	if (!guardian->is_standby)
		opening_grant(guardian);
	loop_run(guardian);
}

int main(int argc, char **argv)
{
	static struct guardian guardian;

	title_init(argc, argv);
	if (is_sweep(argc, argv))
		return sweep();
	if (!read_arguments(argc, argv) || !settle_descriptors() || !settle_process(FD_HOST + 1)) {
		fputs("awsflock-keeper: this program is started by pam_awsflock, see awsflock-keeper(8)\n", stderr);
		return 2;
	}
	guardian_init(&guardian, world_of_machine(), FD_SESSION, FD_HOST);
	if (opening_run(&guardian))
		guard_session(&guardian);
	guardian_free(&guardian);
	return 0;
}
