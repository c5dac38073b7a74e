/* Ends who belongs to a session whose keepers were killed, and stands outside of its control group.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_SWEEP_PEOPLE_H
#define KEEPER_SWEEP_PEOPLE_H

#include "keeper/group_record.h"

/* Kills all of PEOPLE but keepers, in rounds until UNTIL_NS (CLOCK_BOOTTIME) at most; one at least.  True where nobody is
 * left.  *HAS_MET: somebody was there. */
bool sweep_people(const struct recorded_people *people, int64_t until_ns, bool *has_met);

#endif
