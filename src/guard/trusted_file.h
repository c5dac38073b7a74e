/* Files that only root can have written.  SPDX-License-Identifier: Apache-2.0 */
#ifndef GUARD_TRUSTED_FILE_H
#define GUARD_TRUSTED_FILE_H

#include "awsflock.h"

/* Opens a regular file for reading that is not a symbolic link, belongs to root (or to whom this process acts as)
 * and that nobody else may write, nor any directory above it (but a sticky one).  AWSFLOCK_CONFIG otherwise.  WHAT names it in the sentence.  The caller closes
 * *FD. */
awsflock_code trusted_file_open(const char *what, const char *path, int *fd, awsflock_error *error);

/* The same judgement of a directory; one that does not exist is for its user to judge. */
awsflock_code trusted_directory_check(const char *what, const char *path, awsflock_error *error);

#endif
