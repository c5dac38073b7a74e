/* See cgroup.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/cgroup.h"

#include <dirent.h>
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

#include "base/text.h"
#include "proc/process.h"

/* Sessions within sessions; more is nothing that anybody has. */
#define DEPTH_MAX 32
#define GROUP_MODE 0755

int cgroup_open(const char *path)
{
	int group = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs status;

	if (group < 0 || (fstatfs(group, &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC))
		return group;
	close(group);
	errno = ENOTSUP;
	return -1;
}

bool cgroup_is_one(const char *path)
{
	int group = cgroup_open(path);

	if (group < 0)
		return false;
	close(group);
	return true;
}

uint64_t cgroup_number(int group)
{
	struct stat status;

	return group >= 0 && fstat(group, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static int open_below(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool write_group_file(int group, const char *name, const char *text)
{
	int fd = openat(group, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t size = strlen(text);
	bool written;
	int saved_errno;

	if (fd < 0)
		return false;
	written = write(fd, text, size) == (ssize_t)size;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return written;
}

/* A parent of threaded groups makes children that are "domain invalid". */
static bool is_domain(int group)
{
	char text[32] = "";
	int fd = openat(group, "cgroup.type", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return false;
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	return size > 0 && strcmp(text, "domain\n") == 0;
}

int cgroup_make(int parent, const char *name)
{
	int group;

	if (mkdirat(parent, name, GROUP_MODE) != 0 && errno != EEXIST)
		return -1;
	group = open_below(parent, name);
	if (group >= 0 && is_domain(group))
		return group;
	if (group >= 0) {
		close(group);
		unlinkat(parent, name, AT_REMOVEDIR);
		errno = EOPNOTSUPP;
	}
	return -1;
}

static bool belongs_to_root(const struct stat *status)
{
	return status->st_uid == 0 && !(status->st_mode & (S_IWGRP | S_IWOTH));
}

bool cgroup_is_roots(int group)
{
	struct stat directory, procs;

	return fstat(group, &directory) == 0 && belongs_to_root(&directory) &&
	       fstatat(group, "cgroup.procs", &procs, AT_SYMLINK_NOFOLLOW) == 0 && belongs_to_root(&procs);
}

bool cgroup_add(int group, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	return write_group_file(group, "cgroup.procs", text);
}

bool cgroup_freeze(int group, bool is_frozen)
{
	return write_group_file(group, "cgroup.freeze", is_frozen ? "1" : "0");
}

bool cgroup_kill(int group)
{
	return write_group_file(group, "cgroup.kill", "1");
}

/* ---- cgroup.events --------------------------------------------------------------------------------------- */

int cgroup_open_events(int group)
{
	return openat(group, "cgroup.events", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

bool cgroup_read_events(int events, struct cgroup_state *state)
{
	char text[256];
	ssize_t size;

	errno = 0;
	size = pread(events, text, sizeof(text) - 1, 0);
	if (size <= 0)
		return false;
	text[size] = '\0';
	*state = (struct cgroup_state){ .is_populated = strstr(text, "populated 1\n") != NULL,
					.is_frozen = strstr(text, "frozen 1\n") != NULL };
	return true;
}

bool cgroup_is_populated(int group)
{
	struct cgroup_state state = { .is_populated = true };
	int events = cgroup_open_events(group);

	if ((events < 0 || !cgroup_read_events(events, &state)) && (errno == ENOENT || errno == ENODEV))
		state.is_populated = false; /* it is gone */
	if (events >= 0)
		close(events);
	return state.is_populated;
}

/* ---- Who is in it ---------------------------------------------------------------------------------------- */

/* A process of another pid namespace is listed as 0. */
static bool each_listed(FILE *file, bool (*each)(void *arg, pid_t pid), void *arg)
{
	char line[32];
	int64_t pid;

	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (text_parse_int64(line, 1, INT32_MAX, &pid) && !each(arg, (pid_t)pid))
			return false;
	}
	return !ferror(file);
}

static bool each_of_one(int group, bool (*each)(void *arg, pid_t pid), void *arg)
{
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	bool is_read;

	if (!file) {
		if (fd >= 0)
			close(fd);
		return errno == ENOENT || errno == ENODEV; /* removed just now: it was empty */
	}
	is_read = each_listed(file, each, arg);
	fclose(file);
	return is_read;
}

struct walk {
	bool (*each)(void *arg, pid_t pid); /* NULL: to remove what is empty */
	void *arg;
};

static bool walk(const struct walk *walked, int group, int depth);

static bool walk_one(const struct walk *walked, int parent, const char *name, int depth)
{
	int group = open_below(parent, name);
	bool done;

	if (group < 0)
		return errno == ENOENT;
	done = walk(walked, group, depth + 1);
	close(group);
	return done;
}

/* Those below first: so removing begins where nothing is below. */
static bool walk_below(const struct walk *walked, int group, int depth)
{
	int fd = open_below(group, ".");
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool done = directory != NULL;

	while (done && (entry = readdir(directory))) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		done = walk_one(walked, group, entry->d_name, depth);
		if (done && !walked->each)
			unlinkat(group, entry->d_name, AT_REMOVEDIR);
	}
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return done;
}

static bool walk(const struct walk *walked, int group, int depth)
{
	if (depth > DEPTH_MAX || !walk_below(walked, group, depth))
		return false;
	return !walked->each || each_of_one(group, walked->each, walked->arg);
}

bool cgroup_each(int group, bool (*each)(void *arg, pid_t pid), void *arg)
{
	const struct walk all = { .each = each, .arg = arg };

	return walk(&all, group, 0);
}

/* ---- Whose it is ------------------------------------------------------------------------------------------ */

static bool has_users(int group, bool (*enters)(const char *name), int depth);

static bool is_one_users(int parent, const char *name, bool (*enters)(const char *name), int depth)
{
	int group = open_below(parent, name);
	bool is_one;

	if (group < 0)
		return errno != ENOENT;
	is_one = cgroup_is_roots(group) ? has_users(group, enters, depth + 1) : cgroup_is_populated(group);
	close(group);
	return is_one;
}

/* Only root can make a group in one of root's: so nobody else can make this take long. */
static bool has_users(int group, bool (*enters)(const char *name), int depth)
{
	int fd = depth > DEPTH_MAX ? -1 : open_below(group, ".");
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool has = directory == NULL;

	while (!has && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && enters(entry->d_name))
			has = is_one_users(group, entry->d_name, enters, depth);
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return has;
}

bool cgroup_has_users(int group, bool (*enters)(const char *name))
{
	return has_users(group, enters, 0);
}

/* ---- Removing -------------------------------------------------------------------------------------------- */

bool cgroup_remove(int parent, const char *name)
{
	static const struct walk removing = { .each = NULL };

	walk_one(&removing, parent, name, 0);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool cgroup_remove_path(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent_path = slash ? strndup(path, (size_t)(slash - path)) : NULL;
	int parent = parent_path ? cgroup_open(parent_path) : -1;
	bool is_removed = parent >= 0 ? cgroup_remove(parent, slash + 1) : parent_path && errno == ENOENT;

	if (parent >= 0)
		close(parent);
	free(parent_path);
	return is_removed;
}

bool cgroup_is_within(const char *group, const char *above)
{
	size_t size = strcmp(above, "/") == 0 ? 0 : strlen(above);

	return strncmp(group, above, size) == 0 && (group[size] == '\0' || group[size] == '/');
}

bool cgroup_is_session_scope(const char *group)
{
	const char *name = strrchr(group, '/');
	size_t size;

	if (!name || strstr(group, "/.."))
		return false;
	size = strlen(++name);
	return strncmp(name, "session-", strlen("session-")) == 0 && size > strlen(".scope") &&
	       strcmp(name + size - strlen(".scope"), ".scope") == 0;
}

bool cgroup_signal_member(pid_t pid, const char *group, const int *signals)
{
	char its_own[PATH_MAX];
	int fd = process_pidfd_open(pid); /* opened before it is judged, it can stand for nobody else */

	if (fd < 0)
		return false;
	if (process_control_group(pid, its_own, sizeof(its_own)) && cgroup_is_within(its_own, group))
		for (const int *signal = signals; *signal; signal++)
			process_pidfd_signal(fd, *signal);
	close(fd);
	return true;
}
