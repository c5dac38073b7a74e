/* What the files of public functions share.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CONTEXT_H
#define LIB_CONTEXT_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/config.h"
#include "base/runtime.h"
#include "lock/item.h"
#include "lock/store.h"

struct awsflock {
	struct runtime runtime;
	struct config config;
	struct store *store; /* opened at the first use */
	awsflock_lease_id_fn *on_id;
	void *on_id_arg;
	awsflock_renewed_fn *on_renewed;
	void *on_renewed_arg;
	bool is_set_id;
};

/* Opens the context's store where it is not open yet; it stays the context's. */
awsflock_code context_open(awsflock *context, awsflock_error *error);
/* The same; *STEP: what was under way when it failed, as awsflock_diagnose() calls it. */
awsflock_code context_open_by_steps(awsflock *context, const char **step, awsflock_error *error);

/* A view into ITEM, which must outlive it. */
awsflock_status context_status_of(struct store *store, const struct lock_item *item);

#endif
