/* A program run to its end for what it prints.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"
#include "base/runtime.h"

struct child_options {
	char *const *words;       /* ends in NULL; a first word without a slash is looked for in PATH */
	char *const *environment; /* ends in NULL */
	size_t output_limit;      /* bytes of standard output */
	int64_t give_up_boot_ns;  /* when it is killed */
};

enum child_end {
	CHILD_EXITED,
	CHILD_SIGNALLED,
	CHILD_REAPED_ELSEWHERE, /* the program ignores SIGCHLD, or waits for all its children: nobody knows how */
	CHILD_TIMED_OUT,        /* these three: killed, with its process group */
	CHILD_TOO_LARGE,
	CHILD_STOPPED /* by the runtime's order */
};

struct child_result {
	enum child_end end;
	int number; /* its exit code, or the signal's */
	struct buf output;
	struct buf complaint; /* the beginning of its standard error */
};

/* It gets /dev/null as standard input, no descriptor but the standard three, a session of its own (so no terminal
 * to ask at), no blocked and no ignored signals.  What it leaves running in the background is left alone.
 * AWSFLOCK_CONFIG where it cannot be started (the sentence is the rest of "... cannot be run: "), _MEMORY.  The
 * caller calls child_result_clear() after AWSFLOCK_OK. */
awsflock_code child_run(struct runtime *runtime, const struct child_options *options, struct child_result *result,
			awsflock_error *error);
void child_result_clear(struct child_result *result); /* wipes */

#endif
