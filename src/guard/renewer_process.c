/* See renewer_process.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/renewer_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/forked_exit.h"
#include "guard/log.h"
#include "guard/trusted_file.h"
#include "guard/wire.h"

#ifndef LIBEXEC_DIR
#define LIBEXEC_DIR "/usr/libexec"
#endif
#define PROGRAM "awsflock-keeper-renewer"

/* The renewer's descriptors, see wire.h. */
#define FD_PAIR 3
#define FD_FIRST_FILE 4
#define FD_PROGRESS (FD_FIRST_FILE + HANDED_FILES_MAX)
#define FD_END (FD_PROGRESS + 1)

#define FILE_SIZE_LIMIT ((off_t)4 * 1024 * 1024)

static const enum config_key file_keys[HANDED_FILES_MAX] = { CONFIG_CREDENTIALS_FILE, CONFIG_CONFIG_FILE,
							     CONFIG_CA_BUNDLE };

/* Said in the table and by the library itself, or of no use to a guard. */
static bool is_passed_on(enum config_key key)
{
	return key != CONFIG_LEASE_DURATION && key != CONFIG_WAIT_TIME;
}

void renewer_process_init(struct renewer_process *process)
{
	*process = (struct renewer_process){ .fd = -1, .progress_fd = -1 };
	for (size_t i = 0; i < HANDED_FILES_MAX; i++)
		process->files[i] = (struct handed_file){ .key = file_keys[i], .memory_fd = -1 };
}

/* ---- Files ----------------------------------------------------------------------------------------------- */

static bool copy_contents(int from, int to)
{
	char block[4096];
	off_t total = 0;
	ssize_t got;

	if (ftruncate(to, 0) != 0 || lseek(to, 0, SEEK_SET) != 0)
		return false;
	while ((got = read(from, block, sizeof(block))) > 0) {
		total += got;
		if (total > FILE_SIZE_LIMIT || write(to, block, (size_t)got) != got)
			break;
	}
	wipe(block, sizeof(block));
	return got == 0;
}

static awsflock_code copy_file(struct handed_file *file, awsflock_error *error)
{
	const char *what = config_key_name(file->key);
	int fd;
	awsflock_code code = trusted_file_open(what, file->path, &fd, error);

	if (code != AWSFLOCK_OK)
		return code;
	if (fstat(fd, &file->status) != 0 || !copy_contents(fd, file->memory_fd))
		code = error_set(error, AWSFLOCK_CONFIG, "%s %s cannot be read, or is too large", what, file->path);
	close(fd);
	return code;
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak" /* the caller owns what it hands to be filled in */
#endif

static awsflock_code hand_file(struct handed_file *file, const struct config *config, awsflock_error *error)
{
	const char *path = config_get(config, file->key);

	if (!path || !*path)
		return AWSFLOCK_OK;
	file->path = strdup(path);
	if (!file->path)
		return error_out_of_memory(error);
	file->memory_fd = memfd_create("awsflock", MFD_CLOEXEC);
	if (file->memory_fd < 0 || fchmod(file->memory_fd, 0444) != 0)
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno, "no memory for a copy of %s", path);
	return copy_file(file, error);
}

const char *renewer_process_original(const struct renewer_process *process, int number)
{
	int place = number - FD_FIRST_FILE;

	return place >= 0 && place < HANDED_FILES_MAX ? process->files[place].path : NULL;
}

void renewer_process_refresh(struct renewer_process *process)
{
	for (size_t i = 0; i < HANDED_FILES_MAX; i++) {
		struct handed_file *file = &process->files[i];
		awsflock_error error;
		struct stat now;
		if (!file->path || stat(file->path, &now) != 0)
			continue;
		if (now.st_ino == file->status.st_ino && now.st_size == file->status.st_size &&
		    now.st_mtim.tv_sec == file->status.st_mtim.tv_sec &&
		    now.st_mtim.tv_nsec == file->status.st_mtim.tv_nsec)
			continue;
		if (copy_file(file, &error) != AWSFLOCK_OK)
			log_line(LOG_WARNING, "%s", error.message);
	}
}

/* ---- The process ----------------------------------------------------------------------------------------- */

/* Beside this very program, wherever both were installed; awsflock itself stands elsewhere. */
static void find_program(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - sizeof(PROGRAM));
	char *slash;

	path[length > 0 ? length : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash && !strstr(slash, " (deleted)")) {
		memcpy(slash + 1, PROGRAM, sizeof(PROGRAM));
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, size, "%s/%s", LIBEXEC_DIR, PROGRAM);
}

/* The renewer may read what the guardian writes anew, and no more. */
static int reopen_read_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* In the child: the descriptors go to their places, first out of each other's way. */
static bool place_descriptors(const struct renewer_process *process, int pair)
{
	int given[FD_END - FD_PAIR], parked[FD_END - FD_PAIR];

	given[0] = pair;
	for (int i = 0; i < HANDED_FILES_MAX; i++)
		given[FD_FIRST_FILE - FD_PAIR + i] =
			process->files[i].memory_fd < 0 ? -1 : reopen_read_only(process->files[i].memory_fd);
	given[FD_PROGRESS - FD_PAIR] = process->progress_fd;
	for (int i = 0; i < FD_END - FD_PAIR; i++) {
		parked[i] = given[i] < 0 ? -1 : fcntl(given[i], F_DUPFD, FD_END);
		if (given[i] >= 0 && parked[i] < 0)
			return false;
	}
	for (int i = 0; i < FD_END - FD_PAIR; i++) {
		close(FD_PAIR + i);
		if (parked[i] >= 0 && dup2(parked[i], FD_PAIR + i) < 0)
			return false;
	}
	return descriptors_close_from(FD_END);
}

static void become_renewer(const struct renewer_process *process, int pair, char *user, char *title)
{
	char program[PATH_MAX];
	static char name[] = "awsflock-keeper", title_option[] = "--title", debug_option[] = "--debug",
		    yes[] = "yes", no[] = "no", user_option[] = "--user";
	char *const arguments[] = {
		name, title_option, title, debug_option, process->is_debug ? yes : no, user ? user_option : NULL,
		user, NULL
	};
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *const environment[] = { path, NULL };

	find_program(program, sizeof(program));
	if (place_descriptors(process, pair))
		execve(program, arguments, environment);
	forked_exit(127);
}

static awsflock_code start_renewer(struct renewer_process *process, const struct guard *guard, const char *person,
				   awsflock_error *error)
{
	bool is_local = strcmp(config_get(&guard->config, CONFIG_STORE), "local") == 0;
	char title[128];
	int pair[2];

	snprintf(title, sizeof(title), "awsflock-keeper: renewer of %.60s (%.32s)", guard->lock, person);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno, "no connection to the renewer");
	process->pid = fork();
	if (process->pid == 0)
		become_renewer(process, pair[1], is_local ? NULL : guard->user, title);
	close(pair[1]);
	if (process->pid < 0) {
		process->pid = 0;
		close(pair[0]);
		return error_set_errno(error, AWSFLOCK_INTERNAL, errno, "the renewer cannot be started");
	}
	process->fd = pair[0];
	return AWSFLOCK_OK;
}

/* ---- Settings -------------------------------------------------------------------------------------------- */

static bool send_setting(int fd, const char *name, const char *value)
{
	struct wire_message message;

	wire_begin(&message, WIRE_SETTING);
	wire_put_text(&message, WIRE_NAME, name);
	wire_put_text(&message, WIRE_VALUE, value);
	return wire_send(fd, &message);
}

/* A file is read from where the renewer has its copy, and nobody's home is looked into. */
static const char *value_of(const struct renewer_process *process, const struct config *config, enum config_key key,
			    char *room, size_t size)
{
	for (int i = 0; i < HANDED_FILES_MAX; i++) {
		if (process->files[i].key != key)
			continue;
		if (!process->files[i].path)
			return key == CONFIG_CA_BUNDLE ? NULL : "/dev/null";
		snprintf(room, size, "/proc/self/fd/%d", FD_FIRST_FILE + i);
		return room;
	}
	return config_get(config, key);
}

static bool send_settings(const struct renewer_process *process, const struct config *config)
{
	bool sent = true;

	for (int key = 0; key < CONFIG_KEY_COUNT && sent; key++) {
		char room[64];
		const char *value = value_of(process, config, (enum config_key)key, room, sizeof(room));
		if (value && *value && is_passed_on((enum config_key)key))
			sent = send_setting(process->fd, config_key_name((enum config_key)key), value);
	}
	return sent;
}

awsflock_code renewer_process_restart(struct renewer_process *process, const struct guard *guard,
				      const char *person, awsflock_error *error)
{
	const struct config *config = &guard->config;
	awsflock_code code = AWSFLOCK_OK;

	renewer_process_close(process);
	if (strcmp(config_get(config, CONFIG_STORE), "local") == 0)
		code = trusted_directory_check("local_dir", config_get(config, CONFIG_LOCAL_DIR), error);
	for (int i = 0; i < HANDED_FILES_MAX && code == AWSFLOCK_OK; i++)
		code = hand_file(&process->files[i], config, error);
	if (code == AWSFLOCK_OK)
		code = start_renewer(process, guard, person, error);
	/* One that has left already has said why. */
	if (code == AWSFLOCK_OK && !send_settings(process, config) && errno != EPIPE && errno != ECONNRESET)
		code = error_set_errno(error, AWSFLOCK_INTERNAL, errno, "the renewer takes no settings");
	if (code != AWSFLOCK_OK)
		renewer_process_close(process);
	return code;
}

awsflock_code renewer_process_start(struct renewer_process *process, const struct guard *guard, const char *person,
				    awsflock_error *error)
{
	awsflock_code code = renewer_process_restart(process, guard, person, error);

	if (code == AWSFLOCK_OK)
		wire_send_type(process->fd, WIRE_STORE);
	return code;
}

void renewer_process_close(struct renewer_process *process)
{
	if (process->fd >= 0)
		close(process->fd);
	process->fd = -1;
	for (int i = 0; i < HANDED_FILES_MAX; i++) {
		if (process->files[i].memory_fd >= 0)
			close(process->files[i].memory_fd);
		process->files[i].memory_fd = -1;
		free(process->files[i].path);
		process->files[i].path = NULL;
	}
	if (process->pid > 0 && waitpid(process->pid, NULL, WNOHANG) == process->pid)
		process->pid = 0;
}
