/* A lock's item as DynamoDB shows it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_DYNAMODB_ITEM_H
#define LOCK_DYNAMODB_ITEM_H

#include <json-c/json.h>

#include "awsflock.h"
#include "lock/item.h"

/* The member TYPE of attribute NAME as text; NULL where the attribute is missing or of another type. */
const char *item_attribute_text(struct json_object *item, const char *name, const char *type);

/* Reads OBJECT, a map of attribute values.  LOCK: whose item it must be; NULL: whatever it is.  WHERE names the
 * table in sentences.  AWSFLOCK_BAD_ITEM where what the protocol needs is missing or mistyped; AWSFLOCK_PROTOCOL
 * where it is another lock's.  The caller clears OUT. */
awsflock_code item_from_dynamodb(const char *where, const char *lock, struct json_object *object,
				 struct lock_item *out, awsflock_error *error);

#endif
