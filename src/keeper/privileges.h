/* Giving up what root can do, for good.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_PRIVILEGES_H
#define KEEPER_PRIVILEGES_H

#include "awsflock.h"

/* Becomes USER, with its group alone, no capability, no way to new privileges, and out of reach of ptrace and core
 * dumps.  USER NULL stays root by number, without its capabilities: the owner of root's files, and nothing else.
 * AWSFLOCK_CONFIG where there is no such user or it is root. */
awsflock_code privileges_drop(const char *user, awsflock_error *error);

#endif
