/* Checking a table and the way to it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DYNAMODB_DIAGNOSIS_H
#define LOCK_DYNAMODB_DIAGNOSIS_H

#include "lock/diagnosis.h"
#include "lock/dynamodb/table.h"
#include "lock/store.h"

/* What struct store_ops's diagnose promises, of STORE, whose table TABLE is. */
bool diagnose_dynamodb(struct store *store, const struct table_dynamodb *table, const char *scratch,
		       const struct diagnosis *diagnosis);

#endif
