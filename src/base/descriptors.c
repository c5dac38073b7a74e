/* See descriptors.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static void close_one(int fd)
{
	close(fd);
}

static void mark_one(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Before Linux 5.9 (5.11 with CLOSE_RANGE_CLOEXEC), or where a seccomp filter forbids it, there is no close_range(2). */
static bool each_listed(int first, void (*each)(int fd))
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int64_t fd;

	if (!directory)
		return false;
	while ((entry = readdir(directory)))
		if (text_parse_int64(entry->d_name, first, INT_MAX, &fd) && fd != dirfd(directory))
			each((int)fd);
	closedir(directory);
	return true;
}

bool descriptors_close_from(int first)
{
	return syscall(SYS_close_range, (unsigned)first, ~0u, 0) == 0 || each_listed(first, close_one);
}

bool descriptors_close_on_exec_from(int first)
{
	return syscall(SYS_close_range, (unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC) == 0 ||
	       each_listed(first, mark_one);
}
