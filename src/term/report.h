/* What the program says to people, on stderr, one sanitised line at a time.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_REPORT_H
#define TERM_REPORT_H

#include <stdbool.h>

#include "awsflock.h"

/* Exit codes, see awsflock(1). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NOT_HELD = 3, /* not acquired, or no longer held */
	CLI_RUN_LOST = 124,
	CLI_RUN_FAILED = 125,
	CLI_RUN_CANNOT_EXECUTE = 126,
	CLI_RUN_NOT_FOUND = 127,
	CLI_INTERRUPTED = 130
};

/* How much is said: -q -1, default 0, -v 1.  Errors are always said, but for the answer that a lock is
 * held. */
void report_set_level(int level);
int report_level(void);

void report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));  /* "awsflock: ..." always */
void report_notice(const char *format, ...) __attribute__((format(printf, 1, 2))); /* not with -q */
void report_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));  /* with -v */

/* Says the library's error (with -q not that the lock is held), and returns the exit code that belongs to it: 1, 2, 3
 * or 130. */
int report_failure(const awsflock_error *error);

/* For awsflock_set_log(). */
void report_log(void *arg, awsflock_log_level level, const char *message);

/* stderr is a terminal that wants live lines and colour (NO_COLOR unset, TERM not dumb). */
bool report_is_live(void);
/* The same of a terminal elsewhere: what NO_COLOR and TERM say. */
bool report_wants_live(void);

/* Shows TEXT, fitted to the terminal's width, as the one line that is redrawn in place; NULL takes it away.  Every
 * other report takes it away first.  Only where report_is_live(). */
void report_live_line(const char *text);

#endif
