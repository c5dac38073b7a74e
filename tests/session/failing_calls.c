/* Preloaded into a keeper: from the FAIL_AT-th on, FAIL_TIMES calls of the function FAIL_CALL fail, as a kernel without
 * memory has them fail.  The file FAIL_MARK is made when the first does.  SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

static char failing_call[32], mark_path[256];
static long calls_left = -1, failures_left;

/* The keeper forgets its environment as soon as it starts. */
__attribute__((constructor)) static void read_settings(void)
{
	const char *call = getenv("FAIL_CALL"), *at = getenv("FAIL_AT"), *times = getenv("FAIL_TIMES"),
		   *mark = getenv("FAIL_MARK");

	if (!call || !at || !times || !mark)
		return;
	strncpy(failing_call, call, sizeof(failing_call) - 1);
	strncpy(mark_path, mark, sizeof(mark_path) - 1);
	calls_left = strtol(at, NULL, 10);
	failures_left = strtol(times, NULL, 10);
}

static bool must_fail(const char *call)
{
	int fd;

	if (strcmp(call, failing_call) != 0 || failures_left == 0 || (calls_left > 0 && --calls_left > 0))
		return false;
	failures_left--;
	fd = open(mark_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	errno = ENOMEM;
	return true;
}

/* The C library's own. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

EXPORTED int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return must_fail("poll") ? -1 : REAL(poll)(fds, count, timeout);
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return must_fail("recvmsg") ? -1 : REAL(recvmsg)(fd, message, flags);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	return must_fail("sendmsg") ? -1 : REAL(sendmsg)(fd, message, flags);
}

EXPORTED pid_t fork(void)
{
	return must_fail("fork") ? -1 : REAL(fork)();
}

EXPORTED void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return must_fail("mmap") ? MAP_FAILED : REAL(mmap)(address, size, protection, flags, fd, offset);
}

EXPORTED int memfd_create(const char *name, unsigned flags)
{
	return must_fail("memfd_create") ? -1 : REAL(memfd_create)(name, flags);
}

EXPORTED int socketpair(int domain, int type, int protocol, int pair[2])
{
	return must_fail("socketpair") ? -1 : REAL(socketpair)(domain, type, protocol, pair);
}

EXPORTED int timerfd_create(int clock, int flags)
{
	return must_fail("timerfd_create") ? -1 : REAL(timerfd_create)(clock, flags);
}

EXPORTED int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	return must_fail("timerfd_settime") ? -1 : REAL(timerfd_settime)(fd, flags, value, old);
}

/* pidfd_open() and pidfd_send_signal(), which Debian 12's C library has under no name of their own. */
EXPORTED long syscall(long number, ...)
{
	long a[6];
	va_list arguments;

	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	return must_fail("syscall") ? -1 : REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
