/* See run_directory.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define DIRECTORY_MODE 0700
/* It is held for moments, but a process that holds it may be stopped. */
#define LOCK_AGAIN_NS (10 * NS_PER_MS)

static int open_in(int parent, const char *name)
{
	struct stat status;
	int fd;

	if (mkdirat(parent, name, DIRECTORY_MODE) != 0 && errno != EEXIST)
		return -1;
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &status) != 0 || status.st_uid != geteuid() || (status.st_mode & 077)) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

int run_directory_open(void)
{
	return open_in(AT_FDCWD, AWSFLOCK_RUN_DIR);
}

int run_directory_open_below(const char *name)
{
	int directory = run_directory_open(), fd, saved_errno;

	if (directory < 0)
		return -1;
	fd = open_in(directory, name);
	saved_errno = errno;
	close(directory);
	errno = saved_errno;
	return fd;
}

bool run_directory_lock(int directory, int64_t until_ns)
{
	while (flock(directory, LOCK_EX | LOCK_NB) != 0) {
		if ((errno != EWOULDBLOCK && errno != EINTR) || clock_boot_ns() >= until_ns)
			return false;
		clock_pause_ns(LOCK_AGAIN_NS);
	}
	return true;
}
