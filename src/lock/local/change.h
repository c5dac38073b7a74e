/* SPDX-License-Identifier: Apache-2.0
 *
 * The protocol's writes on a local record: lock/store.h says what each of them is. */
#ifndef LOCK_LOCAL_CHANGE_H
#define LOCK_LOCAL_CHANGE_H

#include <stdbool.h>

#include "lock/local/record.h"
#include "lock/store.h"

/* Whether WRITE's condition holds for ITEM (NULL: there is none). */
bool local_change_may(const struct lock_item *item, const struct store_write *write);

/* Makes of RECORD (all zero: there was none) what WRITE leaves of it; STORE_DELETE changes nothing here.  False
 * where memory ran out: RECORD is useless then, and still to be cleared. */
bool local_change_apply(struct local_record *record, const struct store_write *write);

#endif
