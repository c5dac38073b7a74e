/* See machine.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/machine.h"

#include <syslog.h>

#include "keeper/lease_clients.h"

_Static_assert(EVENT_COUNT - EVENT_TIMER_FIRST == TIMER_COUNT, "each timer has an event");

/* clang-format off */
static guarding_handler *const permitted[GUARDIAN_STATE_COUNT][EVENT_COUNT] = {
	[GUARDIAN_OPENING] = {
		[EVENT_GRANTED]         = guarding_granted,
	},
	[GUARDIAN_GRANTED] = {
		[EVENT_OPENED]          = guarding_opened,
		[EVENT_CLOSED]          = guarding_closed_unopened,
		[EVENT_MODULE_GONE]     = guarding_module_gone_unopened,
		[EVENT_HOST_ENDED]      = guarding_host_ended_unopened,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_members_changed,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_STATE_OVER]      = guarding_unopened,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_OPEN] = {
		[EVENT_CLOSED]          = guarding_closed,
		[EVENT_MOVED]           = guarding_moved,
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended_open,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_members_changed,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_END_DUE]         = guarding_end_due,
		[EVENT_LOOK_DUE]        = guarding_look,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_MOVING] = {
		[EVENT_CLOSED]          = guarding_closed,
		[EVENT_MOVED]           = guarding_moved,
		[EVENT_MODULE_GONE]     = guarding_module_gone_moving,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_members_changed,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_END_DUE]         = guarding_end_due,
		[EVENT_LOOK_DUE]        = guarding_look,
		[EVENT_STATE_OVER]      = guarding_not_moved,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_CLOSING] = {
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_look_closing,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_END_DUE]         = guarding_end_due,
		[EVENT_LOOK_DUE]        = guarding_look_closing,
		[EVENT_STATE_OVER]      = guarding_settle,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_HOLDING] = {
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_look_closing,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_END_DUE]         = guarding_end_due,
		[EVENT_LOOK_DUE]        = guarding_look_closing,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_ENDING] = {
		[EVENT_CLOSED]          = guarding_closed_meanwhile,
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_step_end,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_STEP_DUE]        = guarding_step_end,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_EMPTY] = {
		[EVENT_OPENED]          = guarding_opened_too_late,
		[EVENT_CLOSED]          = guarding_closed_meanwhile,
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended,
		[EVENT_VALID]           = guarding_valid,
		[EVENT_LOST]            = guarding_lost,
		[EVENT_SOURCE_GONE]     = guarding_source_gone,
		[EVENT_CLIENT_JOINS]    = guarding_client_joins_empty,
		[EVENT_CLIENT_GONE]     = guarding_client_gone_empty,
		[EVENT_STANDBY_GONE]    = guarding_standby_gone,
		[EVENT_MEMBERS_CHANGED] = guarding_members_changed,
		[EVENT_UNRENEWED]       = guarding_unrenewed,
		[EVENT_STANDBY_DUE]     = guarding_start_standby,
		[EVENT_RENEWER_DUE]     = guarding_start_renewer,
	},
	[GUARDIAN_RELEASING] = {
		[EVENT_OPENED]          = guarding_opened_too_late,
		[EVENT_CLOSED]          = guarding_closed_meanwhile,
		[EVENT_MODULE_GONE]     = guarding_module_gone,
		[EVENT_HOST_ENDED]      = guarding_host_ended,
		[EVENT_VALID]           = guarding_note, /* it crossed with our RELEASE */
		[EVENT_LOST]            = guarding_note,
		[EVENT_RELEASED]        = guarding_released,
		[EVENT_KEPT]            = guarding_kept,
		[EVENT_SOURCE_GONE]     = guarding_source_gone_releasing,
		[EVENT_CLIENT_JOINS]    = guarding_client_too_late,
		[EVENT_CLIENT_GONE]     = guarding_note,
		[EVENT_STANDBY_GONE]    = guarding_note,
		[EVENT_MEMBERS_CHANGED] = guarding_members_changed,
		[EVENT_STATE_OVER]      = guarding_release_timeout,
	},
};
/* clang-format on */

static const char *const state_names[] = { "opening", "granted", "open",  "moving",    "closing",
					   "holding", "ending",  "empty", "releasing", "over" };
static const char *const event_names[] = { "granted",
					   "OPENED",
					   "RELEASE",
					   "MOVED",
					   "the module's end",
					   "the host's end",
					   "VALID",
					   "LOST",
					   "RELEASED",
					   "KEPT",
					   "another message",
					   "the renewer's end",
					   "JOIN",
					   "a client's end",
					   "the standby's end",
					   "new members",
					   "an overdue renewal",
					   "the end's time",
					   "a look's time",
					   "a step's time",
					   "the state's end",
					   "a standby's time",
					   "another renewer's time" };

_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == GUARDIAN_STATE_COUNT, "each state has a name");
_Static_assert(sizeof(event_names) / sizeof(event_names[0]) == EVENT_COUNT, "each event has a name");

bool machine_permits(enum guardian_state state, enum guardian_event event)
{
	return permitted[state][event] != NULL;
}

const char *machine_state_name(enum guardian_state state)
{
	return state_names[state];
}

const char *machine_event_name(enum guardian_event event)
{
	return event_names[event];
}

/* The one place that assigns the state.  Timers that mean nothing to the new one are switched off. */
static void transition(struct guardian *guardian, enum guardian_state next)
{
	guardian->state = next;
	for (int timer = 0; timer < TIMER_COUNT; timer++)
		if (!permitted[next][EVENT_TIMER_FIRST + timer])
			guardian_set_timer(guardian, (enum guardian_timer)timer, NEVER);
}

static bool is_from_lease_source(enum guardian_event event)
{
	return event >= EVENT_VALID && event <= EVENT_SOURCE_WRONG;
}

static enum guardian_state refuse_event(struct guardian *guardian, enum guardian_event event,
					const struct occurrence *occurrence)
{
	guardian_log(guardian, LOG_WARNING, "%s is not permitted while %s", event_names[event],
		     state_names[guardian->state]);
	if (event == EVENT_CLIENT_JOINS)
		lease_clients_remove(guardian, occurrence->client, true);
	if (!is_from_lease_source(event) || guardian->state == GUARDIAN_OVER || guardian->state == GUARDIAN_OPENING)
		return guardian->state;
	return guarding_source_wrong(guardian, occurrence);
}

void machine_event(struct guardian *guardian, enum guardian_event event, const struct wire_message *message,
		   size_t client)
{
	struct occurrence occurrence = { .message = message, .client = client };
	guarding_handler *handler = permitted[guardian->state][event];

	transition(guardian, handler ? handler(guardian, &occurrence) : refuse_event(guardian, event, &occurrence));
}

void machine_run_timers(struct guardian *guardian)
{
	for (int timer = 0; timer < TIMER_COUNT; timer++) {
		if (guardian->timers[timer] > guardian_now_ns(guardian))
			continue;
		guardian_set_timer(guardian, (enum guardian_timer)timer, NEVER);
		machine_event(guardian, (enum guardian_event)(EVENT_TIMER_FIRST + timer), NULL, 0);
	}
}

int64_t machine_next_ns(const struct guardian *guardian)
{
	int64_t next_ns = NEVER;

	for (int timer = 0; timer < TIMER_COUNT; timer++)
		if (guardian->timers[timer] < next_ns)
			next_ns = guardian->timers[timer];
	return next_ns;
}
