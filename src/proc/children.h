/* Ending the processes that are this one's own children, faster than they can multiply.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_CHILDREN_H
#define PROC_CHILDREN_H

#include <stdint.h>
#include <sys/types.h>

/* Kills every child of this process but SPARED (0: nobody), and every one that becomes its child when its own
 * parent dies (this process is their subreaper), until no more appear or UNTIL_BOOT_NS (CLOCK_BOOTTIME) has come.
 * Reaps nobody.  The caller must not reap meanwhile in another thread.  Does nothing where the kernel does not list
 * children (CONFIG_PROC_CHILDREN). */
void own_children_kill(pid_t spared, int64_t until_boot_ns);

#endif
