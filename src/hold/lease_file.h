/* A file that stands for a lease: who has it may renew and release.  SPDX-License-Identifier: Apache-2.0
 *
 * It is its user's alone, replaced as one step at every change, and taken by flock(2): as long as its holder lives
 * nobody else can take it, and no longer.  The new file is locked before it is in the old one's place. */
#ifndef HOLD_LEASE_FILE_H
#define HOLD_LEASE_FILE_H

#include <stdbool.h>

#include "awsflock.h"
#include "hold/lease_record.h"

struct lease_file {
	const char *path; /* the caller's, for as long as this is used */
	const char *name; /* its last part */
	int directory;
	int fd; /* -1: not open */
};

/* Opens the directory that PATH is in, so that a change of the working directory means nothing.  lease_file_close()
 * follows in any case. */
awsflock_code lease_file_open(struct lease_file *file, const char *path, awsflock_error *error);
void lease_file_close(struct lease_file *file);

/* Opens the file, and takes it unless it is taken: *TAKEN tells.  A missing one is made, empty, with CREATE, else it is
 * AWSFLOCK_LOST.  AWSFLOCK_CONFIG where it is no file that the user alone can have written. */
awsflock_code lease_file_take(struct lease_file *file, bool create, bool *taken, awsflock_error *error);
/* Lets others take it. */
void lease_file_let_go(struct lease_file *file);

/* Reads the open file.  *EMPTY: nothing stands in it.  AWSFLOCK_CONFIG where something else than a record does. */
awsflock_code lease_file_read(const struct lease_file *file, struct lease_record *record, bool *empty,
			      awsflock_error *error);

/* Puts RECORD in the taken file's place, as one step, and takes the new one.  One that was removed comes back; another
 * one that somebody has put in its place is left alone.  AWSFLOCK_STORAGE; the old one stands then. */
awsflock_code lease_file_write(struct lease_file *file, const struct lease_record *record, awsflock_error *error);

/* Removes the taken file, unless another is in its place. */
void lease_file_remove(struct lease_file *file);

#endif
