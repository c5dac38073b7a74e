/* A struct of options that begins with its own size, so that it can grow.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SIZED_STRUCT_H
#define BASE_SIZED_STRUCT_H

#include <stddef.h>

#include "awsflock.h"

/* Copies GIVEN, whose first member is its size_t size, to OWN of OWN_SIZE bytes.  An older caller's is shorter, but
 * no shorter than FIRST_SIZE, which it had at its first release: what it lacks is zero in OWN.  A newer caller's is
 * longer: AWSFLOCK_INVALID unless what this library does not know is zero.  INITIALISER, for the sentence: the macro
 * that sets the size. */
awsflock_code sized_struct_copy(void *own, size_t own_size, size_t first_size, const void *given,
				const char *initialiser, awsflock_error *error);

#endif
