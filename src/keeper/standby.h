/* SPDX-License-Identifier: Apache-2.0
 *
 * The standby: a copy of the guardian that sleeps, for the case that the guardian is killed or stopped.
 *
 * Nobody but root can do that to it; but a machine short of memory kills too, and then the session must not outlive
 * its lease.  The renewer could not end it: it has no power over anybody.  The copy shares its memory with the
 * guardian until one of them writes to it, so it costs next to nothing. */
#ifndef KEEPER_STANDBY_H
#define KEEPER_STANDBY_H

#include "keeper/guardian.h"

enum standby_result {
	STANDBY_STARTED,
	STANDBY_IMPOSSIBLE, /* no memory, or no process, just now */
	STANDBY_TAKES_OVER  /* in the copy, once the guardian has been killed, or stopped and then killed by it */
};

enum standby_result standby_start(struct guardian *guardian);

#endif
