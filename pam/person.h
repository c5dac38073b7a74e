/* SPDX-License-Identifier: Apache-2.0
 *
 * Who acts: the person that a session is opened for, or whose sudo or su it is. */
#ifndef PAM_PERSON_H
#define PAM_PERSON_H

#include <security/pam_modules.h>
#include <stdbool.h>
#include <sys/types.h>

struct person {
	uid_t uid;
	const char *name;     /* the PAM handle's */
	bool becomes_another; /* in sudo, su and pkexec, at the terminal that they call from */
	bool is_root_already; /* the rest is not set then */
};

/* The host process's real user where that is not root (sudo, su, pkexec: PAM_USER is the one they become), PAM_USER
 * elsewhere.  Root's own sudo and su are known by a PAM_RUSER that is root, without a PAM_RHOST.  False where there
 * is no such account. */
bool person_find(pam_handle_t *pamh, struct person *person);

#endif
