/* See sharing.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/sharing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/run_directory.h"

#define BACKLOG 512
#define ENTER_WITHIN_NS (5 * NS_PER_S)
#define LEAVE_WITHIN_NS (500 * NS_PER_MS)

/* FNV-1a.  It only has to be short and the same everywhere: a collision is found out in JOIN. */
static uint64_t hash_text(uint64_t start, const char *text)
{
	for (;; text++) {
		start = (start ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
		if (!*text)
			return start;
	}
}

void sharing_init(struct sharing *sharing, const char *store_name, const char *lock, uid_t person,
		  bool is_for_person)
{
	uint64_t first = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), store_name), lock);

	*sharing = (struct sharing){ .listener = -1, .is_wanted = true };
	snprintf(sharing->name, sizeof(sharing->name), "%016" PRIx64 "-%u%s", first, (unsigned)person,
		 is_for_person ? "" : "-alone");
}

/* Through the open directory: no part of the way can be exchanged. */
static struct sockaddr_un address_in(int directory, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory, name);
	return address;
}

static int connect_in(int directory, const char *name)
{
	struct sockaddr_un address = address_in(directory, name);
	int saved_errno, fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return -1;
}

static bool is_socket(int directory, const char *name, struct stat *status)
{
	return fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(status->st_mode);
}

static bool listen_in(int directory, struct sharing *sharing)
{
	struct sockaddr_un address = address_in(directory, sharing->name);
	struct stat status;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return false;
	/* What is there belongs to a keeper that was killed: nobody answered. */
	if ((unlinkat(directory, sharing->name, 0) != 0 && errno != ENOENT) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0 ||
	    !is_socket(directory, sharing->name, &status)) {
		close(fd);
		return false;
	}
	sharing->listener = fd;
	sharing->device = status.st_dev;
	sharing->inode = status.st_ino;
	return true;
}

enum sharing_result sharing_enter(struct sharing *sharing, bool only_probes, int *fd)
{
	int directory = run_directory_open(), found;
	enum sharing_result result = SHARING_NONE;

	if (directory < 0)
		return SHARING_NONE;
	/* One at a time finds nobody and takes the place. */
	if (run_directory_lock(directory, clock_boot_ns() + ENTER_WITHIN_NS)) {
		found = connect_in(directory, sharing->name);
		if (found >= 0) {
			*fd = found;
			result = SHARING_CONNECTED;
		} else if (!only_probes && errno != EAGAIN && listen_in(directory, sharing)) {
			result = SHARING_LISTENING;
		}
	}
	close(directory);
	return result;
}

void sharing_take(struct sharing *sharing)
{
	int directory = run_directory_open();

	if (directory < 0)
		return;
	if (run_directory_lock(directory, clock_boot_ns() + ENTER_WITHIN_NS))
		listen_in(directory, sharing);
	close(directory);
}

int sharing_accept(const struct sharing *sharing)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd = accept4(sharing->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != geteuid()) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool is_still_ours(int directory, const struct sharing *sharing)
{
	struct stat status;

	return is_socket(directory, sharing->name, &status) && status.st_dev == sharing->device &&
	       status.st_ino == sharing->inode;
}

void sharing_restore(struct sharing *sharing)
{
	struct sharing made = *sharing;
	int directory;

	if (!sharing->is_wanted || sharing->listener < 0)
		return;
	directory = run_directory_open();
	if (directory < 0)
		return;
	if (!is_still_ours(directory, sharing) && run_directory_lock(directory, 0) && listen_in(directory, &made)) {
		close(sharing->listener);
		*sharing = made;
	}
	close(directory);
}

void sharing_leave(struct sharing *sharing)
{
	int directory;

	if (sharing->listener < 0)
		return;
	directory = run_directory_open();
	if (directory >= 0) {
		/* A socket that stays is one at which nobody answers. */
		if (run_directory_lock(directory, clock_boot_ns() + LEAVE_WITHIN_NS) &&
		    is_still_ours(directory, sharing))
			unlinkat(directory, sharing->name, 0);
		close(directory);
	}
	close(sharing->listener);
	sharing->listener = -1;
}
