/* Making the table, and checking one that exists.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DYNAMODB_TABLE_H
#define LOCK_DYNAMODB_TABLE_H

#include "aws/dynamodb/dynamodb.h"
#include "awsflock.h"
#include "base/runtime.h"
#include "base/servertime.h"

/* Where: nothing of it is owned. */
struct table_dynamodb {
	struct runtime *runtime;
	struct dynamodb *client;
	struct server_time *time;
	const char *name;
	const char *where; /* for sentences */
};

/* What awsflock_create_table() promises.  Waits at most five minutes for the table to become active. */
awsflock_code table_dynamodb_create(const struct table_dynamodb *table, const awsflock_table_options *options,
				    awsflock_error *error);

#endif
