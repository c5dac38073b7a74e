/* What a context is, to the files of public functions.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_CONTEXT_H
#define LIB_CONTEXT_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/config.h"
#include "base/runtime.h"
#include "lock/store.h"

struct owed_lock;

struct awsflock {
	struct runtime runtime;
	struct config config;
	struct store *store; /* opened at the first use */
	awsflock_lease_id_fn *on_id;
	void *on_id_arg;
	awsflock_renewed_fn *on_renewed;
	void *on_renewed_arg;
	awsflock_mfa_fn *ask_mfa;
	void *ask_mfa_arg;
	bool is_set_id;
	bool gives_back_later;
	struct owed_lock *owed; /* what is to be given back, see lib/giving_back.h */
};

#endif
