/* From the command line to a context of the library.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "cli/mfa_prompt.h"
#include "term/report.h"

#define RENEWED_LEASE_SECONDS 60

/* MESSAGE without the name of the key, which says nothing to those who gave an option. */
static const char *without_key(const char *message, const char *key)
{
	size_t size = strlen(key);

	return strncmp(message, key, size) == 0 && strncmp(message + size, ": ", 2) == 0 ? message + size + 2
											 : message;
}

/* KEY = VALUE because of --NAME. */
static int set_key(struct cli_call *call, const char *name, const char *key, const char *value)
{
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (value[0] == '\0')
		return options_usage(call->command, "--%s: the argument is empty", name);
	if (awsflock_set(call->context, key, value, &error) == AWSFLOCK_OK)
		return CLI_OK;
	if (error.code == AWSFLOCK_INVALID)
		return options_usage(call->command, "--%s: %s", name, without_key(error.message, key));
	return report_failure(&error);
}

static int set_local(struct cli_call *call, const char *directory)
{
	int result = set_key(call, "local", "store", "local");

	if (result == CLI_OK && directory)
		result = set_key(call, "local", "local_dir", directory);
	return result;
}

static int apply_options(struct cli_call *call)
{
	for (size_t i = 0; i < call->given_count; i++) {
		const struct cli_option *option = call->given[i].option;
		const char *value = call->given[i].value;
		int result = CLI_OK;

		if (option->id == OPTION_LOCAL)
			result = set_local(call, value);
		else if (option->config_key)
			result = set_key(call, option->name, option->config_key, value);
		if (result != CLI_OK)
			return result;
	}
	return CLI_OK;
}

/* Somebody who says where a table is, or whose, would believe in a lock across machines. */
static int refuse_table_of_local_store(struct cli_call *call)
{
	static const enum option_id of_tables[] = {
		OPTION_TABLENAME, OPTION_REGION,     OPTION_PROFILE,     OPTION_ENDPOINT_URL,
		OPTION_BILLING,   OPTION_READ_UNITS, OPTION_WRITE_UNITS, OPTION_DELETION_PROTECTION,
		OPTION_TAG,
	};
	const char *store = awsflock_get(call->context, "store");

	if (!store || strcmp(store, "local") != 0)
		return CLI_OK;
	for (size_t i = 0; i < sizeof(of_tables) / sizeof(of_tables[0]); i++) {
		const char *name = option_name(call, of_tables[i]);

		if (!name)
			continue;
		if (option_given(call, OPTION_LOCAL))
			return options_usage(call->command,
					     "--local and --%s cannot be used together: --local uses no table",
					     name);
		return options_usage(
			call->command,
			"--%s is for a table, but the configuration file sets store = local: change that, or "
			"name another file with --config",
			name);
	}
	return CLI_OK;
}

int settings_open(struct cli_call *call)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	int result;

	if (awsflock_new(&call->context, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	awsflock_set_log(call->context, report_log, NULL);
	awsflock_set_stop_fd(call->context, interrupt_fd());
	if (awsflock_load_config(call->context, option_text(call, OPTION_CONFIG), &error) != AWSFLOCK_OK) {
		if (call->command->judges_settings && error.code != AWSFLOCK_CANCELLED) {
			call->settings_error = error;
			return CLI_OK;
		}
		/* Even where the file does not exist: what is wrong is not how the command is used. */
		return report_failure(&error) == CLI_INTERRUPTED ? CLI_INTERRUPTED : CLI_FAILED;
	}
	if (!call->command->own_signals) /* which has to ask before it has a terminal of its own to mind */
		mfa_prompt_offer(call->context);
	result = apply_options(call);
	return result == CLI_OK ? refuse_table_of_local_store(call) : result;
}

int settings_sign_in(const struct cli_call *call)
{
	struct cli_call asking = *call;
	awsflock_error error = { .code = AWSFLOCK_OK };
	int result;

	asking.context = NULL;
	result = settings_open(&asking);
	if (result == CLI_OK) {
		mfa_prompt_offer(asking.context);
		if (awsflock_sign_in(asking.context, &error) != AWSFLOCK_OK)
			result = report_failure(&error);
	}
	awsflock_free(&asking.context);
	return result;
}

void settings_of_renewed(awsflock_acquire_options *how, struct waiting *waiting)
{
	how->lease_seconds = RENEWED_LEASE_SECONDS;
	how->wait_ms = AWSFLOCK_WAIT_FOREVER;
	how->waiting = waiting_show;
	how->waiting_arg = waiting;
}

void settings_owner(const struct cli_call *call, char *out, size_t size)
{
	const char *owner = awsflock_get(call->context, "owner");

	if (owner && owner[0] != '\0')
		snprintf(out, size, "%s", owner);
	else if (gethostname(out, size) != 0)
		out[0] = '\0';
	out[size - 1] = '\0';
}
