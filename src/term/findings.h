/* SPDX-License-Identifier: Apache-2.0
 *
 * What checks have found: lines of text, or one JSON object; and the exit code. */
#ifndef TERM_FINDINGS_H
#define TERM_FINDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "awsflock.h"

struct json_object;

struct findings {
	struct json_object *list; /* NULL: lines of text are printed at once */
	size_t failed, warnings;
	int fault; /* the errno of a result that could not be put out; 0: none */
};

/* False, with the reason said, where nothing can be put out.  findings_free() follows in any case. */
bool findings_begin(struct findings *findings, bool json);
void findings_free(struct findings *findings);

/* An awsflock_check_fn; ARG is the struct findings. */
void findings_take(void *arg, const awsflock_check *check);
/* The same, put together. */
void findings_add(struct findings *findings, const char *name, awsflock_verdict verdict, const char *mend,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Puts out what has not been.  The exit code: CLI_FAILED where a check failed, or its result was lost. */
int findings_conclude(struct findings *findings);

#endif
