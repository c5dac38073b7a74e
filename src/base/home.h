/* The home directory of whoever runs this, and paths that start in it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HOME_H
#define BASE_HOME_H

#include <stdbool.h>

#include "awsflock.h"

/* HOME, else the user database's; *OUT stays NULL where there is none.  The caller frees it.  A set-id program's HOME
 * is its caller's and does not count. */
awsflock_code home_find(char **out, awsflock_error *error);

/* Whether PATH is "~" or starts with "~/".  "~bob" is a name as any other. */
bool home_is_meant(const char *path);
/* A copy of PATH, which the caller frees, with the home directory for a tilde: in files, variables and options no
 * shell has put it there.  AWSFLOCK_CONFIG where there is none. */
awsflock_code home_expand(const char *path, char **out, awsflock_error *error);
/* The same where HAS_HOME; else, for set-id programs and session guards, a copy of PATH as it is. */
awsflock_code home_copy_path(const char *path, bool has_home, char **out, awsflock_error *error);

#endif
