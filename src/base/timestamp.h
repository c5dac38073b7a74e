/* Times as AWS writes them.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TIMESTAMP_H
#define BASE_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the whole of "2026-11-23T14:02:11Z" (RFC 3339: also a blank for the T, a fraction of the second, which is
 * cut off, and an offset such as +01:00 or +0100, or UTC) as epoch seconds. */
bool timestamp_parse(const char *text, int64_t *epoch_seconds);

#define TIMESTAMP_SIZE 32

/* "2026-11-23T14:02:11Z"; "" for a time that has no such form. */
void timestamp_format(int64_t epoch_seconds, char text[TIMESTAMP_SIZE]);

#endif
