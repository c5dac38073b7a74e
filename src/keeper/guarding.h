/* What each event means to a guardian: the handlers of machine.c's table.  Each returns the state that follows.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_GUARDING_H
#define KEEPER_GUARDING_H

#include "keeper/guardian.h"

struct occurrence {
	const struct wire_message *message; /* NULL where the event is no message */
	size_t client;                      /* of an event of a lease client: its number */
};

typedef enum guardian_state guarding_handler(struct guardian *guardian, const struct occurrence *occurrence);

guarding_handler guarding_note; /* it is known now, and changes nothing */
guarding_handler guarding_granted, guarding_opened, guarding_opened_too_late;
guarding_handler guarding_closed, guarding_closed_unopened, guarding_closed_meanwhile;
guarding_handler guarding_module_gone, guarding_module_gone_unopened;
guarding_handler guarding_moved, guarding_not_moved, guarding_module_gone_moving;
guarding_handler guarding_host_ended, guarding_host_ended_open, guarding_host_ended_unopened;
guarding_handler guarding_valid, guarding_lost, guarding_released, guarding_kept;
guarding_handler guarding_source_gone, guarding_source_gone_releasing;
guarding_handler guarding_source_wrong; /* the renewer says what it must not: it is not relied on any more */
guarding_handler guarding_client_joins, guarding_client_too_late, guarding_client_gone_empty;
guarding_handler guarding_client_joins_empty;
guarding_handler guarding_standby_gone, guarding_start_standby, guarding_start_renewer;
guarding_handler guarding_unrenewed, guarding_end_due, guarding_unopened, guarding_release_timeout;
guarding_handler guarding_look, guarding_look_closing, guarding_members_changed, guarding_step_end, guarding_settle;

#endif
