/* See lease_file.h.  Nothing is synced to disk: what a crash of the machine can spoil tells of a holder that is gone with
 * it.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/lease_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/write_all.h"

/* Whoever loses that often against others who make and remove the file finds it busy. */
#define TRIES_MAX 1000
#define NEW_NAME_SIZE (NAME_MAX + 1)

static awsflock_code storage_error(const struct lease_file *file, const char *doing, awsflock_error *error)
{
	return error_set_errno(error, AWSFLOCK_STORAGE, errno, "cannot %s the lease file %s", doing, file->path);
}

awsflock_code lease_file_open(struct lease_file *file, const char *path, awsflock_error *error)
{
	const char *slash = strrchr(path, '/');
	char *directory;

	*file = (struct lease_file){ .path = path, .name = slash ? slash + 1 : path, .directory = -1, .fd = -1 };
	if (file->name[0] == '\0' || strcmp(file->name, ".") == 0 || strcmp(file->name, "..") == 0)
		return error_set(error, AWSFLOCK_INVALID, "'%s' is no name of a file", path);
	directory = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	if (!directory)
		return error_out_of_memory(error);
	file->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	return file->directory >= 0 ? AWSFLOCK_OK : storage_error(file, "open the directory of", error);
}

void lease_file_let_go(struct lease_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

void lease_file_close(struct lease_file *file)
{
	lease_file_let_go(file);
	if (file->directory >= 0)
		close(file->directory);
	file->directory = -1;
}

/* ---- Taking ------------------------------------------------------------------------------------------------ */

static awsflock_code judge(const struct lease_file *file, const struct stat *status, awsflock_error *error)
{
	if (S_ISLNK(status->st_mode))
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s is a symbolic link: a lease file is where its name says, name that place",
				 file->path);
	if (!S_ISREG(status->st_mode))
		return error_set(error, AWSFLOCK_CONFIG, "%s is no regular file: name another one", file->path);
	if (status->st_uid != geteuid())
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s belongs to user %u: a lease file is its holder's own, name another one",
				 file->path, (unsigned)status->st_uid);
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return error_set(error, AWSFLOCK_CONFIG,
				 "others may write to %s, so what stands there may be theirs: name another file",
				 file->path);
	return AWSFLOCK_OK;
}

enum presence {
	IN_PLACE,
	MISSING,
	REPLACED
};

/* Whether the name still leads to the open file. */
static enum presence find_in_place(const struct lease_file *file)
{
	struct stat open_one, named;

	if (fstatat(file->directory, file->name, &named, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? MISSING : REPLACED;
	if (fstat(file->fd, &open_one) != 0)
		return REPLACED;
	return named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev ? IN_PLACE : REPLACED;
}

static awsflock_code make(struct lease_file *file, awsflock_error *error)
{
	file->fd = openat(file->directory, file->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd >= 0 || errno == EEXIST)
		return AWSFLOCK_OK;
	return storage_error(file, "make", error);
}

static awsflock_code open_existing(struct lease_file *file, awsflock_error *error)
{
	struct stat status;

	/* It was looked at before, since to open a device may do something. */
	file->fd = openat(file->directory, file->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (file->fd < 0)
		return errno == ENOENT ? AWSFLOCK_OK : storage_error(file, "open", error);
	if (fstat(file->fd, &status) != 0)
		return storage_error(file, "look at", error);
	return judge(file, &status, error);
}

/* AWSFLOCK_OK with fd -1: something has changed meanwhile, look again. */
static awsflock_code open_or_make(struct lease_file *file, bool create, awsflock_error *error)
{
	struct stat status;
	awsflock_code code;

	if (fstatat(file->directory, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
		code = judge(file, &status, error);
		return code == AWSFLOCK_OK ? open_existing(file, error) : code;
	}
	if (errno != ENOENT)
		return storage_error(file, "look at", error);
	if (create)
		return make(file, error);
	return error_set(
		error, AWSFLOCK_LOST,
		"there is no lease file %s: its lock was released, or the file is lost ('awsflock status LOCK' "
		"tells)",
		file->path);
}

awsflock_code lease_file_take(struct lease_file *file, bool create, bool *taken, awsflock_error *error)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		awsflock_code code;

		lease_file_let_go(file);
		code = open_or_make(file, create, error);
		if (code != AWSFLOCK_OK)
			return code;
		if (file->fd < 0)
			continue;
		*taken = flock(file->fd, LOCK_EX | LOCK_NB) == 0;
		if (!*taken && errno != EWOULDBLOCK && errno != EINTR)
			return storage_error(file, "lock", error);
		if (find_in_place(file) == IN_PLACE)
			return AWSFLOCK_OK;
	}
	return error_set(error, AWSFLOCK_STORAGE, "the lease file %s is replaced all the time", file->path);
}

/* ---- Reading ----------------------------------------------------------------------------------------------- */

awsflock_code lease_file_read(const struct lease_file *file, struct lease_record *record, bool *empty,
			      awsflock_error *error)
{
	char *text = malloc(LEASE_RECORD_MAX + 1);
	ssize_t size;
	bool good;

	if (!text)
		return error_out_of_memory(error);
	size = pread(file->fd, text, LEASE_RECORD_MAX + 1, 0);
	if (size < 0) {
		free(text);
		return storage_error(file, "read", error);
	}
	*empty = size == 0;
	good = *empty || lease_record_decode(text, (size_t)size, record);
	free(text);
	if (good)
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_CONFIG,
			 "%s is no lease file, or a damaged one: if nothing is held by it, remove it", file->path);
}

/* ---- Writing ----------------------------------------------------------------------------------------------- */

/* A locked file with TEXT under NAME, which nobody else uses: who writes has taken the lease file.  -1 with errno. */
static int make_new(const struct lease_file *file, const char *name, const struct buf *text)
{
	int fd, failure;

	unlinkat(file->directory, name, 0); /* left by one that was killed */
	fd = openat(file->directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	failure = fchmod(fd, 0600) == 0 ? write_all(fd, text->data, text->size) : errno;
	if (failure == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
		failure = errno;
	if (failure == 0)
		return fd;
	close(fd);
	unlinkat(file->directory, name, 0);
	errno = failure;
	return -1;
}

static awsflock_code put_in_place(const struct lease_file *file, const char *name, awsflock_error *error)
{
	switch (find_in_place(file)) {
	case IN_PLACE:
		if (renameat(file->directory, name, file->directory, file->name) == 0)
			return AWSFLOCK_OK;
		return storage_error(file, "replace", error);
	case MISSING: /* made anew, and not over what comes there just now */
		if (linkat(file->directory, name, file->directory, file->name, 0) != 0)
			return storage_error(file, "make", error);
		unlinkat(file->directory, name, 0);
		return AWSFLOCK_OK;
	default:
		return error_set(error, AWSFLOCK_STORAGE,
				 "another file is in the place of the lease file %s, and is left alone",
				 file->path);
	}
}

static awsflock_code write_text(struct lease_file *file, const struct buf *text, awsflock_error *error)
{
	char name[NEW_NAME_SIZE];
	awsflock_code code;
	int fd;

	if (snprintf(name, sizeof(name), ".%s.new", file->name) >= (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return storage_error(file, "write", error);
	}
	fd = make_new(file, name, text);
	if (fd < 0)
		return storage_error(file, "write", error);
	code = put_in_place(file, name, error);
	if (code != AWSFLOCK_OK) {
		close(fd);
		unlinkat(file->directory, name, 0);
		return code;
	}
	close(file->fd);
	file->fd = fd;
	return AWSFLOCK_OK;
}

awsflock_code lease_file_write(struct lease_file *file, const struct lease_record *record, awsflock_error *error)
{
	struct buf text = BUF_INIT;
	awsflock_code code = AWSFLOCK_MEMORY;

	if (lease_record_encode(record, &text))
		code = write_text(file, &text, error);
	else
		error_out_of_memory(error);
	buf_free(&text);
	return code;
}

void lease_file_remove(struct lease_file *file)
{
	if (find_in_place(file) == IN_PLACE)
		unlinkat(file->directory, file->name, 0);
}
