/* Durations as people write them.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DURATION_H
#define BASE_DURATION_H

#include <stdint.h>

#include "awsflock.h"

/* The longest duration that is taken: a year.  A lock held for longer is a mistake. */
#define DURATION_MAX_SECONDS (INT64_C(366) * 86400)

/* What awsflock_parse_duration() promises: at least 1 s, at most DURATION_MAX_SECONDS, whole seconds. */
awsflock_code duration_parse(const char *text, int64_t *seconds, awsflock_error *error);

/* For waits: also 0, and fractions of plain seconds ("0.5"), in milliseconds. */
awsflock_code duration_parse_ms(const char *text, int64_t *milliseconds, awsflock_error *error);

#endif
