/* SPDX-License-Identifier: Apache-2.0
 *
 * The guardian as a machine: which event is permitted in which state, and what it leads to.
 *
 * An event that its state does not permit is logged.  From whoever renews the lease it is fatal besides: who says
 * what it must not is not relied on, and the session is ended in time. */
#ifndef KEEPER_MACHINE_H
#define KEEPER_MACHINE_H

#include "keeper/guarding.h"

enum guardian_event {
	EVENT_GRANTED, /* the opening has got the lock */
	/* From the module, and of its host. */
	EVENT_OPENED,
	EVENT_CLOSED, /* RELEASE */
	EVENT_MOVED,
	EVENT_MODULE_GONE,
	EVENT_HOST_ENDED,
	/* From the renewer, or from the keeper whose lease is shared. */
	EVENT_VALID,
	EVENT_LOST,
	EVENT_RELEASED,
	EVENT_KEPT,
	EVENT_SOURCE_WRONG, /* another message, or none at all */
	EVENT_SOURCE_GONE,
	/* Of lease clients. */
	EVENT_CLIENT_JOINS,
	EVENT_CLIENT_GONE,
	/* Of processes. */
	EVENT_STANDBY_GONE,
	EVENT_MEMBERS_CHANGED,
	/* Of timers, in their order. */
	EVENT_TIMER_FIRST,
	EVENT_UNRENEWED = EVENT_TIMER_FIRST,
	EVENT_END_DUE,
	EVENT_LOOK_DUE,
	EVENT_STEP_DUE,
	EVENT_STATE_OVER,
	EVENT_STANDBY_DUE,
	EVENT_RENEWER_DUE,
	EVENT_COUNT
};

bool machine_permits(enum guardian_state state, enum guardian_event event);
const char *machine_state_name(enum guardian_state state);
const char *machine_event_name(enum guardian_event event);

/* MESSAGE, CLIENT: what belongs to the event; NULL, 0. */
void machine_event(struct guardian *guardian, enum guardian_event event, const struct wire_message *message,
		   size_t client);
/* Serves the timers that are due. */
void machine_run_timers(struct guardian *guardian);
/* When the next one is; NEVER: none is on. */
int64_t machine_next_ns(const struct guardian *guardian);

#endif
