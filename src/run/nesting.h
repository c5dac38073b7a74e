/* Noticing that `awsflock run` runs inside itself on the same lock, which would wait for itself for ever.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_NESTING_H
#define RUN_NESTING_H

#include <stdbool.h>

/* The environment variable that tells: marks of the locks held around a command, separated by spaces. */
#define NESTING_VARIABLE "AWSFLOCK_RUN"

/* Whether MARKS (NULL: none) has the mark of LOCK in the store STORE_NAME; and into *OUT, which the caller frees,
 * the marks for a command that runs under it.  False where there is no memory, or no hash. */
bool nesting_check(const char *marks, const char *store_name, const char *lock, bool *nested, char **out);

#endif
