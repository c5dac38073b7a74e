/* The credentials in force: loaded when they are first needed, renewed before they expire.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SUPPLY_H
#define AWS_CREDENTIALS_SUPPLY_H

#include "aws/credentials/credentials.h"
#include "base/servertime.h"

struct credentials_supply {
	struct credentials credentials;
	bool loaded;
	bool refused;              /* the server did not take them: caches that hold the same are passed over */
	int64_t ask_again_boot_ns; /* not before */
	int64_t loaded_boot_ns;    /* when they were had */
	int64_t foreseen_time;     /* the end that was warned of; 0: none */
	int64_t foreseen_within_s; /* and that it was nearer than this */
	struct sign_in_memory memory;
};

/* Credentials that serve now, in supply->credentials.  From 15 minutes before they expire they are renewed; where
 * that fails, they stay in use as long as they are good, and CONTEXT's sources are asked again later.  TIME tells
 * the time. Errors as of credentials_load(). */
awsflock_code credentials_supply_have(struct credentials_supply *supply, struct credentials_context *context,
				      const struct server_time *time, awsflock_error *error);

/* The server did not take them: reads PROFILE's files anew, and lets the next call ask every source. */
void credentials_supply_refused(struct credentials_supply *supply, struct runtime *runtime,
				struct profile *profile);
/* Logs a warning where what a person signed in for, or keys that nobody renews, are going to end within SECONDS: once for
 * an end, and once more when SECONDS is less than it was then.  Looks before whether that person has signed in again
 * meanwhile. */
void credentials_supply_foresee(struct credentials_supply *supply, struct credentials_context *context,
				const struct server_time *time, int64_t seconds);
void credentials_supply_clear(struct credentials_supply *supply); /* wipes */

#endif
