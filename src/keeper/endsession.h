/* Ending what is left of a session, in steps that never wait.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_ENDSESSION_H
#define KEEPER_ENDSESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/membership.h"

enum ending_phase {
	ENDING_NOT_BEGUN,
	ENDING_HANGUP,    /* SIGHUP and SIGCONT are next */
	ENDING_TERMINATE, /* SIGTERM and SIGCONT are next */
	ENDING_KILL,      /* stop all, and SIGKILL, over and over */
	ENDING_OVERDUE,   /* the same, more rarely: something should have been gone by now */
	ENDING_DONE       /* nothing is left */
};

struct ending {
	enum ending_phase phase;
	bool ends_host; /* the host too, last, if it does not end by itself */
	int64_t began_ns, terminate_ns, kill_ns, host_ns, overdue_ns;
	int64_t next_ns; /* CLOCK_BOOTTIME: when the next step is due */
};

/* Plans the end from NOW_NS so that it is over by UNTIL_NS, or in END_MS where that comes first; with no time left
 * at all it begins with SIGKILL.  Does nothing yet, and nothing where it has begun before and would end sooner. */
void ending_begin(struct ending *ending, int64_t now_ns, int64_t end_ms, int64_t until_ns, bool ends_host);

/* Does what is due at NOW_NS.  HOST_IS_DONE: the host has closed the session in order, and needs no ending.
 * Afterwards phase and next_ns say how it stands.  It never gives up: who is still there is killed as soon as that is
 * possible. */
void ending_step(struct ending *ending, struct membership *members, bool host_is_done, int64_t now_ns);

#endif
