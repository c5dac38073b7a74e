/* See process.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "proc/stat.h"

#define KEEPER_NAME "awsflock-keeper"
/* Between a keeper and what it has started: the renewer, who starts programs for that, a shell, a program and its own. */
#define BELOW_KEEPER_MAX 8

/* Opens /proc/PID/NAME. */
static int open_of(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The beginning of /proc/PID/NAME as a string; false where there is nothing. */
static bool read_of(pid_t pid, const char *name, char *text, size_t size)
{
	int fd = open_of(pid, name);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, size - 1);
	close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	return true;
}

static bool parse_pid(const char *text, pid_t *pid)
{
	int64_t number;

	if (!text_parse_int64(text, 1, INT32_MAX, &number))
		return false;
	*pid = (pid_t)number;
	return true;
}

/* The number at the start of TEXT, which a space or the line's end follows. */
static bool parse_number(const char *text, int64_t *out)
{
	char digits[24];
	size_t size = strcspn(text, " \t\n");

	if (size >= sizeof(digits))
		return false;
	memcpy(digits, text, size);
	digits[size] = '\0';
	return text_parse_int64(digits, INT64_MIN, INT64_MAX, out);
}

/* ---- Pidfds ---------------------------------------------------------------------------------------------- */

int process_pidfd_open(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool process_pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) == 0;
}

pid_t process_of_pidfd(int pidfd)
{
	static const char label[] = "\nPid:";
	char path[64], text[512];
	const char *line;
	int64_t number;

	snprintf(path, sizeof(path), "fdinfo/%d", pidfd);
	if (!read_of(getpid(), path, text, sizeof(text)))
		return -1;
	line = strstr(text, label);
	if (!line)
		return -1;
	line += sizeof(label) - 1;
	line += strspn(line, " \t");
	return parse_number(line, &number) && number > 0 && number <= INT32_MAX ? (pid_t)number : -1;
}

bool process_pidfd_ended(int pidfd)
{
	struct pollfd ready = { .fd = pidfd, .events = POLLIN };

	return poll(&ready, 1, 0) > 0;
}

/* ---- One process ------------------------------------------------------------------------------------------ */

bool process_read(pid_t pid, struct process *process)
{
	char text[2048];
	struct stat_line line;

	if (!read_of(pid, "stat", text, sizeof(text)) || !stat_line_parse(text, &line) || line.ended)
		return false;
	*process = (struct process){ .pid = pid,
				     .parent = line.parent,
				     .group = line.group,
				     .terminal = line.terminal,
				     .start_ticks = line.start_ticks,
				     .environment = line.environment };
	_Static_assert(sizeof(process->name) == sizeof(line.name), "a name is copied whole");
	memcpy(process->name, line.name, sizeof(process->name));
	return true;
}

bool process_is_same(const struct process *a, const struct process *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

bool process_runs(const struct process *process)
{
	struct process now;

	return process_read(process->pid, &now) && process_is_same(process, &now);
}

bool process_signal(const struct process *process, int signal)
{
	int fd = process_pidfd_open(process->pid);
	int saved_errno = ESRCH;
	bool sent = false;

	if (fd < 0)
		return false;
	/* What the id names now, after the descriptor was opened, started when PROCESS did: so the descriptor is
	 * PROCESS's. */
	if (process_runs(process)) {
		sent = process_pidfd_signal(fd, signal);
		saved_errno = errno;
	}
	close(fd);
	errno = saved_errno;
	return sent;
}

/* ---- Where a process comes from -------------------------------------------------------------------------- */

uint32_t process_audit_session(pid_t pid)
{
	char text[32];
	int64_t number;

	if (!read_of(pid, "sessionid", text, sizeof(text)) || !parse_number(text, &number) || number < 0 ||
	    number > UINT32_MAX)
		return PROCESS_NO_AUDIT_SESSION;
	return (uint32_t)number;
}

/* The first number of the line LABEL in /proc/PID/status. */
static bool read_status_number(pid_t pid, const char *label, int64_t *out)
{
	char text[4096];
	const char *line;

	if (!read_of(pid, "status", text, sizeof(text)))
		return false;
	line = strstr(text, label);
	if (!line)
		return false;
	line += strlen(label);
	line += strspn(line, " \t");
	return parse_number(line, out);
}

uid_t process_real_user(pid_t pid)
{
	int64_t number;

	return read_status_number(pid, "\nUid:", &number) ? (uid_t)number : (uid_t)-1;
}

int process_other_user_namespace(pid_t pid)
{
	struct stat own, its;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	/* Most stand where this process stands, and are not opened for that. */
	if (stat("/proc/self/ns/user", &own) != 0 || stat(path, &its) != 0 ||
	    (own.st_dev == its.st_dev && own.st_ino == its.st_ino))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* In BYTES, the last of which is a zero. */
static bool has_entry(const char *bytes, size_t size, const char *entry)
{
	size_t wanted = strlen(entry) + 1;

	for (size_t at = 0, length; at < size; at += length) {
		length = strlen(bytes + at) + 1;
		if (length == wanted && memcmp(bytes + at, entry, length) == 0)
			return true;
	}
	return false;
}

/* How much there is to read is for the process to say (prctl(2), PR_SET_MM_ENV_END): it could be all of its
 * memory. */
bool process_was_started_with(pid_t pid, const char *entry)
{
	int fd = open_of(pid, "environ");
	char bytes[PROCESS_ENVIRONMENT_MAX];
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (size < sizeof(bytes) && (got = read(fd, bytes + size, sizeof(bytes) - size)) > 0)
		size += (size_t)got;
	close(fd);
	while (size > 0 && bytes[size - 1] != '\0')
		size--; /* an entry that was cut, or never ended */
	return has_entry(bytes, size, entry);
}

/* No look at the file itself: it may lie on a file system that does not answer. */
static bool read_program(pid_t pid, char path[PATH_MAX])
{
	char link[64];
	ssize_t size;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	size = readlink(link, path, PATH_MAX - 1);
	if (size <= 0)
		return false;
	path[size] = '\0';
	return true;
}

bool process_is_keeper(pid_t pid)
{
	char path[PATH_MAX];
	const char *name;

	if (process_real_user(pid) != 0 || !read_program(pid, path))
		return false;
	/* After an upgrade " (deleted)" follows the name, and before its program is loaded a renewer is a
	 * keeper. */
	name = strrchr(path, '/');
	return name && strncmp(name + 1, KEEPER_NAME, strlen(KEEPER_NAME)) == 0;
}

bool process_is_of_keeper(const struct process *process)
{
	struct process above = *process;

	for (int depth = 0; depth <= BELOW_KEEPER_MAX; depth++) {
		if (process_is_keeper(above.pid))
			return true;
		if (above.parent <= 1 || !process_read(above.parent, &above))
			break;
	}
	return false;
}

bool process_has_program_of(pid_t pid, pid_t other)
{
	char one[PATH_MAX], two[PATH_MAX];

	return read_program(pid, one) && read_program(other, two) && strcmp(one, two) == 0;
}

/* The links are read, not followed: what else is open there may never answer. */
bool process_has_socket(pid_t pid, ino_t socket)
{
	char path[64], wanted[64], target[64];
	bool is_found = false;
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	snprintf(wanted, sizeof(wanted), "socket:[%ju]", (uintmax_t)socket);
	directory = opendir(path);
	if (!directory)
		return false;
	while (!is_found && (entry = readdir(directory))) {
		ssize_t size = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target));
		is_found = size == (ssize_t)strlen(wanted) && memcmp(target, wanted, (size_t)size) == 0;
	}
	closedir(directory);
	return is_found;
}

bool process_control_group(pid_t pid, char *path, size_t size)
{
	static const char label[] = "0::";
	char text[8192], *line, *end;

	if (!read_of(pid, "cgroup", text, sizeof(text)))
		return false;
	line = strncmp(text, label, sizeof(label) - 1) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return false;
	line += *line == '\n' ? sizeof(label) : sizeof(label) - 1;
	end = strchr(line, '\n');
	if (!end || (size_t)(end - line) >= size)
		return false;
	memcpy(path, line, (size_t)(end - line));
	path[end - line] = '\0';
	return true;
}

/* ---- Many ------------------------------------------------------------------------------------------------ */

int process_ids_open(void)
{
	return open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

/* The last word of the line. */
pid_t process_newest_id(int fd)
{
	char text[128], *word;
	ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
	int64_t pid;

	if (size <= 0)
		return -1;
	text[size] = '\0';
	text[strcspn(text, "\n")] = '\0';
	word = strrchr(text, ' ');
	return word && text_parse_int64(word + 1, 1, INT32_MAX, &pid) ? (pid_t)pid : -1;
}

/* AUDIT_SESSION: PROCESS_NO_AUDIT_SESSION for all. */
static bool each_process(uint32_t audit_session, bool (*each)(void *arg, const struct process *process), void *arg)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	pid_t self = getpid(), pid;
	bool going = true;

	if (!directory)
		return false;
	while (going && (errno = 0, entry = readdir(directory))) {
		struct process process;
		if (!parse_pid(entry->d_name, &pid) || pid == self)
			continue;
		if (audit_session != PROCESS_NO_AUDIT_SESSION && process_audit_session(pid) != audit_session)
			continue;
		if (process_read(pid, &process))
			going = each(arg, &process);
	}
	going = going && errno == 0;
	closedir(directory);
	return going;
}

bool process_each(bool (*each)(void *arg, const struct process *process), void *arg)
{
	return each_process(PROCESS_NO_AUDIT_SESSION, each, arg);
}

bool process_each_of_session(uint32_t audit_session, bool (*each)(void *arg, const struct process *process),
			     void *arg)
{
	return each_process(audit_session, each, arg);
}

/* The file lists ids, each with a space after it. */
static bool each_in(FILE *file, bool (*each)(void *arg, const struct process *process), void *arg)
{
	char word[16];
	size_t size = 0;
	int c;

	while ((c = getc_unlocked(file)) != EOF) {
		struct process process;
		pid_t pid;
		if (c != ' ') {
			if (size + 1 < sizeof(word))
				word[size++] = (char)c;
			continue;
		}
		word[size] = '\0';
		size = 0;
		if (parse_pid(word, &pid) && process_read(pid, &process) && !each(arg, &process))
			return false;
	}
	return true;
}

bool process_each_child(pid_t pid, bool (*each)(void *arg, const struct process *process), void *arg)
{
	char path[64];
	DIR *directory;
	struct dirent *entry;
	bool going = true;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	directory = opendir(path);
	if (!directory)
		return errno == ENOENT; /* it has ended: it has no children */
	while (going && (entry = readdir(directory))) {
		pid_t thread;
		FILE *file;
		if (!parse_pid(entry->d_name, &thread))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)thread);
		file = fopen(path, "re");
		if (file) {
			going = each_in(file, each, arg);
			fclose(file);
		} else {
			struct process unused;
			going = !process_read(thread,
					      &unused); /* it ended just now, or the kernel has no such file */
		}
	}
	closedir(directory);
	return going;
}
