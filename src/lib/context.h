/* What a context is, to the files of public functions.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CONTEXT_H
#define LIB_CONTEXT_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/config.h"
#include "base/runtime.h"
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

#endif
