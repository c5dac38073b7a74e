/* What sudo tells its plugins, as lists of name=value.  SPDX-License-Identifier: Apache-2.0 */
#ifndef SUDO_INFORMATION_H
#define SUDO_INFORMATION_H

#include <stdbool.h>
#include <sys/types.h>

#include "guard/sudo_rules.h"

/* Who called sudo, and from where.  Texts are sudo's own; NULL: not known. */
struct caller {
	uid_t uid;
	const char *name;
	const char *tty;
	const char *cwd;
};

/* False where USER_INFO does not say who it is. */
bool information_of_caller(char *const user_info[], struct caller *caller);

/* What is to be run for CALLER; *RUNAS is the user's name, or NULL.  False where COMMAND_INFO does not say what, or as
 * whom. */
bool information_of_command(char *const command_info[], const struct caller *caller, struct sudo_command *command,
			    const char **runas);

/* Does sudo start an editor on copies of files, which it copies back then? */
bool information_is_of_edit(char *const command_info[]);

#endif
