/* Starting awsflock-keeper from inside any host.  SPDX-License-Identifier: Apache-2.0 */
#include "door/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/pidfd.h"
#include "door/clean.h"

#define EXEC_LIMIT_MS 10000
#define LOWEST_DESCRIPTOR 3 /* a host may have closed 0 to 2, and fill them later */

/* All of an attempt's descriptors; -1: none. */
struct spawning {
	int ours;
	int keepers;
	int host;        /* pidfd of this process */
	int report_read; /* an errno comes here where the keeper could not be executed, else only the end */
	int report_write;
};

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void spawning_free(struct spawning *spawning)
{
	close_if_open(spawning->ours);
	close_if_open(spawning->keepers);
	close_if_open(spawning->host);
	close_if_open(spawning->report_read);
	close_if_open(spawning->report_write);
}

/* Moves *FD above the standard descriptors. */
static int raise_descriptor(int *fd)
{
	if (*fd >= LOWEST_DESCRIPTOR)
		return 0;
	int moved = fcntl(*fd, F_DUPFD_CLOEXEC, LOWEST_DESCRIPTOR);
	if (moved < 0)
		return errno;
	close(*fd);
	*fd = moved;
	return 0;
}

/* The pidfd is taken before anything is forked: it cannot come to mean another process. */
static int open_all(struct spawning *spawning)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	spawning->ours = pair[0];
	spawning->keepers = pair[1];
	if (pipe2(pair, O_CLOEXEC) != 0)
		return errno;
	spawning->report_read = pair[0];
	spawning->report_write = pair[1];
	spawning->host = pidfd_of_self();
	if (spawning->host < 0)
		return errno;
	return raise_descriptor(&spawning->ours);
}

/* fork() without the host's pthread_atfork() handlers, and without a SIGCHLD when the child ends: neither a handler
 * nor a wait() of the host's sees it.  All arguments are zero, so their order, which depends on the machine, is
 * none. */
static pid_t fork_quietly(void)
{
	return (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
}

/* In the grandchild; does not return. */
static void become_keeper(const struct spawning *spawning, gid_t tty_group)
{
	static char *const arguments[] = { "awsflock-keeper", "--session-fd", "3", "--host-fd", "4", NULL };
	static char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	_Static_assert(CLEAN_SOCKET == 3 && CLEAN_HOST == 4, "the keeper is told other descriptors");
	/* Out of the places that clean_process() fills. */
	int report = fcntl(spawning->report_write, F_DUPFD_CLOEXEC, CLEAN_FIRST_CLOSED);
	int code = clean_process(spawning->keepers, spawning->host, tty_group);
	if (code == 0) {
		execve(KEEPER_PATH, arguments, environment);
		code = errno;
	}
	ssize_t ignored = write(report, &code, sizeof(code));
	forked_exit(ignored == sizeof(code) ? 126 : 127);
}

/* In the child, between the host and the keeper. */
static void become_nobodys_parent(const struct spawning *spawning, gid_t tty_group)
{
	setsid();
	pid_t pid = fork_quietly();
	if (pid == 0)
		become_keeper(spawning, tty_group);
	forked_exit(pid > 0 ? 0 : errno & 0xFF);
}

/* 0 once the keeper runs. */
static int await_exec(int report)
{
	struct pollfd waited = { .fd = report, .events = POLLIN };
	int ready;
	do
		ready = poll(&waited, 1, EXEC_LIMIT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready == 0 ? ETIMEDOUT : errno;
	int code = 0;
	ssize_t size;
	do
		size = read(report, &code, sizeof(code));
	while (size < 0 && errno == EINTR);
	return size == 0 ? 0 : size == sizeof(code) && code > 0 ? code : EIO;
}

static int fork_twice(const struct spawning *spawning, gid_t tty_group)
{
	sigset_t all, before;
	sigfillset(&all);
	/* Blocked so that none of the host's handlers runs in a child; the keeper starts with none blocked. */
	int code = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (code != 0)
		return code;
	pid_t pid = fork_quietly();
	if (pid == 0)
		become_nobodys_parent(spawning, tty_group);
	code = pid < 0 ? errno : 0;
	int status = 0;
	if (pid > 0)
		while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (code == 0 && status != 0)
		code = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return code;
}

int spawn_keeper(gid_t tty_group, int *socket)
{
	struct spawning spawning = { -1, -1, -1, -1, -1 };
	int code = open_all(&spawning);
	if (code == 0)
		code = fork_twice(&spawning, tty_group);
	if (code == 0) {
		close_if_open(spawning.report_write);
		spawning.report_write = -1;
		code = await_exec(spawning.report_read);
	}
	if (code == 0) {
		*socket = spawning.ours;
		spawning.ours = -1;
	}
	spawning_free(&spawning);
	return code;
}
