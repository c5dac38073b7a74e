/* Checking a local store's directory.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_DIAGNOSIS_H
#define LOCK_LOCAL_DIAGNOSIS_H

#include <stdbool.h>

#include "lock/diagnosis.h"

/* What struct store_ops's diagnose promises, of the store in DIRECTORY. */
bool diagnose_local(const char *directory, const struct diagnosis *diagnosis);

#endif
