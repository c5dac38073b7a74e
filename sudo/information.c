/* See information.h.  SPDX-License-Identifier: Apache-2.0 */
#include "information.h"

#include <stdint.h>
#include <string.h>

/* NULL where it is not there. */
static const char *value_of(char *const info[], const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; info && info[i]; i++)
		if (strncmp(info[i], name, length) == 0 && info[i][length] == '=')
			return info[i] + length + 1;
	return NULL;
}

static bool is_true(char *const info[], const char *name)
{
	const char *value = value_of(info, name);
	return value && strcmp(value, "true") == 0;
}

/* (uid_t)-1 is nobody's. */
static bool read_id(const char *text, uint32_t *id)
{
	uint64_t number = 0;
	if (!text || *text == '\0')
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		number = number * 10 + (uint64_t)(*text - '0');
		if (number >= UINT32_MAX)
			return false;
	}
	*id = (uint32_t)number;
	return true;
}

bool information_of_caller(char *const user_info[], struct caller *caller)
{
	*caller = (struct caller){ .name = value_of(user_info, "user"),
				   .tty = value_of(user_info, "tty"),
				   .cwd = value_of(user_info, "cwd") };
	return read_id(value_of(user_info, "uid"), &caller->uid) && caller->name && *caller->name;
}

/* Where sudo may stay in the caller's directory if it cannot go to another, it is certain only of that one. */
static const char *directory_of(char *const command_info[], const struct caller *caller)
{
	const char *cwd = value_of(command_info, "cwd");
	if (!cwd)
		return caller->cwd;
	if (is_true(command_info, "cwd_optional") && (!caller->cwd || strcmp(cwd, caller->cwd) != 0))
		return NULL;
	return cwd;
}

bool information_is_of_edit(char *const command_info[])
{
	return is_true(command_info, "sudoedit");
}

bool information_of_command(char *const command_info[], const struct caller *caller, struct sudo_command *command,
			    const char **runas)
{
	const char *root = value_of(command_info, "chroot");
	*command = (struct sudo_command){ .path = value_of(command_info, "command"),
					  .cwd = directory_of(command_info, caller),
					  .has_own_root = root && *root };
	if (information_is_of_edit(command_info))
		command->path = SUDO_RULES_EDIT;
	*runas = value_of(command_info, "runas_user");
	return command->path && read_id(value_of(command_info, "runas_uid"), &command->runas_uid) &&
	       read_id(value_of(command_info, "runas_gid"), &command->runas_gid);
}
