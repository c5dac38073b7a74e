/* The descendants of a process: finding, signalling and ending them.
 *
 * A process is named by its id and its start time, and a signal goes through a pidfd that was checked against both,
 * so that a reused id is never signalled.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_DESCENDANTS_H
#define PROC_DESCENDANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid, parent, group;
	uint64_t start_ticks; /* since boot */
	char name[16];        /* cut, and as the process chose it: sanitise it */
	bool stopped_by_us, killed_by_us;
};

struct process_tree {
	pid_t root;   /* whose descendants; does not belong itself */
	pid_t spared; /* does not belong either, its descendants do; 0: nobody */
	struct process *members;
	size_t count, capacity;
};

/* ROOT (and SPARED) must not be reaped while the tree is in use. */
void process_tree_init(struct process_tree *tree, pid_t root, pid_t spared);
void process_tree_free(struct process_tree *tree);

/* Looks again: members are all that run, descend from the root or from a member, or were members before (a process
 * whose parent ended may have left the root's descendants).  Zombies have ended.  False, with errno and the members
 * as they were, where /proc cannot be read or there is no memory. */
bool process_tree_scan(struct process_tree *tree);

/* False, with errno, where it was not sent: ESRCH (it has ended), EPERM. */
bool process_signal(const struct process *process, int signal);
/* To all members as last seen, or with GROUP not 0 to those in that process group. */
void process_tree_signal(const struct process_tree *tree, int signal, pid_t group);

/* Ends all members: TERM and CONT, and at KILL_BOOT_NS (CLOCK_BOOTTIME; in the past: at once) SIGSTOP to all until
 * no more appear, so that none can fork away, and KILL.  Returns true once none is left, or false GIVE_UP_NS after
 * the first KILL: then the members, if there are any, could not be ended. */
bool process_tree_end(struct process_tree *tree, int64_t kill_boot_ns, int64_t give_up_ns);

/* The process group of PID; 0: it has ended. */
pid_t process_group_of(pid_t pid);

#endif
