/* What is shown while the program waits for a lock.  SPDX-License-Identifier: Apache-2.0 */
#ifndef TERM_WAITING_H
#define TERM_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"

struct waiting {
	int64_t next_line_ms; /* when a log gets its next line, in time waited */
};

#define WAITING_INIT                                                                                               \
	{                                                                                                          \
		0                                                                                                  \
	}

/* An awsflock_waiting_fn; ARG is a struct waiting.  On a terminal one line is redrawn, elsewhere one is written at
 * once and one a minute.  Whoever called awsflock_acquire() calls waiting_end() after it. */
void waiting_show(void *arg, const awsflock_status *holder, int64_t waited_ms);

/* The terminal's line, of at most WIDTH columns from 40 on: "deploy: alice@laptop until 22:13:48 (56s), waited 3s", with
 * what matters less left out and names cut with an ellipsis where it has not room for all. */
void waiting_append_line(struct buf *line, const awsflock_status *holder, int64_t waited_ms, int64_t now,
			 size_t width);

/* Takes the live line away, where there is one. */
void waiting_end(void);

#endif
