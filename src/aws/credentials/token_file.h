/* A token that another program keeps fresh in a file.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_TOKEN_FILE_H
#define AWS_CREDENTIALS_TOKEN_FILE_H

#include "awsflock.h"
#include "base/buf.h"

/* Reads PATH, a regular file, and cuts white space off its ends.  WHAT names the token in the sentence.
 * AWSFLOCK_CREDENTIALS: it cannot be read, is empty or too long, or has a zero byte; AWSFLOCK_MEMORY. */
awsflock_code token_file_read(const char *path, const char *what, struct buf *out, awsflock_error *error);

#endif
