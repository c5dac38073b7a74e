/* Ways into this machine, or to root on it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_DOORS_H
#define CLI_GUARD_CHECK_DOORS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/guard_check/guard_check.h"

struct door {
	const char *program;
	const char *service; /* what it calls itself to libpam */
	const char *name;    /* for people */
};

/* The next door that this machine has, from *PLACE on, which is 0 at first.  False at the end. */
bool door_next(const struct sshd_settings *sshd, struct door *door, size_t *place);

#endif
