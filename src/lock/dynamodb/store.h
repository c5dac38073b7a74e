/* The DynamoDB store: the protocol's writes as expressions.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DYNAMODB_STORE_H
#define LOCK_DYNAMODB_STORE_H

#include "aws/dynamodb/dynamodb.h"
#include "lock/store.h"

/* TABLE is copied; takes over CLIENT (freed with the store), also on failure.  The caller owns *OUT. */
awsflock_code store_dynamodb_new(struct runtime *runtime, struct dynamodb *client, const char *table,
				 struct store **out, awsflock_error *error);

#endif
