/* Ends the sessions whose keepers were killed, the guardian with its standby: nobody else would before their lease passes
 * on.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SWEEP_H
#define KEEPER_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

/* Ends everything in the control groups that no guardian has, and who is written down beside them (group_record.h), and
 * waits for it until UNTIL_NS (CLOCK_BOOTTIME) at most; logs whom it ended.  Every keeper does so before it asks for a
 * lock.  False where something cannot be ended, or the records cannot be read. */
bool sweep_groups(int64_t until_ns);
/* The same as a program of its own: leaves the control group of a session first, so as not to end with it. */
bool sweep_run(void);

#endif
