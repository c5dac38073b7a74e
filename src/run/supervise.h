/* Running a command while a lock is held.  Two processes stand around the command, so that neither's end leaves it
 * running without its lock:
 *
 *   launcher     the process that the user started: mirrors the command's stops and its end to the shell, passes
 *                signals on, and is the last resort: where the supervisor dies or stalls, it ends what is left and
 *                releases the lock
 *   supervisor   its child: takes the lock, renews it (in a thread), starts the command, ends it in time when the
 *                lease is lost or the launcher dies, and releases the lock once nothing of it is left
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_SUPERVISE_H
#define RUN_SUPERVISE_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"

enum supervise_on_lost {
	SUPERVISE_STOP, /* end the command before the deadline; exit 124 */
	SUPERVISE_WARN  /* say so, and let it run */
};

enum supervise_leftovers { /* processes that the command left behind when it ended by itself */
	SUPERVISE_HOLD,    /* keep the lock, and wait for them */
	SUPERVISE_END,     /* end them */
	SUPERVISE_RELEASE  /* let them run without the lock */
};

struct supervise_job {
	awsflock *context; /* loaded, and not used for a request yet: it is used on both sides of a fork */
	const char *lock;
	awsflock_acquire_options acquire;
	char *const *argv;     /* ends in NULL */
	int64_t kill_after_ms; /* from TERM to KILL */
	enum supervise_on_lost on_lost;
	enum supervise_leftovers leftovers;
	int64_t stopped_end_after_ms; /* a command that has been stopped for so long is ended; 0: never */
	int not_acquired_exit;        /* -E, default CLI_NOT_HELD */
};

/* Does it all, and returns the exit code: the command's own, 128 + its signal, or one of enum cli_exit.  Says on
 * stderr what a person must know. */
int supervise_run(const struct supervise_job *job);

#endif
