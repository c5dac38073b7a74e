/* The user database's entry of a user.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ACCOUNT_H
#define BASE_ACCOUNT_H

#include <sys/types.h>

#include "awsflock.h"

struct account {
	char *name, *home; /* NULL: not known */
};

/* An account that is unknown, or that cannot be looked up, is AWSFLOCK_OK with both NULL; only memory can run
 * out. */
awsflock_code account_find(uid_t user, struct account *out, awsflock_error *error);
void account_clear(struct account *account);

#endif
