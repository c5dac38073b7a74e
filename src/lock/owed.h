/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call that failed may have taken and has not given back: whoever waits for its answer does not wait for that
 * too. */
#ifndef LOCK_OWED_H
#define LOCK_OWED_H

#include <stdint.h>

#include "base/lease_ids.h"
#include "lock/operation.h"
#include "lock/store.h"

struct owed {
	struct lease_ids ids; /* none: nothing is owed */
	uint64_t highest_fence;
	int64_t until_boot_ns; /* it has run out by itself then */
};

/* What PENDING may hold is owed from now on, and PENDING's no more. */
void owed_take_over(struct owed *owed, struct pending_writes *pending);

/* Tries to give it back, within ten seconds, whether or not it is told to stop.  AWSFLOCK_OK: nothing is owed any more.
 * AWSFLOCK_UNREACHABLE: it may be tried again. */
awsflock_code owed_give_back(struct owed *owed, struct store *store, const char *lock, awsflock_error *error);

#endif
