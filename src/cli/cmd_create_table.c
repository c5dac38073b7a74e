/* awsflock create-table: make the table, or check the one that is there.  SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

#define UNITS_DEFAULT 5
#define UNITS_MOST INT64_C(1000000)

static const struct cli_option options[] = {
	{ OPTION_BILLING, "billing", 0, "on-demand|provisioned", false, NULL,
	  "how the table is paid for (default on-demand)" },
	{ OPTION_READ_UNITS, "read-units", 0, "NUMBER", false, NULL, "provisioned reads a second (default 5)" },
	{ OPTION_WRITE_UNITS, "write-units", 0, "NUMBER", false, NULL, "provisioned writes a second (default 5)" },
	{ OPTION_DELETION_PROTECTION, "deletion-protection", 0, NULL, false, NULL,
	  "protect the table from deletion until that is turned off" },
	{ OPTION_TAG, "tag", 0, "KEY=VALUE", false, NULL, "tag the table; may be given several times" },
	OPTION_TABLE_END,
};

static int read_billing(const struct cli_call *call, awsflock_table_options *how)
{
	static const char *const choices[] = { "on-demand", "provisioned", NULL };
	int64_t reads = UNITS_DEFAULT, writes = UNITS_DEFAULT;
	int choice = 0, result = option_choice(call, OPTION_BILLING, choices, &choice);

	if (result == CLI_OK)
		result = option_number(call, OPTION_READ_UNITS, 1, UNITS_MOST, &reads);
	if (result == CLI_OK)
		result = option_number(call, OPTION_WRITE_UNITS, 1, UNITS_MOST, &writes);
	if (result != CLI_OK)
		return result;
	if (choice == 1) {
		how->read_units = reads;
		how->write_units = writes;
	} else if (option_given(call, OPTION_READ_UNITS) || option_given(call, OPTION_WRITE_UNITS)) {
		return options_usage(call->command, "--read-units and --write-units need --billing provisioned");
	}
	return CLI_OK;
}

/* A tag's key is a copy, kept in KEYS too, which the caller frees; its value is the rest of the word. */
static int read_tags(const struct cli_call *call, awsflock_tag *tags, char **keys, size_t *count)
{
	for (size_t i = 0; i < call->given_count; i++) {
		const struct cli_given *given = &call->given[i];
		if (given->option->id != OPTION_TAG)
			continue;
		const char *equals = strchr(given->value, '=');
		if (!equals || equals == given->value)
			return options_usage(call->command, "--tag takes KEY=VALUE, not '%s'", given->value);
		struct buf key = BUF_INIT;
		buf_append(&key, given->value, (size_t)(equals - given->value));
		keys[*count] = buf_steal(&key);
		if (!keys[*count]) {
			report_error("out of memory");
			return CLI_FAILED;
		}
		tags[*count] = (awsflock_tag){ .key = keys[*count], .value = equals + 1 };
		(*count)++;
	}
	return CLI_OK;
}

static void show_progress(void *arg, const char *line)
{
	(void)arg;
	report_notice("%s", line);
}

static int print_ready(struct cli_call *call)
{
	struct json_object *object = json_object_new_object();
	awsflock_error error = { .code = AWSFLOCK_OK };
	const char *name = NULL;

	if (awsflock_store_name(call->context, &name, &error) != AWSFLOCK_OK) {
		json_object_put(object);
		return report_failure(&error);
	}
	if (object && (!json_add_text(object, "store", name) || !json_add_bool(object, "ready", true))) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

static int create_with_options(struct cli_call *call, const awsflock_table_options *how)
{
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (awsflock_create_table(call->context, how, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	return call->json ? print_ready(call) : CLI_OK;
}

static int create_table(struct cli_call *call)
{
	awsflock_table_options how = AWSFLOCK_TABLE_OPTIONS_INIT;
	awsflock_tag *tags = calloc(call->given_count + 1, sizeof(*tags));
	char **keys = calloc(call->given_count + 1, sizeof(*keys));
	int result = CLI_FAILED;

	if (call->json && !output_ready())
		goto out;
	if (!tags || !keys) {
		report_error("out of memory");
		goto out;
	}
	result = read_billing(call, &how);
	if (result == CLI_OK)
		result = read_tags(call, tags, keys, &how.tag_count);
	how.tags = tags;
	how.deletion_protection = option_given(call, OPTION_DELETION_PROTECTION);
	how.progress = show_progress;
	if (result == CLI_OK)
		result = create_with_options(call, &how);
out:
	for (size_t i = 0; keys && i < how.tag_count; i++)
		free(keys[i]);
	free(keys);
	free(tags);
	return result;
}

const struct cli_command cmd_create_table = {
	.name = "create-table",
	.alias = "table-create",
	.arguments = "",
	.least_arguments = 0,
	.most_arguments = 0,
	.summary = "make the table, or check the one that exists",
	.details = "Waits until the table can be used.  A table that exists is checked, and what is missing is "
		   "added.\n",
	.options = options,
	.run = create_table,
};
