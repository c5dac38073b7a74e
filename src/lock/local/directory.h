/* Finding, making and judging the local store's directory.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_DIRECTORY_H
#define LOCK_LOCAL_DIRECTORY_H

#include <stdbool.h>
#include <sys/types.h>

#include "awsflock.h"

struct local_directory {
	const char *path; /* the caller's, for sentences */
	int fd;           /* O_PATH, or -1 */
	bool made;        /* by this opening */
	/* Writable by its group, on purpose: its files are GROUP's too. */
	bool shared;
	gid_t group;
};

/* Opens PATH (absolute) for the *at() calls, after checking that nobody but root, the user and, where it is shared,
 * its group can change what is in it or put another in its place.  Where it does not exist: CREATE makes it and its
 * parents, 0700; else AWSFLOCK_OK with fd -1.  AWSFLOCK_BAD_TABLE: it cannot serve; AWSFLOCK_STORAGE: the system
 * refuses.  Both sentences say how to mend it.  The caller closes *OUT. */
awsflock_code local_directory_open(const char *path, bool create, struct local_directory *out,
				   awsflock_error *error);

/* Does nothing where nothing is open. */
void local_directory_close(struct local_directory *directory);

#endif
