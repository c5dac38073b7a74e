/* Secrets that are kept for long: in memory that core dumps leave out.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* A copy of TEXT on pages of its own (MADV_DONTDUMP), which secret_free() gives back.  NULL without memory.  A core
 * dump of a program that uses the library holds none of these copies.  It may hold others: what is being read or sent at
 * that moment, and what libraries have left in their buffers.  So our programs turn dumps off altogether. */
char *secret_copy(const char *text);
/* Wipes and unmaps, and sets *SECRET to NULL. */
void secret_free(char **secret);

#endif
