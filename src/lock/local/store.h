/* The local store: a directory with one small JSON file a lock.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_STORE_H
#define LOCK_LOCAL_STORE_H

#include "lock/store.h"

/* DIRECTORY is made (0700, its parents too) at the first write where it does not exist.  NULL: the
 * user has none, which is AWSFLOCK_CONFIG.  The caller owns *OUT. */
awsflock_code store_local_new(struct runtime *runtime, const char *directory, struct store **out,
			      awsflock_error *error);

#endif
