/* Releasing and renewing a lease by its file.  SPDX-License-Identifier: Apache-2.0 */
#ifndef HOLD_BY_FILE_H
#define HOLD_BY_FILE_H

#include "awsflock.h"
#include "hold/lease_use.h"

/* Releases the lease of the file PATH, and removes the file: has its holder do it, or does it where that is gone, or
 * there is none.  WAKE_FD readable: stop waiting for the holder (AWSFLOCK_CANCELLED).  AWSFLOCK_LOST where nothing is held
 * by it any more, and the sentence says why; the file is removed then too.  After another failure it may be called again. */
awsflock_code lease_end(struct lease_use *use, awsflock *context, const char *path, int wake_fd,
			awsflock_error *error);

/* Renews the lease of the file PATH for SECONDS (0: as long as before), which has no holder that does.  OWNER as for
 * awsflock_renew().  *LEASE is the caller's. */
awsflock_code lease_renew_by_file(struct lease_use *use, awsflock *context, const char *path, int64_t seconds,
				  const char *owner, awsflock_lease **lease, awsflock_error *error);

#endif
