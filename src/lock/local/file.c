/* One local lock's file: locking, reading and replacing it.
 *
 * A change is made under flock(2) on the file itself, by writing a new file and renaming it over.  Since the
 * renamed file is another one, whoever waited for the flock has to look again whether the name still leads to what
 * it locked.
 *
 * Nothing is synced to disk, on purpose: what a crash of the machine can lose or spoil is from another boot then,
 * and a lease of another boot has ended with its holder.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/write_all.h"
#include "lock/local/name.h"
#include "lock/local/record.h"

#define WAIT_MAX_NS (10 * NS_PER_S)
#define READER_WAIT_MAX_NS (100 * NS_PER_MS)
#define ACCESS_WAIT_MAX_NS (50 * NS_PER_MS)
#define PAUSE_MIN_NS NS_PER_MS
#define PAUSE_MAX_NS (50 * NS_PER_MS)
#define TEMPORARY_NAME_SIZE (LOCAL_NAME_SIZE + sizeof(".") + sizeof(".tmp"))

const char *local_file_path(const struct local_file *file, struct buf *buffer)
{
	buf_reset(buffer);
	buf_printf(buffer, "%s/%s", file->directory->path, file->name);
	return buf_text(buffer);
}

static awsflock_code file_error(const struct local_file *file, awsflock_code code, int system_errno,
				const char *before, const char *after, awsflock_error *error)
{
	if (system_errno == 0)
		return error_set(error, code, "%s%s/%s%s", before, file->directory->path, file->name, after);
	return error_set_errno(error, code, system_errno, "%s%s/%s%s", before, file->directory->path, file->name,
			       after);
}

/* ---- Opening ---------------------------------------------------------------------------------------------- */

/* What a failed open() or a file of another type means. */
static awsflock_code open_failed(const struct local_file *file, int system_errno, awsflock_error *error)
{
	switch (system_errno) {
	case ELOOP:
	case EISDIR:
	case ENXIO:
	case EINVAL:
		return file_error(file, AWSFLOCK_BAD_ITEM, 0, "",
				  " is not a regular file; if nobody holds this lock, "
				  "remove it",
				  error);
	case EACCES:
	case EPERM:
		return file_error(file, AWSFLOCK_STORAGE, system_errno, "cannot open ",
				  " (ask its owner, or use a directory of your own)", error);
	case EROFS:
		return file_error(file, AWSFLOCK_STORAGE, system_errno, "cannot change ",
				  " (use a directory elsewhere)", error);
	case ENOSPC:
	case EDQUOT:
		return file_error(file, AWSFLOCK_STORAGE, system_errno, "cannot make ",
				  " (nothing was changed; free some space)", error);
	default:
		return file_error(file, AWSFLOCK_STORAGE, system_errno, "cannot open ", "", error);
	}
}

/* In a shared directory files are the group's, whatever the umask; elsewhere they are the owner's alone.  A failure
 * leaves the file less open than it could be, never more. */
static void set_access(const struct local_directory *directory, int fd)
{
	struct stat info;

	if (!directory->shared) {
		fchmod(fd, 0600);
		return;
	}
	if (fchown(fd, (uid_t)-1, directory->group) != 0) {
		/* Its group, whichever it is, is asked for below. */
	}
	if (fstat(fd, &info) == 0)
		fchmod(fd, info.st_gid == directory->group ? 0660 : 0600);
}

/* Between a shared file's making and set_access() the group is locked out for a moment. */
static bool is_being_made(const struct local_file *file)
{
	struct stat info;

	return file->directory->shared &&
	       fstatat(file->directory->fd, file->name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
	       info.st_size == 0;
}

/* Opens what exists: a descriptor, or -1 with errno. */
static int open_existing(const struct local_file *file, int flags)
{
	int64_t end = runtime_boot_ns(file->runtime) + ACCESS_WAIT_MAX_NS;

	for (;;) {
		/* O_NONBLOCK: a FIFO that somebody put there must not block. */
		int fd = openat(file->directory->fd, file->name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		int64_t now;

		if (fd >= 0 || errno != EACCES || !is_being_made(file))
			return fd;
		now = runtime_boot_ns(file->runtime);
		if (now >= end || !runtime_sleep_until(file->runtime, now + PAUSE_MIN_NS)) {
			errno = EACCES;
			return -1;
		}
	}
}

static int make_empty(const struct local_file *file)
{
	int fd = openat(file->directory->fd, file->name,
			O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd >= 0)
		set_access(file->directory, fd);
	return fd;
}

/* Opens the file, fd -1 and AWSFLOCK_OK where there is none. */
static awsflock_code open_file(struct local_file *file, int flags, bool create, awsflock_error *error)
{
	struct stat info;
	int failure = 0;

	do {
		file->fd = open_existing(file, flags);
		if (file->fd < 0 && errno == ENOENT && create)
			file->fd = make_empty(file);
	} while (file->fd < 0 && errno == EEXIST);
	if (file->fd < 0)
		return errno == ENOENT ? AWSFLOCK_OK : open_failed(file, errno, error);
	if (fstat(file->fd, &info) != 0)
		failure = errno;
	else if (!S_ISREG(info.st_mode))
		failure = EINVAL; /* what open_failed() takes for that */
	if (failure == 0)
		return AWSFLOCK_OK;
	local_file_close(file);
	return open_failed(file, failure, error);
}

void local_file_close(struct local_file *file)
{
	if (file->fd < 0)
		return;
	/* Closing alone would not do while a child that another thread forked holds a copy. */
	flock(file->fd, LOCK_UN);
	close(file->fd);
	file->fd = -1;
}

/* ---- Locking ---------------------------------------------------------------------------------------------- */

static bool same_file(const struct stat *one, const struct stat *other)
{
	return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static bool still_named(const struct local_file *file)
{
	struct stat opened, named;

	return fstat(file->fd, &opened) == 0 &&
	       fstatat(file->directory->fd, file->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       same_file(&opened, &named);
}

/* The process id before the device and inode in a line of /proc/locks, 0 where it is not this lock's. */
static long lock_line_pid(const char *line, const char *device_and_inode)
{
	const char *at = strstr(line, device_and_inode);
	long pid = 0;
	long unit = 1;

	if (!at || !strstr(line, "FLOCK") || strstr(line, "->"))
		return 0;
	while (at > line && at[-1] >= '0' && at[-1] <= '9' && unit <= 1000000000) {
		pid += (*--at - '0') * unit;
		unit *= 10;
	}
	return pid;
}

/* Who holds the flock on the file, 0 where the system does not tell. */
static long busy_pid(const struct local_file *file)
{
	struct stat info;
	FILE *locks;
	char *line = NULL;
	char wanted[64];
	size_t capacity = 0;
	long pid = 0;

	if (fstatat(file->directory->fd, file->name, &info, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	snprintf(wanted, sizeof(wanted), " %02x:%02x:%ju ", major(info.st_dev), minor(info.st_dev),
		 (uintmax_t)info.st_ino);
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return 0;
	while (pid == 0 && getline(&line, &capacity, locks) >= 0)
		pid = lock_line_pid(line, wanted);
	free(line);
	fclose(locks);
	return pid;
}

static awsflock_code busy(const struct local_file *file, int64_t since_boot_ns, awsflock_error *error)
{
	double seconds = (double)(runtime_boot_ns(file->runtime) - since_boot_ns) / (double)NS_PER_S;
	long pid = busy_pid(file);
	char who[40] = "";

	if (pid > 0)
		snprintf(who, sizeof(who), " (pid %ld)", pid);
	return error_set(error, AWSFLOCK_STORAGE,
			 "another process%s has kept %s/%s busy for %.1f s: see whether it "
			 "is stopped",
			 who, file->directory->path, file->name, seconds);
}

/* One try.  *BUSY: another has the file, or had it.  Else it is open and locked, or does not exist. */
static awsflock_code try_lock(struct local_file *file, bool create, bool *is_busy, awsflock_error *error)
{
	awsflock_code code = open_file(file, O_RDWR, create, error);

	*is_busy = false;
	if (code != AWSFLOCK_OK || file->fd < 0)
		return code;
	if (flock(file->fd, LOCK_EX | LOCK_NB) == 0) {
		if (still_named(file))
			return AWSFLOCK_OK;
	} else if (errno != EWOULDBLOCK && errno != EINTR) {
		code = file_error(file, AWSFLOCK_STORAGE, errno, "cannot flock ", "", error);
	}
	*is_busy = true;
	local_file_close(file);
	return code;
}

static awsflock_code too_late(struct local_file *file, awsflock_error *error)
{
	local_file_drop_empty(file);
	local_file_close(file);
	return file_error(file, AWSFLOCK_STORAGE, 0, "the time allowed for a change of ",
			  " was over before it could be made", error);
}

/* Non-blocking tries with short pauses rather than a blocking flock(2), which only a signal could end. */
awsflock_code local_file_lock(struct local_file *file, bool create, int64_t give_up_boot_ns, awsflock_error *error)
{
	int64_t start = runtime_boot_ns(file->runtime);
	int64_t end = give_up_boot_ns < start + WAIT_MAX_NS ? give_up_boot_ns : start + WAIT_MAX_NS;
	int64_t pause = PAUSE_MIN_NS;

	for (;;) {
		bool is_busy;
		awsflock_code code = try_lock(file, create, &is_busy, error);
		int64_t now = runtime_boot_ns(file->runtime);

		if (code == AWSFLOCK_OK && file->fd >= 0 && now > give_up_boot_ns)
			return too_late(file, error);
		if (code != AWSFLOCK_OK || !is_busy)
			return code;
		if (now >= end)
			return busy(file, start, error);
		if (!runtime_sleep_until(file->runtime, now + pause < end ? now + pause : end))
			return file_error(file, AWSFLOCK_CANCELLED, 0, "cancelled while another process kept ",
					  " busy", error);
		pause = pause * 2 < PAUSE_MAX_NS ? pause * 2 : PAUSE_MAX_NS;
	}
}

/* ---- Reading ---------------------------------------------------------------------------------------------- */

/* A writer on a full disk writes in place, and a reader in between could take a lease's new id for one with the old
 * expiry.  So readers take the flock too, among themselves; but not at any price: somebody who wants to know must
 * be told even while a writer is stopped, and such a one is not in the middle of copying a block. */
awsflock_code local_file_open(struct local_file *file, awsflock_error *error)
{
	awsflock_code code = open_file(file, O_RDONLY, false, error);
	int64_t end = runtime_boot_ns(file->runtime) + READER_WAIT_MAX_NS;
	int64_t pause = PAUSE_MIN_NS;

	if (code != AWSFLOCK_OK || file->fd < 0)
		return code;
	while (flock(file->fd, LOCK_SH | LOCK_NB) != 0) {
		int64_t now = runtime_boot_ns(file->runtime);

		if (errno != EWOULDBLOCK || now >= end || !runtime_sleep_until(file->runtime, now + pause))
			break;
		pause *= 2;
	}
	return AWSFLOCK_OK;
}

awsflock_code local_file_read(const struct local_file *file, struct buf *out, awsflock_error *error)
{
	char block[LOCAL_BLOCK_SIZE];
	off_t at = 0;

	while (out->size <= LOCAL_RECORD_MAX) {
		ssize_t got = pread(file->fd, block, sizeof(block), at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return file_error(file, AWSFLOCK_STORAGE, errno, "cannot read ", "", error);
		if (got == 0)
			break;
		if (!buf_append(out, block, (size_t)got))
			return error_out_of_memory(error);
		at += got;
	}
	return AWSFLOCK_OK;
}

/* ---- Replacing -------------------------------------------------------------------------------------------- */

static bool is_full(int system_errno)
{
	return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

static void name_temporary(const struct local_file *file, char temporary[TEMPORARY_NAME_SIZE])
{
	snprintf(temporary, TEMPORARY_NAME_SIZE, ".%s.tmp", file->name);
}

/* One name a lock, since only the flock's holder uses it: what a killed one left is cleared away by the next. */
static int make_temporary(const struct local_file *file, const char *temporary)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(file->directory->fd, temporary, flags, 0600);

	if (fd >= 0 || errno != EEXIST || unlinkat(file->directory->fd, temporary, 0) != 0)
		return fd;
	return openat(file->directory->fd, temporary, flags, 0600);
}

/* 0, or the errno of what failed; *MAYBE_DONE as in local_file_replace(). */
static int replace_by_rename(const struct local_file *file, const char *temporary, const char *bytes, size_t size,
			     bool *maybe_done)
{
	int fd = make_temporary(file, temporary);
	int failed;

	if (fd < 0)
		return errno;
	set_access(file->directory, fd);
	failed = write_all(fd, bytes, size);
	if (close(fd) != 0 && failed == 0)
		failed = errno;
	if (failed == 0 && renameat(file->directory->fd, temporary, file->directory->fd, file->name) != 0) {
		failed = errno;
		*maybe_done = failed == EIO;
	}
	if (failed != 0)
		unlinkat(file->directory->fd, temporary, 0);
	return failed;
}

/* On a full disk: over the block that the file already has, so that a holder can still renew and release.  A single
 * write inside one page: the kernel looks for a fatal signal before copying a page, not in its middle, so that not
 * even SIGKILL leaves half of it.  0, or the errno of what failed. */
static int replace_in_place(const struct local_file *file, const char *bytes, size_t size, bool *maybe_done)
{
	struct stat info;
	ssize_t done;

	if (size != LOCAL_BLOCK_SIZE || fstat(file->fd, &info) != 0 || info.st_size < (off_t)LOCAL_BLOCK_SIZE)
		return ENOSPC;
	do {
		done = pwrite(file->fd, bytes, size, 0);
	} while (done < 0 && errno == EINTR);
	if (done == (ssize_t)size) {
		if (info.st_size > (off_t)LOCAL_BLOCK_SIZE && ftruncate(file->fd, (off_t)LOCAL_BLOCK_SIZE) != 0) {
			/* What is behind the first block is the end of a longer record, and is ignored. */
		}
		return 0;
	}
	*maybe_done = done >= 0 || !is_full(errno);
	return done >= 0 ? EIO : errno;
}

awsflock_code local_file_replace(const struct local_file *file, const char *bytes, size_t size, bool *maybe_done,
				 awsflock_error *error)
{
	char temporary[TEMPORARY_NAME_SIZE];
	int failed;

	name_temporary(file, temporary);
	*maybe_done = false;
	failed = replace_by_rename(file, temporary, bytes, size, maybe_done);
	if (is_full(failed))
		failed = replace_in_place(file, bytes, size, maybe_done);
	if (failed == 0)
		return AWSFLOCK_OK;
	if (*maybe_done)
		return file_error(file, AWSFLOCK_STORAGE, failed, "cannot tell whether the change was made in ", "",
				  error);
	if (is_full(failed))
		return file_error(file, AWSFLOCK_STORAGE, failed, "cannot write ",
				  " (nothing was changed; free some space)", error);
	return file_error(file, AWSFLOCK_STORAGE, failed, "cannot write ",
			  ", nothing was changed, use a directory that you may write to", error);
}

/* ---- Removing --------------------------------------------------------------------------------------------- */

awsflock_code local_file_remove(const struct local_file *file, awsflock_error *error)
{
	char temporary[TEMPORARY_NAME_SIZE];

	name_temporary(file, temporary);
	unlinkat(file->directory->fd, temporary, 0); /* a killed writer may have left it */
	if (unlinkat(file->directory->fd, file->name, 0) == 0 || errno == ENOENT)
		return AWSFLOCK_OK;
	return file_error(file, AWSFLOCK_STORAGE, errno, "cannot remove ", "", error);
}

void local_file_drop_empty(const struct local_file *file)
{
	struct stat info;

	if (fstat(file->fd, &info) == 0 && info.st_size == 0 && info.st_nlink > 0)
		unlinkat(file->directory->fd, file->name, 0);
}
