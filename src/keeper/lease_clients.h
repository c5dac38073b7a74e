/* Further sessions of the same person, which rely on this keeper's lease.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_LEASE_CLIENTS_H
#define KEEPER_LEASE_CLIENTS_H

#include "keeper/guardian.h"

void lease_clients_accept(struct guardian *guardian);
/* Answers the JOIN of client NUMBER, and removes it where it may not join.  CAN_STILL_JOIN: the lease is not being
 * given back. */
void lease_clients_join(struct guardian *guardian, size_t number, const struct wire_message *message,
			bool can_still_join);
/* IN_ORDER: it said that nothing is left of its session.  One that vanishes while it relies on the lease was killed,
 * and what it watched may still run: the lock is not released then. */
void lease_clients_remove(struct guardian *guardian, size_t number, bool in_order);
void lease_clients_send_valid(struct guardian *guardian);
void lease_clients_send_lost(struct guardian *guardian, bool is_refused, const char *why);

#endif
