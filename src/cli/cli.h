/* The awsflock program: what a command is, and what one call of it is given.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "awsflock.h"
#include "cli/options.h"

struct cli_given {
	const struct cli_option *option;
	const char *value; /* NULL: none */
};

struct cli_call {
	const struct cli_command *const *commands; /* all there are; ends in NULL */
	const struct cli_command *command;         /* NULL: no command word */
	struct cli_given *given;                   /* in the order of the command line; owned */
	size_t given_count;
	char **arguments; /* the words that are no options; ends in NULL */
	int argument_count;
	bool json;
	awsflock *context; /* with configuration and options applied; NULL for a command without_store */
	awsflock_error settings_error; /* of a command that judges_settings: what is wrong with the configuration */
};

struct cli_command {
	const char *name;
	const char *alias;     /* another name; NULL: none */
	const char *arguments; /* for people: "LOCK LEASE_ID"; "" where there are none */
	int least_arguments;
	int most_arguments; /* CLI_ANY_NUMBER */
	const char *summary;
	const char *details;              /* more lines for --help; NULL: none */
	const struct cli_option *options; /* its own; NULL: none */
	bool command_follows;             /* its options end at the first word after its first argument */
	bool lease_file_instead;          /* --lease-file stands in the place of its arguments */
	bool without_store;               /* needs no configuration and no store */
	bool judges_settings;             /* is run also where the configuration cannot be loaded */
	bool own_signals;                 /* deals with SIGINT and the like, and SIGPIPE, itself */
	int failed_exit;                  /* its exit code for an error; 0: CLI_FAILED */
	int (*run)(struct cli_call *call);
};

#define CLI_ANY_NUMBER (-1)

/* The one of COMMANDS (which end in NULL) with this name or alias, or NULL. */
const struct cli_command *command_find(const struct cli_command *const *commands, const char *name);

extern const struct cli_command cmd_acquire, cmd_hold, cmd_renew, cmd_release, cmd_run, cmd_status, cmd_list,
	cmd_break, cmd_create_table, cmd_doctor, cmd_guard_check, cmd_help, cmd_version;

/* Shows how COMMAND is used, or where it is NULL the program with its COMMANDS.  Returns the exit code. */
int help_show(const struct cli_command *const *commands, const struct cli_command *command);
int version_show(bool json);

#endif
