/* Making a fresh child of any host a clean process of root's.  SPDX-License-Identifier: Apache-2.0 */
#include "door/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/descriptors.h"

#define KEEPER_FILES 1024
#define KEEPER_STACK (8UL << 20)
#define TIMER_SLACK_NS 50000UL /* Linux's own default; a caller may have set hours */

/* ---- Who it is ---- */

/* The kernel's calls for ids of 32 bits: on some 32-bit machines the plain names mean 16. */
#ifdef SYS_setresuid32
#define SYS_SETRESUID SYS_setresuid32
#define SYS_SETRESGID SYS_setresgid32
#define SYS_SETGROUPS SYS_setgroups32
#else
#define SYS_SETRESUID SYS_setresuid
#define SYS_SETRESGID SYS_setresgid
#define SYS_SETGROUPS SYS_setgroups
#endif

/* In sudo and su the real user is the caller, who may signal and trace what has their real uid.
 *
 * Not libc's setresuid() and the like: they change all threads of a process, and where the host has several libc
 * still counts these here, takes a lock that one of them may have held, and signals threads that are the host's. */
static bool become_root(gid_t tty_group)
{
	return syscall(SYS_SETRESGID, 0, 0, 0) == 0 && syscall(SYS_SETGROUPS, 1, &tty_group) == 0 &&
	       syscall(SYS_SETRESUID, 0, 0, 0) == 0;
}

/* ---- Limits and priorities ---- */

/* glibc has a type of its own for what others take as an int, and clang tells them apart. */
#ifdef __GLIBC__
typedef __rlimit_resource_t resource_kind;
#else
typedef int resource_kind;
#endif

/* Where a container keeps root from raising a limit, as much as there may be is kept. */
static void set_limit(resource_kind resource, rlim_t wanted, rlim_t most)
{
	struct rlimit limit = { .rlim_cur = wanted, .rlim_max = most };
	if (setrlimit(resource, &limit) == 0 || getrlimit(resource, &limit) != 0)
		return;
	limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
	setrlimit(resource, &limit);
}

static void reset_limits(void)
{
	static const resource_kind unlimited[] = {
		RLIMIT_AS,      RLIMIT_CPU,   RLIMIT_DATA, RLIMIT_FSIZE,  RLIMIT_LOCKS,
		RLIMIT_MEMLOCK, RLIMIT_NPROC, RLIMIT_RSS,  RLIMIT_RTTIME, RLIMIT_SIGPENDING,
	};
	for (size_t i = 0; i < sizeof(unlimited) / sizeof(unlimited[0]); i++)
		set_limit(unlimited[i], RLIM_INFINITY, RLIM_INFINITY);
	set_limit(RLIMIT_NOFILE, KEEPER_FILES, KEEPER_FILES);
	set_limit(RLIMIT_STACK, KEEPER_STACK, RLIM_INFINITY);
	set_limit(RLIMIT_CORE, 0, 0);
	set_limit(RLIMIT_NICE, 0, 0);
	set_limit(RLIMIT_RTPRIO, 0, 0);
}

/* An affinity mask of every processor there can be; the kernel leaves out those that are not allowed. */
static void run_anywhere(void)
{
	unsigned char every[1024];
	memset(every, 0xFF, sizeof(every));
	syscall(SYS_sched_setaffinity, 0, sizeof(every), every);
}

static void reset_priorities(void)
{
	static const struct sched_param none;
	sched_setscheduler(0, SCHED_OTHER, &none);
	setpriority(PRIO_PROCESS, 0, 0);
	syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, 0);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
	run_anywhere();
}

/* ---- What lies around it ---- */

static bool write_whole_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
	if (fd < 0)
		return false;
	size_t size = strlen(text);
	bool written = write(fd, text, size) == (ssize_t)size;
	close(fd);
	return written;
}

/* logind ends a session by its cgroup, and lets its owner signal what is in it.  systemd's init.scope is never
 * ended; where there is none, the root of the tree serves. */
static void leave_cgroup(void)
{
	static const char *const trees[][2] = {
		{ "/sys/fs/cgroup/init.scope/cgroup.procs", "/sys/fs/cgroup/cgroup.procs" },
		{ "/sys/fs/cgroup/unified/init.scope/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs" },
		{ "/sys/fs/cgroup/systemd/init.scope/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs" },
	};
	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		if (!write_whole_file(trees[i][0], "0"))
			write_whole_file(trees[i][1], "0");
}

/* Not libc's sigaction(), which takes a lock for SIGABRT: a thread of the host's may have held it. */
static void reset_signals(void)
{
	/* The kernel's own struct sigaction, as large as on any machine: all zero is SIG_DFL without flags. */
	static const long by_default[8];
	const size_t set_size = NSIG / 8; /* of the kernel's sigset_t, which knows NSIG - 1 signals or one more */
	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, by_default, NULL, set_size);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First out of the way of 0 to 4, whatever the host had closed, then to their places. */
static bool keep_descriptors(int socket, int host)
{
	socket = fcntl(socket, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED);
	host = fcntl(host, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (socket < 0 || host < 0 || null < 0)
		return false;
	if (null < CLEAN_FIRST_CLOSED && (null = fcntl(null, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED)) < 0)
		return false;
	for (int standard = 0; standard < CLEAN_SOCKET; standard++)
		if (dup2(null, standard) < 0)
			return false;
	return dup2(socket, CLEAN_SOCKET) >= 0 && dup2(host, CLEAN_HOST) >= 0 &&
	       descriptors_close_on_exec_from(CLEAN_FIRST_CLOSED);
}

int clean_process(int socket, int host, gid_t tty_group)
{
	/* The order counts: only root may raise a limit, and a descriptor needs room below it. */
	if (!become_root(tty_group))
		return errno;
	reset_limits();
	reset_priorities();
	/* Where a container does not let root go below, at least what the caller raised is taken back. */
	if (!write_whole_file("/proc/self/oom_score_adj", "-1000"))
		write_whole_file("/proc/self/oom_score_adj", "0");
	leave_cgroup();
	personality(PER_LINUX);
	umask(S_IRWXG | S_IRWXO);
	if (chdir("/") != 0 || !keep_descriptors(socket, host))
		return errno;
	reset_signals();
	return 0;
}
