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
	bool becomes_another; /* in sudo and su, at the terminal that they call from */
	bool is_root_already;
};

/* The host process's real user where PAM_RUSER is set (sudo, su: PAM_USER is the one they become), PAM_USER
 * elsewhere. False where there is no such account. */
bool person_find(pam_handle_t *pamh, struct person *person);

#endif
