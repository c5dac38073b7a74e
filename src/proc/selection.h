/* Finding all processes that belong together, and stopping them before they can multiply.
 *
 * Who belongs is said by the caller for a process by itself; the children of those that belong do too.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_SELECTION_H
#define PROC_SELECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "proc/process.h"

struct process_list {
	struct process *processes; /* by rising pid */
	size_t count;
};

void process_list_free(struct process_list *list);
/* That process itself, not one that came after it under the same id. */
bool process_list_has(const struct process_list *list, const struct process *process);

struct selection {
	bool (*belongs)(const void *arg, const struct process *process); /* by itself, whoever its parent is */
	/* Belongs in no case, and nobody does for being its child; asked only of those who would belong. */
	bool (*is_outside)(const void *arg, const struct process *process);
	/* After each scan, where it is not NULL; false: that scan has failed. */
	bool (*scanned)(void *arg, const struct process_list *members);
	/* Before each process is judged, where it is not NULL; false: there is no time, and the scan fails with ETIMEDOUT. */
	bool (*goes_on)(void *arg);
	void *arg;
};

/* Scans all processes but this one: *MEMBERS becomes those that belong, or did so before, and run.  A process whose
 * parent has ended is nobody's child any more: it is remembered alone for having been seen before.
 *
 * Takes time in proportion to the number of processes (times its logarithm), whatever they are to each other.
 * False, with errno and *MEMBERS as it was, where /proc cannot be read, there is no memory or `scanned` said so.
 * The caller frees MEMBERS, and begins with an empty one. */
bool selection_scan(const struct selection *selection, struct process_list *members);

/* Scans again and again, and sends SIGSTOP to each member as soon as it is seen, until a scan meets nobody new.
 * False where a scan failed, or there is no end to it. */
bool selection_stop(const struct selection *selection, struct process_list *members);

/* To all of them, as last seen. */
void process_list_signal(const struct process_list *list, int signal);

#endif
