/* Handing a lease to the user: printing its id, or giving back what could not be handed over.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_LEASE_OUTPUT_H
#define CLI_LEASE_OUTPUT_H

#include <stdbool.h>

#include "cli/cli.h"

/* Prints LEASE's id (with --json: all of it) on stdout.  OWNER may be NULL.  False, with errno, where it did not go
 * out. */
bool lease_print(const struct cli_call *call, const awsflock_lease *lease, const char *owner);

/* Releases a lease that nobody came to know of, whatever signals have come.  False, with what is left said, where
 * that fails. */
bool lease_give_back(struct cli_call *call, awsflock_lease *lease);

/* Says every id under which LEASE may stand. */
void lease_tell_ids(const awsflock_lease *lease);

#endif
