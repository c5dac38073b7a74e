/* Results as JSON.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_JSON_OUTPUT_H
#define TERM_JSON_OUTPUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"

/* Add a member.  False where memory ran out.  An empty or NULL string, and a zero number, become null: unknown. */
bool json_add_text(struct json_object *object, const char *name, const char *text);
bool json_add_known(struct json_object *object, const char *name, int64_t number);
bool json_add_number(struct json_object *object, const char *name, int64_t number);
bool json_add_bool(struct json_object *object, const char *name, bool value);

/* One lock's status as an object that the caller frees with json_object_put(); NULL where memory ran out. */
struct json_object *json_from_status(const awsflock_status *status);
/* A lease: what acquire and renew print.  OWNER may be NULL. */
struct json_object *json_from_lease(const awsflock_lease *lease, const char *owner);

/* Appends OBJECT as one line with its newline, in ASCII, so that no terminal is steered by what a lock is
 * called. */
bool json_append(struct buf *out, struct json_object *object);
/* Prints OBJECT (NULL: memory had run out) on stdout and frees it.  Returns CLI_OK or, with the reason said,
 * CLI_FAILED. */
int json_result(struct json_object *object);

#endif
