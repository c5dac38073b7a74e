/* See selection.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proc/selection.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* More than anything needs that does not grow faster than it can be stopped. */
#define STOP_ROUNDS_MAX 200
#define CAPACITY_FIRST 256

enum verdict {
	UNDECIDED, /* does not belong by itself: its parent decides */
	ON_PATH,   /* being decided */
	BELONGS,
	DOES_NOT
};

struct entry {
	struct process process;
	enum verdict verdict;
};

struct scan {
	const struct selection *selection;
	const struct process_list *before;
	bool stops;
	bool is_sorted; /* by pid: so far /proc has listed them in that order, as Linux does */
	struct entry *entries;
	size_t count, capacity;
};

/* ---- Lists ----------------------------------------------------------------------------------------------- */

void process_list_free(struct process_list *list)
{
	free(list->processes);
	*list = (struct process_list){ NULL, 0 };
}

static int compare_pids(pid_t a, pid_t b)
{
	return (a > b) - (a < b);
}

static int compare_process(const void *key, const void *element)
{
	return compare_pids(*(const pid_t *)key, ((const struct process *)element)->pid);
}

static int compare_entry(const void *key, const void *element)
{
	return compare_pids(*(const pid_t *)key, ((const struct entry *)element)->process.pid);
}

static int compare_entries(const void *left, const void *right)
{
	return compare_pids(((const struct entry *)left)->process.pid, ((const struct entry *)right)->process.pid);
}

bool process_list_has(const struct process_list *list, const struct process *process)
{
	const struct process *found = NULL;

	if (list->count > 0)
		found = bsearch(&process->pid, list->processes, list->count, sizeof(*found), compare_process);
	return found && process_is_same(found, process);
}

void process_list_signal(const struct process_list *list, int signal)
{
	for (size_t i = 0; i < list->count; i++)
		process_signal(&list->processes[i], signal);
}

/* ---- One scan -------------------------------------------------------------------------------------------- */

static struct entry *find_entry(const struct scan *scan, pid_t pid)
{
	if (scan->count == 0)
		return NULL;
	return bsearch(&pid, scan->entries, scan->count, sizeof(*scan->entries), compare_entry);
}

static bool append_process(struct scan *scan, const struct process *process)
{
	if (scan->count == scan->capacity) {
		size_t capacity = scan->capacity ? scan->capacity * 2 : CAPACITY_FIRST;
		struct entry *grown = reallocarray(scan->entries, capacity, sizeof(*grown));
		if (!grown)
			return false;
		scan->entries = grown;
		scan->capacity = capacity;
	}
	if (scan->count > 0 && scan->entries[scan->count - 1].process.pid >= process->pid)
		scan->is_sorted = false;
	scan->entries[scan->count++] = (struct entry){ .process = *process, .verdict = UNDECIDED };
	return true;
}

/* A child that was forked before its parent took the SIGSTOP is found by a scan that starts after that was sent: a
 * fork in which a signal arrives is undone by the kernel and begun again after it.  A process that starts the next
 * and ends, over and over, is only caught by who stops it the moment it is seen. */
static void take_in(const struct scan *scan, struct entry *entry)
{
	const struct selection *selection = scan->selection;

	entry->verdict = selection->is_outside(selection->arg, &entry->process) ? DOES_NOT : BELONGS;
	if (entry->verdict == BELONGS && scan->stops)
		process_signal(&entry->process, SIGSTOP);
}

static bool goes_on(const struct selection *selection)
{
	if (!selection->goes_on || selection->goes_on(selection->arg))
		return true;
	errno = ETIMEDOUT;
	return false;
}

static bool see_process(void *arg, const struct process *process)
{
	struct scan *scan = arg;
	const struct selection *selection = scan->selection;
	const struct entry *parent = scan->is_sorted ? find_entry(scan, process->parent) : NULL;
	bool belongs = process_list_has(scan->before, process) || (parent && parent->verdict == BELONGS) ||
		       selection->belongs(selection->arg, process);

	if (!goes_on(selection) || !append_process(scan, process))
		return false;
	if (belongs)
		take_in(scan, &scan->entries[scan->count - 1]);
	return true;
}

/* The undecided from FIRST upwards go to PATH, the parent behind its child.  Returns how many; *ENDS_IN: the first
 * ancestor that is decided, NULL: there is none.  A circle, which the ids of ended parents can feign, ends it. */
static size_t climb_to_decided(const struct scan *scan, struct entry *first, struct entry **path,
			       const struct entry **ends_in)
{
	struct entry *entry = first;
	size_t length = 0;

	while (entry && entry->verdict == UNDECIDED) {
		entry->verdict = ON_PATH;
		path[length++] = entry;
		entry = find_entry(scan, entry->process.parent);
	}
	*ends_in = entry;
	return length;
}

/* Each is climbed over once, however deep the tree is. */
static void decide_by_parent(const struct scan *scan, struct entry **path)
{
	for (size_t i = 0; i < scan->count; i++) {
		const struct entry *above;
		size_t length = climb_to_decided(scan, &scan->entries[i], path, &above);
		bool belongs = above && above->verdict == BELONGS;
		while (length > 0) {
			struct entry *entry = path[--length];
			if (belongs)
				take_in(scan, entry);
			else
				entry->verdict = DOES_NOT;
			belongs = entry->verdict == BELONGS;
		}
	}
}

/* The members, in place of all.  *FOUND_NEW: one was none before. */
static bool keep_members(const struct scan *scan, struct process_list *members, bool *found_new)
{
	struct process_list kept = { calloc(scan->count + 1, sizeof(*kept.processes)), 0 };

	if (!kept.processes)
		return false;
	*found_new = false;
	for (size_t i = 0; i < scan->count; i++) {
		const struct process *process = &scan->entries[i].process;
		if (scan->entries[i].verdict != BELONGS)
			continue;
		*found_new = *found_new || !process_list_has(scan->before, process);
		kept.processes[kept.count++] = *process;
	}
	if (scan->selection->scanned && !scan->selection->scanned(scan->selection->arg, &kept)) {
		process_list_free(&kept);
		return false;
	}
	process_list_free(members);
	*members = kept;
	return true;
}

static bool scan_all(const struct selection *selection, struct process_list *members, bool stops, bool *found_new)
{
	struct scan scan = { .selection = selection, .before = members, .stops = stops, .is_sorted = true };
	struct entry **path = NULL;
	bool done = false;
	int failure;

	if (!process_each(see_process, &scan))
		goto out;
	if (!scan.is_sorted)
		qsort(scan.entries, scan.count, sizeof(*scan.entries), compare_entries);
	path = calloc(scan.count + 1, sizeof(struct entry *));
	if (!path)
		goto out;
	decide_by_parent(&scan, path);
	done = keep_members(&scan, members, found_new);
out:
	failure = errno;
	free(path);
	free(scan.entries);
	errno = failure;
	return done;
}

bool selection_scan(const struct selection *selection, struct process_list *members)
{
	bool found_new;

	return scan_all(selection, members, false, &found_new);
}

bool selection_stop(const struct selection *selection, struct process_list *members)
{
	/* Whom the first scan knows already it has not stopped before. */
	for (int round = 0; round < STOP_ROUNDS_MAX; round++) {
		bool found_new;
		if (!scan_all(selection, members, true, &found_new))
			return false;
		if (round > 0 && !found_new)
			return true;
	}
	return false;
}
