/* Asking for an MFA code on the terminal.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_MFA_PROMPT_H
#define CLI_MFA_PROMPT_H

#include <stddef.h>

#include "awsflock.h"

/* Has CONTEXT ask on the terminal; where there is none, nobody is asked. */
void mfa_prompt_offer(awsflock *context);

#endif
