/* See descriptors.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
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

/* As getdents64(2) gives it. */
struct entry {
	uint64_t inode;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static void each_in(const char *entries, long size, int first, int listing, void (*each)(int fd))
{
	const struct entry *entry;
	int64_t fd;

	for (long at = 0; at < size; at += entry->size) {
		entry = (const void *)(entries + at);
		if (text_parse_int64(entry->name, first, INT_MAX, &fd) && fd != listing)
			each((int)fd);
	}
}

/* Before Linux 5.9 (5.11 with CLOSE_RANGE_CLOEXEC), or where a seccomp filter forbids it, there is no close_range(2).
 * Not opendir(): it allocates, and another thread may have held the allocator's lock when this process was forked.  The
 * place in the list is a descriptor's number, so that closing some of them moves none of the others. */
static bool each_listed(int first, void (*each)(int fd))
{
	_Alignas(struct entry) char entries[2048];
	int listing = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long size;

	if (listing < 0)
		return false;
	while ((size = syscall(SYS_getdents64, listing, entries, sizeof(entries))) > 0)
		each_in(entries, size, first, listing, each);
	close(listing);
	return size == 0;
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
