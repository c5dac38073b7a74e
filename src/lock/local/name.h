/* The local store's file names.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_NAME_H
#define LOCK_LOCAL_NAME_H

#include <stdbool.h>

/* The longest file name made here, with its zero; a temporary file's name is a few bytes longer, and must stay
 * below the 255 bytes of NAME_MAX. */
#define LOCAL_NAME_SIZE 201

/* The name of LOCK's file: percent-encoded, and where that is too long, its start and a SHA-256 of the whole.
 * False where the system's library refuses to compute that. */
bool local_name_of_lock(const char *lock, char name[LOCAL_NAME_SIZE]);

/* Whether NAME can have been made by local_name_of_lock(). */
bool local_name_is_ours(const char *name);

/* Whether NAME, which is ours, can belong to a lock whose name starts with PREFIX: a false yes is possible for the
 * long names that end in a hash, a false no is not. */
bool local_name_may_start_with(const char *name, const char *prefix);

#endif
