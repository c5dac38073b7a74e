/* Secrets that are kept for long: in memory that core dumps leave out.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* A copy of TEXT on pages of its own (MADV_DONTDUMP), which secret_free() gives back.  NULL without memory.  A core
 * dump of a program that uses the library holds none of them; their copies on the way (environment, network buffers
 * of libraries) are not ours to hide, so that the programs themselves turn dumps off altogether. */
char *secret_copy(const char *text);
/* Wipes and unmaps, and sets *SECRET to NULL. */
void secret_free(char **secret);

#endif
