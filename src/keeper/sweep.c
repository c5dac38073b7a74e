/* See sweep.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "guard/log.h"
#include "keeper/group_record.h"
#include "keeper/run_directory.h"
#include "keeper/session_group.h"
#include "keeper/strays.h"
#include "keeper/sweep_people.h"
#include "proc/process.h"

/* A killed process is gone within milliseconds, unless it waits for a disk; another one that sweeps has most often left
 * nothing to do. */
#define PROGRAM_WITHIN_NS (7 * NS_PER_S)
#define LOOK_AGAIN_MS 20

/* ---- One group ------------------------------------------------------------------------------------------- */

struct sweep {
	struct cgroup_mount mount;
	int64_t until_ns;    /* CLOCK_BOOTTIME */
	const char *session; /* the record that is read */
	const char *group;   /* in it */
	bool has_failed;
};

static bool kill_one(void *arg, pid_t pid)
{
	static const int signals[] = { SIGKILL, 0 };
	const struct sweep *sweep = arg;

	cgroup_signal_member(pid, sweep->group, signals); /* whom it misses the next round meets */
	return true;
}

/* Frozen, nothing in it starts another; a frozen process can be killed. */
static void kill_group(struct sweep *sweep, int group)
{
	if (cgroup_kill(group))
		return;
	cgroup_freeze(group, true);
	cgroup_each(group, kill_one, sweep);
}

/* A group that cannot be read any more is gone. */
static bool is_empty(int events)
{
	struct cgroup_state state;

	return !cgroup_read_events(events, &state) || !state.is_populated;
}

static bool end_group(struct sweep *sweep, int group)
{
	struct pollfd polled = { .fd = cgroup_open_events(group), .events = POLLPRI };
	bool is_ended = polled.fd < 0 || is_empty(polled.fd);

	if (!is_ended)
		log_line(LOG_ALERT, "the keepers of session %s were killed: what is left of it is ended",
			 sweep->session);
	/* Once at least. */
	while (!is_ended) {
		kill_group(sweep, group);
		poll(&polled, 1, LOOK_AGAIN_MS);
		is_ended = is_empty(polled.fd);
		if (clock_boot_ns() >= sweep->until_ns)
			break;
	}
	if (polled.fd >= 0)
		close(polled.fd);
	cgroup_freeze(group, false);
	if (!is_ended)
		log_line(LOG_ALERT, "session %s: what is left of it cannot be ended", sweep->session);
	return is_ended;
}

/* logind removes its scopes by itself. */
static bool remove_group(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (strncmp(name, SESSION_GROUP_PREFIX, strlen(SESSION_GROUP_PREFIX)) != 0)
		return true;
	return cgroup_remove_path(path);
}

/* True where nothing is left of it. */
static bool sweep_group(struct sweep *sweep, const struct recorded_group *recorded, enum group_fate fate)
{
	char path[2 * PATH_MAX];
	int fd = cgroup_mount_path(&sweep->mount, recorded->group, path, sizeof(path)) ? cgroup_open(path) : -1;

	sweep->group = recorded->group;
	if (fd < 0) {
		sweep->has_failed = sweep->has_failed || errno != ENOENT;
		return errno == ENOENT;
	}
	if (recorded->number > 0 && cgroup_number(fd) != recorded->number) {
		close(fd); /* another login's, which has come by the name: the one that is meant is gone */
		return true;
	}
	if (fate == GROUP_IS_ENDED && !end_group(sweep, fd))
		sweep->has_failed = true;
	close(fd);
	return remove_group(path);
}

static void tell_of_people(const struct sweep *sweep)
{
	log_line(LOG_ALERT, "the keepers of session %s were killed: what ran outside of its group is ended",
		 sweep->session);
}

/* Who stands elsewhere: a user's service manager took them there, or they are all that a person runs. */
static bool end_people(struct sweep *sweep, const struct recorded_people *people)
{
	bool has_met, is_ended = sweep_people(people, sweep->until_ns, &has_met);

	if (has_met)
		tell_of_people(sweep);
	if (!is_ended)
		log_line(LOG_ALERT, "session %s: what is left outside of its group cannot be ended",
			 sweep->session);
	sweep->has_failed = sweep->has_failed || !is_ended;
	return is_ended;
}

/* Whom a user's service manager took out of the group of a sudo or su: moved back, and killed.  True where it met one. */
static bool end_strays(struct sweep *sweep, const struct recorded_group *recorded, const struct recorded_call *call)
{
	struct session_group session;
	struct strays strays;
	bool has_met = false;

	strays_recall(&strays, sweep->session, call);
	if (session_group_recall(&session, sweep->session, &sweep->mount, recorded->group))
		has_met = !strays_end(&strays, &session, sweep->until_ns);
	else
		sweep->has_failed = true;
	strays_free(&strays);
	session_group_free(&session);
	return has_met;
}

/* ---- All of them ----------------------------------------------------------------------------------------- */

/* What came back into a group ends with it.  True where nothing is left there; *HAS_MET: it may be otherwise now. */
static bool sweep_recorded(struct sweep *sweep, const char *record, const struct recorded_call *call, bool *has_met)
{
	char text[GROUP_RECORD_TEXT_SIZE], *rest = text;
	enum group_fate fate;
	struct recorded_group recorded;
	bool is_gone = true;

	*has_met = false;
	snprintf(text, sizeof(text), "%s", record);
	while (group_record_next(&rest, &fate, &recorded)) {
		if (call->is_known)
			*has_met = end_strays(sweep, &recorded, call) || *has_met;
		is_gone = sweep_group(sweep, &recorded, fate) && is_gone;
	}
	return is_gone;
}

/* False where something is left. */
static bool sweep_record(struct sweep *sweep, int record)
{
	char text[GROUP_RECORD_TEXT_SIZE];
	struct recorded_people people;
	ssize_t size = pread(record, text, sizeof(text) - 1, 0);
	bool is_gone, has_met, was_told = false;

	text[size > 0 ? size : 0] = '\0';
	people = group_record_people(text);
	do {
		is_gone = sweep_recorded(sweep, text, &people.call, &has_met);
		if (has_met && !was_told)
			tell_of_people(sweep);
		was_told = was_told || has_met;
	} while (has_met && clock_boot_ns() < sweep->until_ns);
	return end_people(sweep, &people) && is_gone && !has_met && size >= 0;
}

/* What can be locked has no guardian.  One that has let go of it just now has taken the name away before. */
static bool is_left_behind(int record)
{
	struct stat status;

	return flock(record, LOCK_EX | LOCK_NB) == 0 && fstat(record, &status) == 0 && status.st_nlink > 0;
}

static void sweep_session(struct sweep *sweep, int directory, const char *name)
{
	int record = openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	sweep->session = name;
	if (record >= 0 && is_left_behind(record) && sweep_record(sweep, record))
		unlinkat(directory, name, 0);
	if (record >= 0)
		close(record);
}

static bool find_mount(struct cgroup_mount *mount)
{
	char own[PATH_MAX];

	return process_control_group(getpid(), own, sizeof(own)) &&
	       cgroup_mount_find("/proc/self/mountinfo", own, cgroup_is_one, mount);
}

bool sweep_groups(int64_t until_ns)
{
	static struct sweep sweep;
	int fd = run_directory_open_below(GROUP_RECORD_DIRECTORY);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	sweep.has_failed = false;
	if (!directory || !run_directory_lock(fd, until_ns) || !find_mount(&sweep.mount)) {
		if (directory)
			closedir(directory);
		else if (fd >= 0)
			close(fd);
		return false;
	}
	sweep.until_ns = until_ns;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.')
			sweep_session(&sweep, fd, entry->d_name);
	closedir(directory);
	return !sweep.has_failed;
}

/* systemd's, which is no session's; it counts on finding its process there. */
static bool is_in_service(void)
{
	static const char ending[] = ".service";
	char own[PATH_MAX];
	size_t size;

	if (!process_control_group(getpid(), own, sizeof(own)))
		return false;
	size = strlen(own);
	return size >= sizeof(ending) - 1 && strcmp(own + size - (sizeof(ending) - 1), ending) == 0;
}

bool sweep_run(void)
{
	static struct cgroup_mount mount;

	if (!find_mount(&mount))
		return true; /* there is nothing to be swept */
	return (is_in_service() || session_group_leave_all(&mount)) &&
	       sweep_groups(clock_boot_ns() + PROGRAM_WITHIN_NS);
}
