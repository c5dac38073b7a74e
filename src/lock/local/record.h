/* What stands in a local lock's file: JSON.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_RECORD_H
#define LOCK_LOCAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"
#include "lock/item.h"

/* Files are a whole number of blocks long, so that a full disk can be told from a full file: what fits in one block
 * can be overwritten in place, see file.h. */
#define LOCAL_BLOCK_SIZE ((size_t)4096)
/* More than the longest record can need. */
#define LOCAL_RECORD_MAX ((size_t)128 * 1024)

/* Where an item of another boot is put in this boot's time: long before the boot, since no grace that an observer
 * may allow must keep it alive. */
#define LOCAL_OTHER_BOOT_EXPIRES_MS (-INT64_C(86400) * 1000)

struct local_record {
	struct lock_item item;
	int64_t released_time; /* epoch seconds; only where item.released */
};

void local_record_clear(struct local_record *record);

/* Appends RECORD's text to OUT, padded to whole blocks. */
awsflock_code local_record_encode(const struct local_record *record, const char *boot_id, struct buf *out,
				  awsflock_error *error);

/* Reads the SIZE bytes TEXT of the file PATH.  LOCK is whose record it must be (NULL: anyone's).  *PRESENT is false
 * where nothing was ever written.  AWSFLOCK_BAD_ITEM: not a record, and the sentence says what to do.  The caller
 * clears *OUT. */
awsflock_code local_record_decode(const char *path, const char *text, size_t size, const char *lock,
				  const char *boot_id, struct local_record *out, bool *present,
				  awsflock_error *error);

#endif
