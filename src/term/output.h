/* SPDX-License-Identifier: Apache-2.0
 *
 * Results, on stdout: written whole or not at all as far as the program can tell. */
#ifndef TERM_OUTPUT_H
#define TERM_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"

/* Opens /dev/null in the place of each of stdin, stdout and stderr that is closed, so that no connection comes to
 * stand there.  To be called first of all.  False where that fails. */
bool output_init(void);

/* Whether there is a stdout to write to.  To be asked before anything is taken. */
bool output_is_open(void);
/* The same, with the reason said where there is none. */
bool output_ready(void);

/* Writes and flushes TEXT.  False, with errno, where it did not go out. */
bool output_write(const char *text);
/* The same, and whether the file system took all that was written. */
bool output_finish(const char *text);
/* output_finish(), with the reason said where it fails.  Returns CLI_OK or CLI_FAILED. */
int output_result(const char *text);
/* The same for what was put together in TEXT: nothing is written where memory or its limit did not suffice. */
int output_text(const struct buf *text);

/* Appends TEXT, sanitised. */
void output_append_clean(struct buf *out, const char *text);
/* "alice@build-1 (owner nightly)", with the owner only where it says more than the host; or just the owner where
 * nothing else is known. */
void output_append_holder(struct buf *out, const awsflock_status *status);
/* The status of a lock in one line without a newline, and as a block of lines. */
void output_append_status_line(struct buf *out, const awsflock_status *status, int64_t now);
void output_append_status_block(struct buf *out, const awsflock_status *status, int64_t now);

#endif
