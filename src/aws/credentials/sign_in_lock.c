/* See sign_in_lock.h.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What three attempts take that are not answered, each of the ten seconds that one may last by itself. */
#define WAIT_MAX_NS (INT64_C(30) * NS_PER_S)
#define PAUSE_NS (100 * NS_PER_MS)

/* Each renewal puts another file in the place of the one that was locked meanwhile. */
static bool is_in_place(int fd, const char *path)
{
	struct stat locked, there;

	return fstat(fd, &locked) == 0 && lstat(path, &there) == 0 && locked.st_dev == there.st_dev &&
	       locked.st_ino == there.st_ino;
}

/* The descriptor; -1 with errno, EWOULDBLOCK where it may be had later. */
static int try_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW), failed;

	if (fd < 0)
		return -1;
	failed = flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
	if (failed == 0 && is_in_place(fd, path))
		return fd;
	sign_in_unlock(fd);
	errno = failed != 0 ? failed : EWOULDBLOCK;
	return -1;
}

int sign_in_lock(const struct credentials_context *context, const char *path)
{
	struct runtime *runtime = context->runtime;
	int64_t until = runtime_boot_ns(runtime) + WAIT_MAX_NS, next;
	int fd;

	if (until > context->give_up_boot_ns)
		until = context->give_up_boot_ns;
	for (;;) {
		fd = try_lock(path);
		if (fd >= 0 || errno != EWOULDBLOCK)
			return fd;
		next = runtime_boot_ns(runtime) + PAUSE_NS;
		if (next >= until || !runtime_sleep_until(runtime, next))
			return -1;
	}
}

void sign_in_unlock(int lock_fd)
{
	if (lock_fd < 0)
		return;
	flock(lock_fd, LOCK_UN); /* a child that another thread has just made may have the descriptor, too */
	close(lock_fd);
}
