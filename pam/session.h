/* A guarded session from its opening to its close.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PAM_SESSION_H
#define PAM_SESSION_H

#include <security/pam_modules.h>

/* Each is the phase of its name, and returns what the host gets. */
int session_open(pam_handle_t *pamh, int flags, int argc, const char **argv);
int session_close(pam_handle_t *pamh, int flags, int argc, const char **argv);
/* The account phase: looks whether somebody else holds the lock. */
int session_probe(pam_handle_t *pamh, int flags, int argc, const char **argv);

#endif
