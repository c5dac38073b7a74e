/* Renewing a lease in a thread of its own.  SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_RENEWING_H
#define RUN_RENEWING_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"

struct renewing {
	awsflock *context;
	awsflock_lease *lease;
	int64_t stop_ms;
	int ended_fd; /* readable once the thread has ended by itself: the lease is lost */
	int stop_fd;
	pthread_t thread;
	bool running;
	awsflock_error error; /* why it ended: only after ended_fd */
};

/* From here on the context belongs to the thread.  False, with errno, where it cannot be started. */
bool renewing_start(struct renewing *renewing, awsflock *context, awsflock_lease *lease, int64_t stop_ms);

bool renewing_has_ended(const struct renewing *renewing);

/* Ends the thread and waits for it; the context is the caller's again, with nothing to stop it. */
void renewing_stop(struct renewing *renewing);

#endif
