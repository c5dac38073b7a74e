/* One local lock's file: locking, reading and replacing it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_FILE_H
#define LOCK_LOCAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"
#include "base/runtime.h"
#include "lock/local/directory.h"

/* The directory and the name stay the caller's, and outlive it. */
struct local_file {
	struct runtime *runtime;
	const struct local_directory *directory;
	const char *name;
	int fd; /* -1: there is no such file */
};

/* "DIRECTORY/NAME", for sentences: valid as long as BUFFER. */
const char *local_file_path(const struct local_file *file, struct buf *buffer);

/* Opens the file and takes its flock(2) alone: until local_file_close() no other process of the store changes it.
 * CREATE makes a missing file, empty.  Waits for others until GIVE_UP_BOOT_NS, 10 s at the most (AWSFLOCK_STORAGE),
 * or until it is told to stop (AWSFLOCK_CANCELLED).  Only the first three members of FILE need to be set. */
awsflock_code local_file_lock(struct local_file *file, bool create, int64_t give_up_boot_ns, awsflock_error *error);

/* Opens the file to be read, beside other readers; changes nothing. */
awsflock_code local_file_open(struct local_file *file, awsflock_error *error);

/* Appends what stands in the file to OUT, or as much as tells that it is larger than LOCAL_RECORD_MAX. */
awsflock_code local_file_read(const struct local_file *file, struct buf *out, awsflock_error *error);

/* Puts SIZE bytes (whole blocks) in the place of the locked file's contents, as one step: whoever looks, and after
 * whatever crash, finds the old or the new.  On a failure *MAYBE_DONE says whether it may have happened. */
awsflock_code local_file_replace(const struct local_file *file, const char *bytes, size_t size, bool *maybe_done,
				 awsflock_error *error);

/* Removes the locked file. */
awsflock_code local_file_remove(const struct local_file *file, awsflock_error *error);

/* Removes the locked file if it is empty: nothing stays behind where a lock was not taken. */
void local_file_drop_empty(const struct local_file *file);

/* Closes it, which gives the flock back. */
void local_file_close(struct local_file *file);

#endif
