/* From whatever ended a session to the release of its lock.  Each function returns the state that follows.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_CLOSING_H
#define KEEPER_CLOSING_H

#include "keeper/guardian.h"

/* Ends what is left of the session, so that it is gone before the lease.  ENDS_HOST: the host too, if it does not end
 * by itself. */
enum guardian_state closing_begin_end(struct guardian *guardian, const char *why, bool ends_host);
/* The next step of that. */
enum guardian_state closing_step_end(struct guardian *guardian);
/* The module has closed the session in order, which was open. */
enum guardian_state closing_close(struct guardian *guardian);
/* Whether those who were dying, or are held for, are gone. */
enum guardian_state closing_look(struct guardian *guardian);
/* The dying have had their moment. */
enum guardian_state closing_settle(struct guardian *guardian);
/* Nothing of the session is left (or it was never opened): the lock is given back, if nobody else relies on it. */
enum guardian_state closing_release(struct guardian *guardian);
/* The last words. */
enum guardian_state closing_over(struct guardian *guardian, bool is_free, const char *sentence);

#endif
