/* What stands in a lease file: JSON, for awsflock itself and for scripts.  SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_LEASE_RECORD_H
#define HOLD_LEASE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"

enum lease_state {
	LEASE_TAKING, /* its holder waits for the lock */
	LEASE_HELD,
	LEASE_LOST, /* reason says to whom, or why */
	LEASE_ENDED /* released; reason says why */
};

/* Of more requests than these that got no answer none can be the valid one. */
#define LEASE_RECORD_IDS 129
#define LEASE_STORE_SIZE 4608
#define LEASE_MACHINE_SIZE 96
/* A larger file is none of ours. */
#define LEASE_RECORD_MAX ((size_t)65536)

struct lease_record {
	enum lease_state state;
	char lock[AWSFLOCK_LOCK_MAX + 1];
	char store[LEASE_STORE_SIZE]; /* awsflock_store_name(), sanitised */
	/* The confirmed id, and after it those of requests whose answer has not come: any of them may be the valid one. */
	char ids[LEASE_RECORD_IDS][AWSFLOCK_LEASE_ID_SIZE];
	size_t id_count;
	int64_t fence; /* 0: not known */
	int64_t lease_seconds;
	int64_t expiration_time;          /* epoch seconds; 0: not known */
	int64_t pid;                      /* of the process that renews it; 0: none does */
	int64_t start_ticks;              /* when that process started, see proc/process.h */
	char machine[LEASE_MACHINE_SIZE]; /* where those two mean it */
	char reason[AWSFLOCK_ERROR_MESSAGE_SIZE];
};

/* Adds ID as the newest.  What is one too many takes the place of the oldest that is not confirmed. */
void lease_record_add_id(struct lease_record *record, const char *id);

/* Takes over what a request has confirmed: the lease's id alone, its end, and its fence where that is known. */
void lease_record_confirm(struct lease_record *record, const awsflock_lease *lease);

/* Appends RECORD as one line.  False where memory ran out. */
bool lease_record_encode(const struct lease_record *record, struct buf *out);

/* Reads SIZE bytes.  False where they are no such record: *OUT is undefined then. */
bool lease_record_decode(const char *text, size_t size, struct lease_record *out);

#endif
