/* Looking a command up in a table of them.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli/cli.h"

const struct cli_command *command_find(const struct cli_command *const *commands, const char *name)
{
	for (size_t i = 0; commands[i]; i++) {
		const struct cli_command *command = commands[i];

		if (strcmp(name, command->name) == 0 || (command->alias && strcmp(name, command->alias) == 0))
			return command;
	}
	return NULL;
}
