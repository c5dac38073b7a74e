/* Opening a context's store.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STORE_OPENING_H
#define LIB_STORE_OPENING_H

#include <stdbool.h>

#include "awsflock.h"

/* Opens the context's store where it is not open yet; it stays the context's. */
awsflock_code store_open(awsflock *context, awsflock_error *error);
/* The same; *STEP: what was under way when it failed, as awsflock_diagnose() calls it. */
awsflock_code store_open_by_steps(awsflock *context, const char **step, awsflock_error *error);

/* Whether the credentials of the context's store may need an MFA code.  Looks at files alone. */
awsflock_code store_needs_code(awsflock *context, bool *needs_code, awsflock_error *error);

#endif
