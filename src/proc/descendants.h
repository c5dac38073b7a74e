/* The descendants of a process: finding, signalling and ending them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_DESCENDANTS_H
#define PROC_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/selection.h"

struct descendants {
	pid_t root;   /* whose descendants; does not belong itself */
	pid_t spared; /* does not belong either, its descendants do; 0: nobody */
	struct process_list members;
};

/* ROOT (and SPARED) must not be reaped while this is in use. */
void descendants_init(struct descendants *descendants, pid_t root, pid_t spared);
void descendants_free(struct descendants *descendants);

/* Scans again: members are all that run, descend from the root or from a member, or were members before (a process
 * whose parent ended may have left the root's descendants).  Zombies have ended.  False, with errno and the members
 * as they were, where /proc cannot be read or there is no memory. */
bool descendants_scan(struct descendants *descendants);

/* To all members as last seen, or with GROUP not 0 to those in that process group. */
void descendants_signal(const struct descendants *descendants, int signal, pid_t group);

/* Ends all members: TERM and CONT, and at KILL_BOOT_NS (CLOCK_BOOTTIME; in the past: at once) SIGSTOP to all until
 * no more appear, so that none can fork away, and KILL.  Returns true once none is left, or false GIVE_UP_NS after
 * the first KILL: then the members, if there are any, could not be ended. */
bool descendants_end(struct descendants *descendants, int64_t kill_boot_ns, int64_t give_up_ns);

#endif
