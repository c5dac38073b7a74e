/* Checking a table and the way to it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DIAGNOSE_DYNAMODB_H
#define LOCK_DIAGNOSE_DYNAMODB_H

#include "lock/diagnosis.h"
#include "lock/dynamodb/table.h"
#include "lock/store.h"

/* What struct store_ops's diagnose promises, of STORE, whose table TABLE is. */
bool diagnose_dynamodb(struct store *store, const struct table_dynamodb *table, const char *scratch,
		       const struct diagnosis *diagnosis);

#endif
