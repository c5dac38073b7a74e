/* Ways into this machine, or to root on it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_LOGIN_SERVICES_H
#define CLI_GUARD_CHECK_LOGIN_SERVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/guard_check/guard_check.h"

struct login_service {
	const char *program;
	const char *service; /* what it calls itself to libpam */
	const char *name;    /* for people */
};

/* The next login service that this machine has, from *PLACE on, which is 0 at first.  False at the end. */
bool login_service_next(const struct sshd_settings *sshd, struct login_service *login, size_t *place);

#endif
