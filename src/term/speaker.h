/* Saying a line without being held up by whoever should read it: a pipe whose reader stands still, a terminal that
 * Ctrl-S stopped.  For processes that have something more urgent to do.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_SPEAKER_H
#define TERM_SPEAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of this process alone: a child starts without. */
void speaker_start(void);
bool speaker_is_used(void);

/* Has BYTES, which must be few, written to stderr after all that came before them.  Waits for that, but not for
 * long; what stderr cannot take yet is written later. */
void speaker_say(const char *bytes, size_t size);

bool speaker_has_written_all(void);

/* Waits until all is written, MILLISECONDS at the most. */
void speaker_finish(int64_t milliseconds);

#endif
