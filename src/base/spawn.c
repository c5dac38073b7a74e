/* SPDX-License-Identifier: Apache-2.0
 *
 * See spawn.h. */
#include "base/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "base/text.h"

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int failed;

	sigemptyset(&none);
	sigfillset(&all);
	failed = posix_spawnattr_setflags(attributes,
					  POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (failed == 0)
		failed = posix_spawnattr_setsigmask(attributes, &none);
	return failed == 0 ? posix_spawnattr_setsigdefault(attributes, &all) : failed;
}

/* All but the standard three.  Without a call for that (musl), those that there are now: one that another thread opens
 * just then must be close-on-exec, as all of ours are. */
static int close_others(posix_spawn_file_actions_t *actions)
{
#ifdef HAVE_POSIX_SPAWN_FILE_ACTIONS_ADDCLOSEFROM_NP
	return posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
#else
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int failed = 0;
	int64_t fd;

	if (!directory)
		return errno;
	while (failed == 0 && (entry = readdir(directory)))
		if (text_parse_int64(entry->d_name, STDERR_FILENO + 1, INT_MAX, &fd) && fd != dirfd(directory))
			failed = posix_spawn_file_actions_addclose(actions, (int)fd);
	closedir(directory);
	return failed;
#endif
}

static int set_descriptors(posix_spawn_file_actions_t *actions, int output_fd, int complaint_fd)
{
	int failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (failed == 0)
		failed = posix_spawn_file_actions_adddup2(actions, output_fd, STDOUT_FILENO);
	if (failed == 0)
		failed = posix_spawn_file_actions_adddup2(actions, complaint_fd, STDERR_FILENO);
	return failed == 0 ? close_others(actions) : failed;
}

int spawn_program(char *const *words, char *const *environment, int output_fd, int complaint_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int failed = posix_spawn_file_actions_init(&actions);

	if (failed != 0)
		return failed;
	failed = posix_spawnattr_init(&attributes);
	if (failed == 0) {
		failed = set_attributes(&attributes);
		if (failed == 0)
			failed = set_descriptors(&actions, output_fd, complaint_fd);
		if (failed == 0)
			failed = posix_spawnp(pid, words[0], &actions, &attributes, words, environment);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return failed;
}
