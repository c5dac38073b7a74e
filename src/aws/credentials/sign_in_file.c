/* Reading and replacing the files of a sign-in.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sign_in_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
#include "base/error.h"
#include "base/write_all.h"

#define FILE_SIZE_MAX ((size_t)256 * 1024)
/* What a renewal adds at most: an answer of 64 KiB, of which each two bytes become six ("\u00e9"). */
#define GROWTH_MAX ((size_t)192 * 1024)
/* What it adds in practice: a token has some hundred bytes, and takes another one's place. */
#define GROWTH_LIKELY ((size_t)4096)
/* What the AWS CLI needs to finish a file that it has begun to write. */
#define HALF_WRITTEN_PAUSE_NS (50 * NS_PER_MS)
#define TEMPORARY_SIZE 256
#define TEMPORARY_TRIES 100

/* ---- Names -------------------------------------------------------------------------------------------------- */

static bool append_digest(struct buf *out, enum sign_in_digest digest, const char *key)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int size = 0;

	if (EVP_Digest(key, strlen(key), bytes, &size, digest == SIGN_IN_SHA1 ? EVP_sha1() : EVP_sha256(), NULL) !=
	    1)
		return false;
	for (unsigned int i = 0; i < size; i++)
		buf_printf(out, "%02x", bytes[i]);
	return true;
}

awsflock_code sign_in_file_name(const struct credentials_context *context, const char *folder,
				enum sign_in_digest digest, const char *key, char **out, awsflock_error *error)
{
	const char *home = credentials_variable(context, "HOME");
	struct buf path = BUF_INIT;

	if (credentials_need_person(context, error) != AWSFLOCK_OK)
		return AWSFLOCK_CREDENTIALS;
	if (folder[0] != '/')
		buf_printf(&path, "%s/", home);
	buf_printf(&path, "%s/", folder);
	if (!append_digest(&path, digest, key)) {
		buf_free(&path);
		return error_set(error, AWSFLOCK_INTERNAL, "OpenSSL has no digest to name a file by");
	}
	buf_puts(&path, ".json");
	*out = buf_steal(&path);
	return *out ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

/* Whom such a file may belong to: root works for whoever the home directory belongs to, as under sudo. */
static bool is_trusted_owner(uid_t owner)
{
	const char *home = secure_getenv("HOME");
	struct stat status;

	if (owner == geteuid())
		return true;
	return geteuid() == 0 && home && stat(home, &status) == 0 && status.st_uid == owner;
}

static awsflock_code judge_owner(int fd, const char *path, awsflock_error *error)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		return error_set_errno(error, AWSFLOCK_CREDENTIALS, errno, "cannot read %s", path);
	if (!S_ISREG(status.st_mode))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s is not a regular file: remove it", path);
	if (!is_trusted_owner(status.st_uid))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s belongs to user %u: a sign-in must be one's own",
				 path, (unsigned)status.st_uid);
	return AWSFLOCK_OK;
}

/* AWS's tools say nothing, and go on. */
static void warn_of_others(const struct credentials_context *context, int fd, const char *path)
{
	struct stat status;

	if (fstat(fd, &status) != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
	    (context->memory && context->memory->others_were_told))
		return;
	if (context->memory)
		context->memory->others_were_told = true;
	runtime_log(context->runtime, AWSFLOCK_LOG_WARNING, "others than its owner can change %s: chmod 600 it",
		    path);
}

static awsflock_code read_whole_text(int fd, const char *path, struct buf *text, awsflock_error *error)
{
	char bytes[4096];
	awsflock_code code = AWSFLOCK_OK;
	ssize_t got;

	while (code == AWSFLOCK_OK && !text->failed && (got = read(fd, bytes, sizeof(bytes))) != 0) {
		if (got > 0)
			buf_append(text, bytes, (size_t)got);
		else if (errno != EINTR)
			code = error_set_errno(error, AWSFLOCK_CREDENTIALS, errno, "cannot read %s", path);
	}
	wipe(bytes, sizeof(bytes));
	if (code == AWSFLOCK_OK && text->failed)
		code = text->over_limit
			       ? error_set(error, AWSFLOCK_CREDENTIALS, "%s is larger than a sign-in can be", path)
			       : error_out_of_memory(error);
	return code;
}

static awsflock_code read_text(const struct credentials_context *context, const char *path, bool *found,
			       struct buf *text, awsflock_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
	awsflock_code code;

	*found = fd >= 0;
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return AWSFLOCK_OK;
	if (fd < 0)
		return error_set_errno(error, AWSFLOCK_CREDENTIALS, errno, "cannot read %s", path);
	code = judge_owner(fd, path, error);
	if (code == AWSFLOCK_OK) {
		warn_of_others(context, fd, path);
		code = read_whole_text(fd, path, text, error);
	}
	close(fd);
	return code;
}

awsflock_code sign_in_file_read(const struct credentials_context *context, const char *path,
				struct json_object **out, awsflock_error *error)
{
	struct json_object *object = NULL;
	bool found = true;
	awsflock_code code = AWSFLOCK_OK;

	for (int tries = 0; code == AWSFLOCK_OK && found && !object && tries < 2; tries++) {
		struct buf text = { .limit = FILE_SIZE_MAX };

		if (tries > 0 && !runtime_sleep_until(context->runtime,
						      runtime_boot_ns(context->runtime) + HALF_WRITTEN_PAUSE_NS))
			break;
		code = read_text(context, path, &found, &text, error);
		if (code == AWSFLOCK_OK && found)
			object = credentials_json_parse(&text);
		if (code == AWSFLOCK_OK && found && !object && errno == ENOMEM)
			code = error_out_of_memory(error);
		buf_free(&text);
	}
	if (code == AWSFLOCK_OK && found && !object)
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s is damaged: it is no JSON object", path);
	*out = object;
	return code;
}

/* ---- Replacing ---------------------------------------------------------------------------------------------- */

/* 0 or errno. */
static int write_and_sync(int fd, const char *bytes, size_t size)
{
	int failed = write_all(fd, bytes, size);

	if (failed != 0)
		return failed;
	return fsync(fd) == 0 ? 0 : errno;
}

/* Whom what is written belongs to.  Root writes for whoever the home directory belongs to, as under sudo. */
static bool find_writer(uid_t *owner)
{
	const char *home = secure_getenv("HOME");
	struct stat status;

	*owner = geteuid();
	if (*owner != 0)
		return true;
	if (!home || stat(home, &status) != 0)
		return false;
	*owner = status.st_uid;
	return true;
}

/* 0, or errno: the directory, and the file where there is one, are the writer's, and what is written becomes it. */
static int give_to_writer(int directory_fd, const char *name, int fd)
{
	struct stat directory, file;
	uid_t writer;

	if (fstat(directory_fd, &directory) != 0)
		return errno;
	if (!find_writer(&writer) || directory.st_uid != writer)
		return EPERM;
	if (fstatat(directory_fd, name, &file, AT_SYMLINK_NOFOLLOW) != 0)
		file = directory;
	if (file.st_uid != writer)
		return EPERM;
	return geteuid() != 0 || fchown(fd, file.st_uid, file.st_gid) == 0 ? 0 : errno;
}

/* ---- What a writer that crashed left behind ---- */

/* Nobody writes for a day. */
#define LEFT_BEHIND_S (INT64_C(24) * 3600)

/* ".NAME.PID.N.tmp", of whatever file. */
static bool is_temporary(const char *entry)
{
	static const char digits[] = "0123456789";
	size_t end = strlen(entry), parts = 0;

	if (entry[0] != '.' || end < 4 || strcmp(entry + end - 4, ".tmp") != 0)
		return false;
	for (end -= 4; parts < 2; parts++) {
		size_t start = end;

		while (start > 0 && strchr(digits, entry[start - 1]))
			start--;
		if (start == end || start == 0 || entry[start - 1] != '.')
			return false;
		end = start - 1;
	}
	return end > 0;
}

static void remove_if_old(int directory_fd, const char *entry, const struct stat *fresh)
{
	struct stat status;

	if (fstatat(directory_fd, entry, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
	    fresh->st_mtim.tv_sec - status.st_mtim.tv_sec > LEFT_BEHIND_S)
		unlinkat(directory_fd, entry, 0);
}

/* They hold secrets.  How old they are tells the clock that FRESH, what was written now, has its time from: of a
 * directory on a network that is not ours. */
static void remove_what_was_left(int directory_fd, const struct stat *fresh)
{
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!directory && fd >= 0)
		close(fd);
	if (!directory)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (is_temporary(entry->d_name))
			remove_if_old(directory_fd, entry->d_name, fresh);
	}
	closedir(directory);
}

/* A file of nobody else's: another thread, or a process in another container, may write under this number, too. */
static int create_temporary(int directory_fd, const char *name, char temporary[TEMPORARY_SIZE])
{
	int fd = -1;

	errno = EEXIST;
	for (int i = 0; fd < 0 && errno == EEXIST && i < TEMPORARY_TRIES; i++) {
		snprintf(temporary, TEMPORARY_SIZE, ".%.200s.%ld.%d.tmp", name, (long)getpid(), i);
		fd = openat(directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    S_IRUSR | S_IWUSR);
	}
	return fd;
}

/* A new file beside the one called NAME, which becomes the writer's; -1 and errno. */
static int begin_temporary(int directory_fd, const char *name, char temporary[TEMPORARY_SIZE])
{
	int fd = create_temporary(directory_fd, name, temporary), failed;

	if (fd < 0)
		return -1;
	failed = give_to_writer(directory_fd, name, fd);
	if (failed == 0)
		return fd;
	close(fd);
	unlinkat(directory_fd, temporary, 0);
	errno = failed;
	return -1;
}

/* What is written where, and who is asked once more before. */
struct replacement {
	const char *name;
	const struct buf *text;
	sign_in_may_replace_fn *may_replace;
	void *arg;
};

/* 0 or errno. */
static int write_out(int fd, const struct buf *text, struct stat *fresh)
{
	int failed = write_and_sync(fd, buf_text(text), text->size);

	if (failed == 0 && fstat(fd, fresh) != 0)
		failed = errno;
	if (close(fd) != 0 && failed == 0)
		failed = errno;
	return failed;
}

/* 0 or errno. */
static int replace_in(int directory_fd, const struct replacement *replacement)
{
	const char *name = replacement->name;
	char temporary[TEMPORARY_SIZE];
	struct stat fresh;
	int fd = begin_temporary(directory_fd, name, temporary), failed;

	if (fd < 0)
		return errno;
	failed = write_out(fd, replacement->text, &fresh);
	if (failed == 0 && replacement->may_replace && !replacement->may_replace(replacement->arg))
		failed = ECANCELED;
	if (failed == 0 && renameat(directory_fd, temporary, directory_fd, name) != 0)
		failed = errno;
	if (failed != 0) {
		unlinkat(directory_fd, temporary, 0);
		return failed;
	}
	fsync(directory_fd); /* so that the new name, too, outlives a crash of the machine */
	remove_what_was_left(directory_fd, &fresh);
	return 0;
}

/* 0 or errno.  A file system that cannot set space aside tells when it is written to. */
static int try_in(int directory_fd, const char *name, size_t size)
{
	char temporary[TEMPORARY_SIZE];
	int fd = begin_temporary(directory_fd, name, temporary), failed;

	if (fd < 0)
		return errno;
	failed = posix_fallocate(fd, 0, (off_t)size);
	close(fd);
	unlinkat(directory_fd, temporary, 0);
	return failed == EOPNOTSUPP || failed == EINVAL || failed == ENOSYS ? 0 : failed;
}

/* The directory is held while a file is replaced in it: whoever may rename it cannot lead root elsewhere.  -1 and errno. */
static int open_directory_of(const char *path)
{
	char *directory = strndup(path, (size_t)(strrchr(path, '/') + 1 - path));
	int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	free(directory);
	return fd;
}

awsflock_code sign_in_file_replace(const char *path, struct json_object *object,
				   sign_in_may_replace_fn *may_replace, void *arg, awsflock_error *error)
{
	struct buf text = BUF_INIT; /* more than FILE_SIZE_MAX, so that only memory can run out */
	const struct replacement replacement = { strrchr(path, '/') + 1, &text, may_replace, arg };
	int directory_fd = open_directory_of(path), failed = directory_fd < 0 ? errno : 0;

	if (failed == 0 && !json_print(object, &text))
		failed = ENOMEM;
	if (failed == 0 && text.size > FILE_SIZE_MAX)
		failed = EFBIG;
	if (failed == 0)
		failed = replace_in(directory_fd, &replacement);
	if (directory_fd >= 0)
		close(directory_fd);
	buf_free(&text);
	return failed == 0 ? AWSFLOCK_OK
			   : error_set_errno(error, AWSFLOCK_CREDENTIALS, failed, "cannot write %s", path);
}

awsflock_code sign_in_file_try(const char *path, struct json_object *object, awsflock_error *error)
{
	struct buf text = BUF_INIT;
	int directory_fd = open_directory_of(path), failed = directory_fd < 0 ? errno : 0;

	if (failed == 0 && !json_print(object, &text))
		failed = ENOMEM;
	if (failed == 0 && text.size > FILE_SIZE_MAX - GROWTH_MAX)
		failed = EFBIG;
	if (failed == 0)
		failed = try_in(directory_fd, strrchr(path, '/') + 1, text.size + GROWTH_LIKELY);
	if (directory_fd >= 0)
		close(directory_fd);
	buf_free(&text);
	return failed == 0 ? AWSFLOCK_OK
			   : error_set_errno(error, AWSFLOCK_CREDENTIALS, failed, "cannot write %s", path);
}

void sign_in_file_make_directory(const char *path)
{
	const char *home = secure_getenv("HOME");
	char *copy = strdup(path);
	struct stat status;

	if (copy && home && strncmp(path, home, strlen(home)) == 0 && path[strlen(home)] == '/' &&
	    stat(home, &status) == 0 && status.st_uid == geteuid()) {
		for (char *slash = strchr(copy + strlen(home) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			mkdir(copy, S_IRWXU);
			*slash = '/';
		}
	}
	free(copy);
}
