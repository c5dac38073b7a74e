/* Trying a lock for a diagnosis, by the public functions alone.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_TRIAL_H
#define LIB_TRIAL_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/runtime.h"
#include "lock/diagnosis.h"

#define TRIAL_NAME_SIZE 64

/* A name that nobody uses. */
awsflock_code trial_name(struct runtime *runtime, char name[TRIAL_NAME_SIZE], awsflock_error *error);

/* Takes LOCK, renews it and gives it back, also where it is told to stop in between, and tells how that went.
 * RUNTIME is the context's.  DELETE_IT: without leaving a trace, where that is allowed. */
void trial_run(awsflock *context, struct runtime *runtime, const char *lock, bool delete_it,
	       const struct diagnosis *diagnosis);

#endif
