/* The protocol's writes in DynamoDB's words: update and condition expressions on one item.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DYNAMODB_EXPRESSION_H
#define LOCK_DYNAMODB_EXPRESSION_H

#include <json-c/json.h>

#include "lock/store.h"

/* What an IN of DynamoDB's expressions takes: WRITE has no more accepted ids. */
#define ACCEPTED_MAX 100

/* The request for WRITE: of UpdateItem, or for STORE_DELETE of DeleteItem.  The caller puts it.  NULL: no
 * memory. */
struct json_object *expression_write(const char *table, const struct store_write *write);

/* TEXT as an attribute value.  NULL: no memory. */
struct json_object *expression_string(const char *text);

#endif
