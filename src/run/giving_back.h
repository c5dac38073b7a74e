/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer does not wait for the giving back of what a request without an answer may have taken. */
#ifndef RUN_GIVING_BACK_H
#define RUN_GIVING_BACK_H

#include "awsflock.h"

/* Where CONTEXT has something to give back: starts a process that tries until it is done, or until the lease has run
 * out by itself, for ten minutes at the most, and outlives this one.  It holds no terminal, no descriptor and no directory of the user's. */
void giving_back_start(awsflock *context, const char *lock);

#endif
