/* JSON as Python's json.dumps() writes it, into a buffer that is wiped: json-c's own printing leaves copies behind.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_JSON_PRINT_H
#define AWS_CREDENTIALS_JSON_PRINT_H

#include <json-c/json.h>
#include <stdbool.h>

#include "base/buf.h"

/* Appends OBJECT.  False where it does not fit, or without memory. */
bool json_print(struct json_object *object, struct buf *out);
/* Appends TEXT in quotes, with escapes for all but printable ASCII. */
void json_print_text(struct buf *out, const char *text);

#endif
