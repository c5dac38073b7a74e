/* SPDX-License-Identifier: Apache-2.0
 *
 * The guardian's progress, in memory that its standby and its renewer see: a guardian that was stopped, or is stuck,
 * makes none. */
#ifndef KEEPER_PROGRESS_H
#define KEEPER_PROGRESS_H

#include <stdint.h>

struct progress {
	_Atomic uint64_t steps;
	_Atomic int64_t boot_ns; /* when it last turned to all that it has to do */
};

/* Memory to be shown to others through *FD, which is the caller's and can only be read through; NULL: there is none.
 * Freed by progress_free(). */
struct progress *progress_new(int *fd);
void progress_free(struct progress *progress);
/* What FD shows, for as long as this process lives; NULL where FD is not such memory. */
const struct progress *progress_open(int fd);

/* For every loop that can take long.  PROGRESS may be NULL. */
void progress_step(struct progress *progress);

#endif
