/* awsflock help: how each command is used, from the tables that the parser reads.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "term/output.h"
#include "term/report.h"

/* The text of an option's line starts here, on the next line where its name is longer. */
#define HELP_COLUMN 34

static const struct cli_option options[] = {
	/* For the tests: every table as lines of fields separated by tabs. */
	{ OPTION_DUMP_OPTIONS, "dump-options", 0, NULL, false, NULL, NULL },
	OPTION_TABLE_END,
};

static void append_padded(struct buf *out, const char *left, const char *right)
{
	size_t used = strlen(left);

	buf_puts(out, left);
	if (used >= HELP_COLUMN) {
		buf_puts(out, "\n");
		used = 0;
	}
	buf_printf(out, "%*s%s\n", (int)(HELP_COLUMN - used), "", right);
}

static void append_option(struct buf *out, const struct cli_option *option)
{
	struct buf left = BUF_INIT;

	if (option->letter != 0)
		buf_printf(&left, "  -%c, --%s", option->letter, option->name);
	else
		buf_printf(&left, "      --%s", option->name);
	if (option->argument)
		buf_printf(&left, option->argument_optional ? "[=%s]" : " %s", option->argument);
	append_padded(out, buf_text(&left), option->help);
	buf_free(&left);
}

static void append_options(struct buf *out, const char *heading, const struct cli_option *table)
{
	bool any = false;

	for (; table && table->name; table++) {
		if (!table->help)
			continue;
		if (!any)
			buf_puts(out, heading);
		any = true;
		append_option(out, table);
	}
}

static void append_command(struct buf *out, const struct cli_command *command)
{
	buf_printf(out, "Usage: awsflock %s [OPTION...]%s%s\n", command->name,
		   command->arguments[0] != '\0' ? " " : "", command->arguments);
	if (command->alias)
		buf_printf(out, "Also:  awsflock %s\n", command->alias);
	buf_printf(out, "\n%c%s.\n", command->summary[0] & ~0x20, command->summary + 1);
	if (command->details)
		buf_puts(out, command->details);
	append_options(out, "\nOptions:\n", command->options);
	append_options(out, "\nOptions of every command:\n", options_global);
}

static void append_program(struct buf *out, const struct cli_command *const *commands)
{
	buf_puts(out, "Usage: awsflock COMMAND [OPTION...] [ARGUMENT...]\n"
		      "\n"
		      "One named lock across machines, kept in a DynamoDB table or in a local directory.\n"
		      "\n"
		      "Commands ('awsflock help COMMAND' tells more):\n");
	for (size_t i = 0; commands[i]; i++)
		buf_printf(out, "  %-14s %s\n", commands[i]->name, commands[i]->summary);
	append_options(out, "\nOptions of every command:\n", options_global);
	buf_puts(out,
		 "\n"
		 "Exit codes: 0 done, 1 an error, 2 wrong use, 3 the lock is held by another or no longer held,\n"
		 "130 interrupted; 'run' has more.  See awsflock(1) and awsflock.conf(5).\n");
}

static void dump_table(struct buf *out, const char *command, const struct cli_option *table)
{
	for (; table && table->name; table++) {
		const char *kind = !table->argument ? "none" : table->argument_optional ? "optional" : "required";
		if (!table->help)
			continue;
		buf_printf(out, "option\t%s\t%s\t%c\t%s\t%s\n", command, table->name,
			   table->letter != 0 ? table->letter : '-', kind,
			   table->config_key ? table->config_key : "-");
	}
}

static int dump_options(const struct cli_command *const *commands)
{
	struct buf out = BUF_INIT;
	int result;

	dump_table(&out, "*", options_global);
	for (size_t i = 0; commands[i]; i++) {
		const struct cli_command *command = commands[i];
		buf_printf(&out, "command\t%s\t%s\n", command->name, command->alias ? command->alias : "-");
		dump_table(&out, command->name, command->options);
	}
	result = output_text(&out);
	buf_free(&out);
	return result;
}

int help_show(const struct cli_command *const *commands, const struct cli_command *command)
{
	struct buf out = BUF_INIT;
	int result;

	if (!output_ready())
		return CLI_FAILED;
	if (command)
		append_command(&out, command);
	else
		append_program(&out, commands);
	result = output_text(&out);
	buf_free(&out);
	return result;
}

static int help(struct cli_call *call)
{
	const struct cli_command *command = NULL;

	if (option_given(call, OPTION_DUMP_OPTIONS))
		return output_ready() ? dump_options(call->commands) : CLI_FAILED;
	if (call->argument_count > 0) {
		command = command_find(call->commands, call->arguments[0]);
		if (!command)
			return options_refuse_command(call, call->arguments[0], false);
	}
	return help_show(call->commands, command);
}

const struct cli_command cmd_help = {
	.name = "help",
	.arguments = "[COMMAND]",
	.least_arguments = 0,
	.most_arguments = 1,
	.summary = "show how a command is used",
	.options = options,
	.without_store = true,
	.run = help,
};
