/* The process that renews a lease, found again by what the lease file says of it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_HOLDER_PROCESS_H
#define HOLD_HOLDER_PROCESS_H

#include "hold/lease_record.h"
#include "proc/process.h"

enum holder_presence {
	HOLDER_NONE,     /* nobody renews it by himself */
	HOLDER_HERE,     /* it runs */
	HOLDER_GONE,     /* it has ended */
	HOLDER_ELSEWHERE /* on another machine, or in another container: nothing can be told */
};

/* Names this process as the holder. */
void holder_process_set_self(struct lease_record *record);

/* *PROCESS is filled in where it is HOLDER_HERE. */
enum holder_presence holder_process_find(const struct lease_record *record, struct process *process);

#endif
