/* SPDX-License-Identifier: Apache-2.0
 *
 * What failed calls of awsflock_acquire() may have taken, kept in the context until awsflock_give_back(). */
#ifndef LIB_GIVING_BACK_H
#define LIB_GIVING_BACK_H

#include "awsflock.h"
#include "lock/owed.h"

/* A place for what a call for LOCK may come to owe: the context's, but not told of before giving_back_keep().
 * AWSFLOCK_MEMORY. */
awsflock_code giving_back_prepare(awsflock *context, const char *lock, struct owed **out, awsflock_error *error);
/* The call has ended: keeps what is owed in that place, and forgets a place where nothing is. */
void giving_back_keep(awsflock *context);
void giving_back_forget(awsflock *context);

#endif
