/* See descriptors.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"

/* Before Linux 5.9, or where a seccomp filter forbids it, there is no close_range(2). */
static void close_listed(int first)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int64_t fd;

	if (!directory)
		return;
	while ((entry = readdir(directory)))
		if (text_parse_int64(entry->d_name, first, INT_MAX, &fd) && fd != dirfd(directory))
			close((int)fd);
	closedir(directory);
}

void descriptors_close_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0u, 0) != 0)
		close_listed(first);
}
