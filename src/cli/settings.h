/* From the command line to a context of the library.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli/cli.h"
#include "term/waiting.h"

/* Makes CALL's context: the configuration, and on top of it each option that sets a key.  Returns CLI_OK or, with
 * the reason said, another exit code; the caller frees call->context in any case. */
int settings_open(struct cli_call *call);

/* Asks for an MFA code where one is needed, in a context of its own: before the lock is asked for from another process, in the
 * background of the terminal.  Returns CLI_OK or, with the reason said, another exit code. */
int settings_sign_in(const struct cli_call *call);

/* What a lock is asked for that is renewed while it is needed, until options say more: a lease of a minute, however long
 * that takes.  WAITING, which shows the wait, must outlive the asking. */
void settings_of_renewed(awsflock_acquire_options *how, struct waiting *waiting);

#define OWNER_SIZE 1025

/* The owner that a new lease gets: the configuration's, or this host's name.  OUT is cut where it is too small. */
void settings_owner(const struct cli_call *call, char *out, size_t size);

#endif
