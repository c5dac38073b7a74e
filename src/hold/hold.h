/* Holding a lock across the steps of a job: a process that renews the lease, and tells of it in a file.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_HOLD_H
#define HOLD_HOLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "awsflock.h"

struct hold_job {
	awsflock *context; /* loaded, and not used for a request yet */
	const char *lock;
	awsflock_acquire_options acquire; /* lease_seconds is set */
	const char *path;                 /* of the lease file */
	pid_t while_pid;                  /* the lock is released when that process ends; 0: none */
	int64_t max_hold_seconds;         /* from the grant; 0: no limit */
	const char *on_lost;              /* a text for sh; NULL: none */
	bool detach;                      /* return once the lock is held, and leave the holder behind */
	bool json;                        /* print the lease once it is held */
	const char *owner;                /* for that; as others see it */
};

/* Does it all, and returns the exit code.  Says on stderr what a person must know. */
int hold_run(const struct hold_job *job);

#endif
