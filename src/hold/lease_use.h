/* A lease by its file: taking a lock with one, and finding the lease again.  SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_LEASE_USE_H
#define HOLD_LEASE_USE_H

#include <stdbool.h>

#include "awsflock.h"
#include "hold/holder_process.h"
#include "hold/lease_file.h"
#include "hold/lease_record.h"

struct lease_use {
	struct lease_file file;
	struct lease_record record; /* where the file is not empty */
	bool empty;
	bool taken; /* by this process; else by the holder */
	enum holder_presence holder;
	struct process process; /* where that is HOLDER_HERE */
};

/* Opens the lease file PATH, takes it unless its holder has it, and reads it.  Waits some seconds for another awsflock that
 * has it for a moment, and for a holder that is ending.  CREATE makes a missing one, else it is AWSFLOCK_LOST.
 * lease_use_close() follows in any case. */
awsflock_code lease_use_open(struct lease_use *use, const char *path, bool create, awsflock_error *error);
void lease_use_close(struct lease_use *use);

/* A holder, here or elsewhere, holds the lock or waits for it.  One that has written down its end has the file for the
 * moment until it is gone, or lets it go. */
bool lease_use_has_holder_at_work(const struct lease_use *use);

/* AWSFLOCK_CONFIG where the file's lease is one of another store than CONTEXT's. */
awsflock_code lease_use_check_store(const struct lease_use *use, awsflock *context, awsflock_error *error);

/* AWSFLOCK_LOST where the file itself tells that no lease is held by it, and the sentence says why; else AWSFLOCK_OK. */
awsflock_code lease_use_judge(const struct lease_use *use, awsflock_error *error);

/* Takes the file PATH for a lease of LOCK that is going to be asked for; WITH_HOLDER: this process will renew it.
 * AWSFLOCK_CONFIG where another lease may be held by it.  Where that or the lock cannot be had lease_use_drop() removes what
 * came to nothing. */
awsflock_code lease_use_reserve(struct lease_use *use, awsflock *context, const char *path, const char *lock,
				bool with_holder, awsflock_error *error);
void lease_use_drop(struct lease_use *use);

/* Writes that LEASE is held.  AWSFLOCK_STORAGE. */
awsflock_code lease_use_keep(struct lease_use *use, const awsflock_lease *lease, awsflock_error *error);

/* An awsflock_lease_id_fn, whose ARG is the struct lease_use: writes the id down before the request that may make it the
 * valid one, so that whoever comes after this process finds it. */
void lease_use_note_id(void *arg, const char *lock, const char *lease_id);

#endif
