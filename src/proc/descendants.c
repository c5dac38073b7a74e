/* See descendants.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/descendants.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/runtime.h"
#include "base/text.h"
#include "proc/children.h"

/* Fields of /proc/PID/stat, counted from the state that follows the name, see proc(5). */
enum stat_field {
	STAT_PARENT = 1,
	STAT_GROUP = 2,
	STAT_THREADS = 17,
	STAT_START = 19
};

#define POLL_FIRST_MS 2
#define POLL_LONGEST_MS 20
/* More than any tree needs that does not grow faster than it can be stopped. */
#define STOP_ROUNDS_MAX 200

struct process_list {
	struct process *processes;
	size_t count, capacity;
};

void process_tree_init(struct process_tree *tree, pid_t root, pid_t spared)
{
	*tree = (struct process_tree){ .root = root, .spared = spared };
}

void process_tree_free(struct process_tree *tree)
{
	free(tree->members);
	tree->members = NULL;
	tree->count = tree->capacity = 0;
}

/* ---- One process ----------------------------------------------------------------------------------------- */

static bool parse_pid(const char *text, pid_t *pid)
{
	int64_t number;

	if (!text_parse_int64(text, 1, INT32_MAX, &number))
		return false;
	*pid = (pid_t)number;
	return true;
}

/* Field NUMBER of what follows the name in a stat line: fields are separated by one space. */
static bool parse_field(const char *fields, enum stat_field number, int64_t *out)
{
	char text[24];
	size_t size;

	for (int i = 0; i < (int)number; i++) {
		fields = strchr(fields, ' ');
		if (!fields)
			return false;
		fields++;
	}
	size = strcspn(fields, " \n");
	if (size >= sizeof(text))
		return false;
	memcpy(text, fields, size);
	text[size] = '\0';
	return text_parse_int64(text, 0, INT64_MAX, out);
}

/* The name stands in brackets and may hold brackets and spaces itself: its end is the last one. */
static bool parse_stat(char *line, struct process *process, bool *ended)
{
	char *name = strchr(line, '('), *end = strrchr(line, ')');
	int64_t parent, group, threads, start;
	const char *fields;

	if (!name || !end || end < name || end[1] != ' ')
		return false;
	fields = end + 2;
	if (!parse_field(fields, STAT_PARENT, &parent) || !parse_field(fields, STAT_GROUP, &group) ||
	    !parse_field(fields, STAT_THREADS, &threads) || !parse_field(fields, STAT_START, &start))
		return false;
	*end = '\0';
	snprintf(process->name, sizeof(process->name), "%s", name + 1);
	process->parent = (pid_t)parent;
	process->group = (pid_t)group;
	process->start_ticks = (uint64_t)start;
	/* A process whose first thread ended while others run looks like a zombie too. */
	*ended = (*fields == 'Z' || *fields == 'X') && threads <= 1;
	return true;
}

static bool read_process(pid_t pid, struct process *process)
{
	char path[32], line[1024];
	ssize_t size;
	bool ended = true;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (size <= 0)
		return false;
	line[size] = '\0';
	*process = (struct process){ .pid = pid };
	return parse_stat(line, process, &ended) && !ended;
}

pid_t process_group_of(pid_t pid)
{
	struct process process;

	return read_process(pid, &process) ? process.group : 0;
}

bool process_signal(const struct process *process, int signal)
{
	struct process now;
	int saved_errno, fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	bool sent;

	if (fd < 0)
		return false;
	/* What the id names now, after the descriptor was opened, started when PROCESS did: so the descriptor is
	 * PROCESS's. */
	if (!read_process(process->pid, &now) || now.start_ticks != process->start_ticks) {
		close(fd);
		errno = ESRCH;
		return false;
	}
	sent = syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) == 0;
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return sent;
}

/* ---- All processes --------------------------------------------------------------------------------------- */

static bool append(struct process_list *list, const struct process *process)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 256;
		struct process *grown = reallocarray(list->processes, capacity, sizeof(*grown));
		if (!grown)
			return false;
		list->processes = grown;
		list->capacity = capacity;
	}
	list->processes[list->count++] = *process;
	return true;
}

static int by_pid(const void *left, const void *right)
{
	const struct process *a = left, *b = right;

	return (a->pid > b->pid) - (a->pid < b->pid);
}

static struct process *find(struct process *processes, size_t count, pid_t pid)
{
	struct process key = { .pid = pid };

	return count > 0 ? bsearch(&key, processes, count, sizeof(key), by_pid) : NULL;
}

static struct process *find_member(const struct process_tree *tree, const struct process *process)
{
	struct process *member = find(tree->members, tree->count, process->pid);

	return member && member->start_ticks == process->start_ticks ? member : NULL;
}

static bool is_outside(const struct process_tree *tree, const struct process *process)
{
	return process->pid == tree->root || (tree->spared && process->pid == tree->spared);
}

/* Those who belong and were read before it are stopped. */
static bool belongs_on_sight(const struct process_tree *tree, const struct process_list *list,
			     const struct process *process)
{
	pid_t parent = process->parent;

	if (parent == tree->root || (tree->spared && parent == tree->spared))
		return true;
	for (size_t i = list->count; i > 0; i--)
		if (list->processes[i - 1].pid == parent)
			return list->processes[i - 1].stopped_by_us;
	return false;
}

/* A child that was forked before its parent took the SIGSTOP is found by a look that starts after that was sent: a
 * fork in which a signal arrives is undone by the kernel and begun again after it.  A process that starts the next
 * and ends, over and over, is only caught by who stops it the moment it is seen. */
static void stop_on_sight(const struct process_tree *tree, const struct process_list *list, struct process *process)
{
	const struct process *member = find_member(tree, process);

	if (is_outside(tree, process))
		return;
	if (member && member->stopped_by_us)
		process->stopped_by_us = true;
	else if (member || belongs_on_sight(tree, list, process))
		process->stopped_by_us = process_signal(process, SIGSTOP);
}

/* All that run, by pid.  STOPPED not NULL: those of that tree that can be told at once are stopped. */
static bool list_processes(struct process_list *list, const struct process_tree *stopped)
{
	DIR *directory = opendir("/proc");
	struct dirent *entry;
	bool complete = false;

	if (!directory)
		return false;
	while (errno = 0, entry = readdir(directory)) {
		struct process process;
		pid_t pid;
		if (!parse_pid(entry->d_name, &pid) || !read_process(pid, &process))
			continue;
		if (stopped)
			stop_on_sight(stopped, list, &process);
		if (!append(list, &process))
			goto out;
	}
	complete = errno == 0;
	if (list->count > 0)
		qsort(list->processes, list->count, sizeof(*list->processes), by_pid);
out:
	closedir(directory);
	return complete;
}

/* ---- Who belongs ----------------------------------------------------------------------------------------- */

static bool belongs_by_parent(const struct process_tree *tree, const struct process_list *list, const bool *belongs,
			      const struct process *process)
{
	const struct process *parent;

	if (process->parent == tree->root || (tree->spared && process->parent == tree->spared))
		return true;
	parent = find(list->processes, list->count, process->parent);
	return parent && belongs[parent - list->processes];
}

static void mark(const struct process_tree *tree, const struct process_list *list, bool *belongs)
{
	bool changed = true;

	for (size_t i = 0; i < list->count; i++)
		belongs[i] = !is_outside(tree, &list->processes[i]) && find_member(tree, &list->processes[i]);
	while (changed) {
		changed = false;
		for (size_t i = 0; i < list->count; i++) {
			const struct process *process = &list->processes[i];
			if (belongs[i] || is_outside(tree, process) ||
			    !belongs_by_parent(tree, list, belongs, process))
				continue;
			belongs[i] = true;
			changed = true;
		}
	}
}

/* Makes LIST the members.  True where one of them was not known to be stopped before; STOPPING: it is stopped now.
 */
static bool keep_marked(const struct process_tree *tree, struct process_list *list, const bool *belongs,
			bool stopping)
{
	bool found_more = false;
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct process process = list->processes[i];
		const struct process *before = find_member(tree, &process);
		if (!belongs[i])
			continue;
		process.killed_by_us = before && before->killed_by_us;
		if (before && before->stopped_by_us) {
			process.stopped_by_us = true;
		} else {
			found_more = true;
			if (stopping && !process.stopped_by_us) {
				process_signal(&process, SIGSTOP);
				process.stopped_by_us = true;
			}
		}
		list->processes[kept++] = process;
	}
	list->count = kept;
	return found_more;
}

/* STOPPING: everybody that belongs is stopped, at sight or at the latest before this returns.  *STOPPED_MORE: there
 * was somebody new. */
static bool look(struct process_tree *tree, bool stopping, bool *stopped_more)
{
	struct process_list list = { NULL, 0, 0 };
	bool *belongs = NULL;
	bool done = false;

	if (!list_processes(&list, stopping ? tree : NULL))
		goto out;
	belongs = calloc(list.count + 1, sizeof(*belongs));
	if (!belongs)
		goto out;
	mark(tree, &list, belongs);
	*stopped_more = keep_marked(tree, &list, belongs, stopping);
	free(tree->members);
	tree->members = list.processes;
	tree->count = list.count;
	tree->capacity = list.capacity;
	list.processes = NULL;
	done = true;
out:
	free(belongs);
	free(list.processes);
	return done;
}

bool process_tree_scan(struct process_tree *tree)
{
	bool unused;

	return look(tree, false, &unused);
}

void process_tree_signal(const struct process_tree *tree, int signal, pid_t group)
{
	for (size_t i = 0; i < tree->count; i++)
		if (group == 0 || tree->members[i].group == group)
			process_signal(&tree->members[i], signal);
}

/* ---- The end --------------------------------------------------------------------------------------------- */

static void pause_ms(int *interval_ms)
{
	poll(NULL, 0, *interval_ms);
	*interval_ms = *interval_ms * 2 < POLL_LONGEST_MS ? *interval_ms * 2 : POLL_LONGEST_MS;
}

static void stop_all(struct process_tree *tree)
{
	bool stopped_more = true;

	for (int round = 0; round < STOP_ROUNDS_MAX && stopped_more; round++)
		if (!look(tree, true, &stopped_more))
			return;
}

static void kill_all(struct process_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		if (tree->members[i].killed_by_us)
			continue;
		process_signal(&tree->members[i], SIGKILL);
		tree->members[i].killed_by_us = true;
	}
}

/* True once none is left. */
static bool wait_until_none(struct process_tree *tree, int64_t until_boot_ns)
{
	int interval_ms = POLL_FIRST_MS;

	while (!process_tree_scan(tree) || tree->count > 0) {
		if (clock_boot_ns() >= until_boot_ns)
			return false;
		pause_ms(&interval_ms);
	}
	return true;
}

bool process_tree_end(struct process_tree *tree, int64_t kill_boot_ns, int64_t give_up_ns)
{
	int64_t give_up_boot_ns;
	int interval_ms = POLL_FIRST_MS;

	if (process_tree_scan(tree)) {
		process_tree_signal(tree, SIGTERM, 0);
		process_tree_signal(tree, SIGCONT, 0);
	}
	if (wait_until_none(tree, kill_boot_ns))
		return true;
	give_up_boot_ns = clock_boot_ns() + give_up_ns;
	for (;;) {
		stop_all(tree);
		kill_all(tree);
		if (tree->root == getpid())
			own_children_kill(tree->spared, give_up_boot_ns);
		if (process_tree_scan(tree) && tree->count == 0)
			return true;
		if (clock_boot_ns() >= give_up_boot_ns)
			return false;
		pause_ms(&interval_ms);
	}
}
