/* What a lock looks like to the caller.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_STATUS_H
#define LIB_STATUS_H

#include "awsflock.h"
#include "lock/item.h"
#include "lock/store.h"

/* A view into ITEM, which must outlive it. */
awsflock_status status_of_item(struct store *store, const struct lock_item *item);

#endif
