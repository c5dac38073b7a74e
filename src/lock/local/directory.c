/* Finding, making and judging the local store's directory.
 *
 * Whoever can rename or replace a lock's file holds every lock.  So the path is walked from "/" one name at a time,
 * each step through a descriptor of the one before, and each directory is judged by that descriptor: nothing can be
 * exchanged between the check and the use.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"

#define LINKS_MAX 40 /* what the kernel allows in one path */
#define OPEN_STEP (O_PATH | O_NOFOLLOW | O_CLOEXEC)

struct walk {
	struct local_directory *directory;
	int fd;           /* where the walk is, O_PATH */
	struct stat info; /* of it */
	char *rest;       /* what is still to be walked */
	int links;        /* symbolic links followed */
	bool create;
	bool missing; /* the next name does not exist */
	awsflock_error *error;
};

/* The real path of an open file, for sentences: GIVEN where the system does not tell. */
static const char *path_of(int fd, const char *given, char *buffer, size_t size)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, buffer, size - 1);
	if (length <= 0)
		return given;
	buffer[length] = '\0';
	return buffer;
}

/* ---- Judging ---------------------------------------------------------------------------------------------- */

static awsflock_code check_ancestor(struct walk *walk)
{
	char buffer[PATH_MAX];
	const char *path;

	if ((walk->info.st_mode & S_IWOTH) == 0 || (walk->info.st_mode & S_ISVTX) != 0)
		return AWSFLOCK_OK;
	path = path_of(walk->fd, "a parent directory", buffer, sizeof(buffer));
	return error_set(walk->error, AWSFLOCK_BAD_TABLE,
			 "%s can be written by every user, who could put another directory in the place of %s: "
			 "use a directory elsewhere",
			 path, walk->directory->path);
}

static awsflock_code check_owner(const char *path, const struct stat *info, awsflock_error *error)
{
	if (info->st_uid == geteuid() || info->st_uid == 0 || (info->st_mode & S_IWGRP) != 0)
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_BAD_TABLE,
		"%s belongs to another user (uid %lu): use a directory of your own, or one made for sharing "
		"(--local in awsflock(1))",
		path, (unsigned long)info->st_uid);
}

static awsflock_code check_member(const char *path, int fd, const struct stat *info, awsflock_error *error)
{
	int inside;

	if ((info->st_mode & S_IWGRP) == 0)
		return AWSFLOCK_OK;
	inside = openat(fd, ".", OPEN_STEP); /* takes the right to search it, as all that is done in it does */
	if (inside >= 0)
		close(inside);
	if (inside >= 0 || errno != EACCES)
		return AWSFLOCK_OK;
	error_set(error, AWSFLOCK_STORAGE,
		  "%s is open to the members of its group alone: have root add you to it, and log in anew, or keep "
		  "locks of your own with --local=DIR",
		  path);
	error_set_detail(error, ERROR_DETAIL_MEMBER);
	return AWSFLOCK_STORAGE;
}

/* A boot id and CLOCK_BOOTTIME mean nothing to another machine, so its leases would look expired. */
static awsflock_code check_file_system(const char *path, int fd, awsflock_error *error)
{
	static const unsigned long of_several_machines[] = {
		NFS_SUPER_MAGIC,       0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */,
		AFS_SUPER_MAGIC,       AFS_FS_MAGIC,          0x00c36400 /* Ceph */,
		0x01161970 /* GFS2 */, OCFS2_SUPER_MAGIC,     0x0bd00bd0 /* Lustre */,
	};
	struct statfs info;

	if (fstatfs(fd, &info) != 0)
		return AWSFLOCK_OK;
	for (size_t i = 0; i < sizeof(of_several_machines) / sizeof(of_several_machines[0]); i++)
		if (((unsigned long)info.f_type & 0xffffffff) == of_several_machines[i])
			return error_set(
				error, AWSFLOCK_BAD_TABLE,
				"%s is on a network file system, and the local store serves one machine only: "
				"use a local directory, or a DynamoDB table",
				path);
	return AWSFLOCK_OK;
}

static awsflock_code check_directory(const char *path, int fd, const struct stat *info, awsflock_error *error)
{
	awsflock_code code;

	/* Sticky or not: a file that everybody can make, everybody can make first. */
	if ((info->st_mode & S_IWOTH) != 0)
		return error_set(error, AWSFLOCK_BAD_TABLE,
				 "%s can be written by every user, so that anybody could forge locks in it: use a "
				 "directory of your own",
				 path);
	code = check_owner(path, info, error);
	if (code == AWSFLOCK_OK)
		code = check_member(path, fd, info, error);
	if (code != AWSFLOCK_OK)
		return code;
	if ((info->st_mode & S_IWGRP) != 0 && (info->st_mode & S_ISVTX) != 0)
		return error_set(
			error, AWSFLOCK_BAD_TABLE,
			"%s is shared with its group, but is sticky, so that its users cannot replace each "
			"other's files: use one made for sharing (--local in awsflock(1))",
			path);
	return check_file_system(path, fd, error);
}

/* ---- Walking ---------------------------------------------------------------------------------------------- */

static awsflock_code walk_failed(struct walk *walk, int system_errno, const char *what, const char *name)
{
	return error_set_errno(walk->error, AWSFLOCK_STORAGE, system_errno,
			       "cannot %s \"%s\" on the way to %s (name another directory with --local=DIR)", what,
			       name, walk->directory->path);
}

/* Takes over FD, a directory. */
static void step_into(struct walk *walk, int fd, const struct stat *info)
{
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = fd;
	walk->info = *info;
}

static awsflock_code start_at_root(struct walk *walk)
{
	struct stat info;
	awsflock_code code;
	int fd = open("/", OPEN_STEP | O_DIRECTORY);

	if (fd < 0)
		return walk_failed(walk, errno, "open", "/");
	if (fstat(fd, &info) != 0) {
		code = walk_failed(walk, errno, "examine", "/");
		close(fd);
		return code;
	}
	step_into(walk, fd, &info);
	return AWSFLOCK_OK;
}

/* Cuts the next name off walk->rest; NULL where there is none. */
static char *next_name(char **rest)
{
	char *name = *rest + strspn(*rest, "/");
	size_t length = strcspn(name, "/");

	*rest = name + length;
	if (**rest == '/')
		*(*rest)++ = '\0';
	return length == 0 ? NULL : name;
}

/* Puts TARGET in front of what is still to be walked.  Takes over nothing; *OUT is the caller's. */
static bool join(const char *target, const char *rest, char **out)
{
	size_t size = strlen(target) + strlen(rest) + 2;

	*out = malloc(size);
	if (!*out)
		return false;
	snprintf(*out, size, "%s/%s", target, rest);
	return true;
}

/* FD is the symbolic link NAME itself.  *REST becomes what is to be walked instead: the caller's. */
static awsflock_code follow_link(struct walk *walk, int fd, const struct stat *info, const char *name, char **rest)
{
	char target[PATH_MAX];
	ssize_t length;

	if (info->st_uid != 0 && info->st_uid != geteuid())
		return error_set(walk->error, AWSFLOCK_BAD_TABLE,
				 "\"%s\" on the way to %s is a symbolic link of another user (uid %lu), who could "
				 "point it elsewhere: use a path without it",
				 name, walk->directory->path, (unsigned long)info->st_uid);
	if (++walk->links > LINKS_MAX)
		return walk_failed(walk, ELOOP, "follow", name);
	length = readlinkat(fd, "", target, sizeof(target) - 1);
	if (length < 0)
		return walk_failed(walk, errno, "follow", name);
	target[length] = '\0';
	if (!join(target, walk->rest, rest))
		return error_out_of_memory(walk->error);
	return target[0] == '/' ? start_at_root(walk) : AWSFLOCK_OK;
}

/* Makes directory NAME where the walk is, and opens it. */
static awsflock_code make_step(struct walk *walk, const char *name, int *fd)
{
	struct stat info;

	if (mkdirat(walk->fd, name, 0700) == 0)
		walk->directory->made = true;
	else if (errno != EEXIST)
		return walk_failed(walk, errno, "make directory", name);
	/* A umask may have taken away what the owner needs. */
	if (fstatat(walk->fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_uid == geteuid() &&
	    S_ISDIR(info.st_mode) && (info.st_mode & 0700) != 0700 &&
	    fchmodat(walk->fd, name, (info.st_mode & 07777) | 0700, 0) != 0)
		return walk_failed(walk, errno, "change the mode of", name);
	*fd = openat(walk->fd, name, OPEN_STEP);
	return *fd < 0 ? walk_failed(walk, errno, "open", name) : AWSFLOCK_OK;
}

/* Opens NAME where the walk is; *FD -1 where it is missing and not to be made. */
static awsflock_code open_step(struct walk *walk, const char *name, int *fd)
{
	awsflock_code code = check_ancestor(walk);

	*fd = -1;
	if (code != AWSFLOCK_OK)
		return code;
	*fd = openat(walk->fd, name, OPEN_STEP);
	if (*fd >= 0)
		return AWSFLOCK_OK;
	if (errno != ENOENT)
		return walk_failed(walk, errno, "open", name);
	if (walk->create)
		return make_step(walk, name, fd);
	walk->missing = true;
	return AWSFLOCK_OK;
}

/* One name further.  *REST as in follow_link(), NULL where NAME is a directory. */
static awsflock_code take_step(struct walk *walk, const char *name, char **rest)
{
	struct stat info;
	awsflock_code code;
	int fd;

	*rest = NULL;
	code = open_step(walk, name, &fd);
	if (code != AWSFLOCK_OK || walk->missing)
		return code;
	if (fstat(fd, &info) != 0) {
		code = walk_failed(walk, errno, "examine", name);
	} else if (S_ISLNK(info.st_mode)) {
		code = follow_link(walk, fd, &info, name, rest);
	} else if (!S_ISDIR(info.st_mode)) {
		code = error_set(walk->error, AWSFLOCK_BAD_TABLE,
				 "%s cannot serve, since \"%s\" is not a directory: "
				 "use another directory",
				 walk->directory->path, name);
	} else {
		step_into(walk, fd, &info);
		return AWSFLOCK_OK;
	}
	close(fd);
	return code;
}

static awsflock_code walk_path(struct walk *walk)
{
	char *owned = strdup(walk->directory->path);
	awsflock_code code;

	if (!owned)
		return error_out_of_memory(walk->error);
	walk->rest = owned;
	code = start_at_root(walk);
	while (code == AWSFLOCK_OK && !walk->missing) {
		char *name = next_name(&walk->rest);
		char *joined = NULL;

		if (!name)
			break;
		code = take_step(walk, name, &joined);
		if (joined) {
			free(owned);
			owned = walk->rest = joined;
		}
	}
	free(owned);
	return code;
}

awsflock_code local_directory_open(const char *path, bool create, struct local_directory *out,
				   awsflock_error *error)
{
	struct walk walk = { .directory = out, .fd = -1, .create = create, .error = error };
	awsflock_code code;

	*out = (struct local_directory){ .path = path, .fd = -1 };
	code = walk_path(&walk);
	if (code == AWSFLOCK_OK && !walk.missing)
		code = check_directory(path, walk.fd, &walk.info, error);
	if (code != AWSFLOCK_OK || walk.missing) {
		if (walk.fd >= 0)
			close(walk.fd);
		return code;
	}
	out->fd = walk.fd;
	out->shared = (walk.info.st_mode & S_IWGRP) != 0;
	out->group = walk.info.st_gid;
	return AWSFLOCK_OK;
}

void local_directory_close(struct local_directory *directory)
{
	if (directory->fd >= 0)
		close(directory->fd);
	directory->fd = -1;
}
