/* See trusted_file.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/trusted_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/null_device.h"

static awsflock_code judge_status(const char *what, const char *path, const struct stat *status,
				  awsflock_error *error)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return error_set(error, AWSFLOCK_CONFIG, "%s %s belongs to user %u: make it root's", what, path,
				 (unsigned)status->st_uid);
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return error_set(error, AWSFLOCK_CONFIG,
				 "%s %s can be written by others than root: take that away (chmod go-w)", what,
				 path);
	return AWSFLOCK_OK;
}

/* Nobody but an entry's owner can take it out of a sticky directory, such as /tmp. */
static bool is_open_to_others(const struct stat *directory)
{
	return (directory->st_uid != 0 && directory->st_uid != geteuid()) ||
	       ((directory->st_mode & (S_IWGRP | S_IWOTH)) && !(directory->st_mode & S_ISVTX));
}

/* PATH is cut shorter. */
static awsflock_code judge_directories_above(const char *what, char *path, awsflock_error *error)
{
	struct stat status;
	char *slash;

	while (path[1] != '\0' && (slash = strrchr(path, '/')) != NULL) {
		slash[slash == path ? 1 : 0] = '\0';
		if (stat(path, &status) != 0)
			return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot look at the directory %s",
					       path);
		if (is_open_to_others(&status))
			return error_set(
				error, AWSFLOCK_CONFIG,
				"others than root can change the directory %s, so they can change %s: move "
				"%s to where only root can write, such as /etc",
				path, what, what);
	}
	return AWSFLOCK_OK;
}

/* Whoever may write a directory above a file can put another one in its place: by the path as it is named, and by
 * the one to which symbolic links in it lead. */
static awsflock_code judge_way(const char *what, const char *path, awsflock_error *error)
{
	char named[PATH_MAX], real[PATH_MAX];
	awsflock_code code = AWSFLOCK_OK;

	if (snprintf(named, sizeof(named), "%s", path) >= (int)sizeof(named) || !realpath(path, real))
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot find %s %s", what, path);
	if (named[0] == '/')
		code = judge_directories_above(what, named, error);
	return code == AWSFLOCK_OK ? judge_directories_above(what, real, error) : code;
}

awsflock_code trusted_file_open(const char *what, const char *path, int *fd, awsflock_error *error)
{
	int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	awsflock_code code = AWSFLOCK_OK;

	if (opened < 0 && errno == ELOOP)
		return error_set(error, AWSFLOCK_CONFIG, "%s %s is a symbolic link: name the file itself", what,
				 path);
	if (opened < 0)
		return error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot open %s %s", what, path);
	if (fstat(opened, &status) != 0)
		code = error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s %s", what, path);
	else if (!is_null_device(&status) && !S_ISREG(status.st_mode))
		code = error_set(error, AWSFLOCK_CONFIG, "%s %s is not a regular file", what, path);
	else if (!is_null_device(&status))
		code = judge_status(what, path, &status, error);
	if (code == AWSFLOCK_OK)
		code = judge_way(what, path, error);
	if (code == AWSFLOCK_OK)
		*fd = opened;
	else
		close(opened);
	return code;
}

awsflock_code trusted_directory_check(const char *what, const char *path, awsflock_error *error)
{
	struct stat status;
	awsflock_code code;

	if (lstat(path, &status) != 0)
		return errno == ENOENT
			       ? AWSFLOCK_OK
			       : error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot look at %s %s", what, path);
	if (!S_ISDIR(status.st_mode))
		return error_set(error, AWSFLOCK_CONFIG, "%s %s is not a directory", what, path);
	code = judge_status(what, path, &status, error);
	return code == AWSFLOCK_OK ? judge_way(what, path, error) : code;
}
