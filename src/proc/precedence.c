/* See precedence.h.  SPDX-License-Identifier: Apache-2.0 */
#include "proc/precedence.h"

#include <sched.h>
#include <sys/resource.h>

void precedence_take(void)
{
	struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) != 0)
		setpriority(PRIO_PROCESS, 0, -20); /* a container may forbid that as well */
}
