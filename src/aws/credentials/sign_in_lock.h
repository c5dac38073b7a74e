/* One process at a time renews a sign-in, since a refresh token may serve once.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SIGN_IN_LOCK_H
#define AWS_CREDENTIALS_SIGN_IN_LOCK_H

#include "aws/credentials/credentials.h"

/* Locks the file PATH (flock(2)), and waits while another process has it locked, as long as that may need for a
 * renewal.  AWS's tools take no lock, and see none.  -1 where there is none to be had (no such file, a file system
 * without locks, one who holds it for too long): it is renewed all the same. */
int sign_in_lock(const struct credentials_context *context, const char *path);
void sign_in_unlock(int lock_fd); /* -1: nothing to do */

#endif
