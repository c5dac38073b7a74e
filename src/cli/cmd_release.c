/* awsflock release: give a lock back.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "hold/by_file.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

static const struct cli_option options[] = {
	{ OPTION_DELETE, "delete", 0, NULL, false, NULL,
	  "leave no trace, not even the fence: the name is never used again" },
	{ OPTION_LEASE_FILE, "lease-file", 0, "FILE", false, NULL,
	  "the lease of FILE, as hold or acquire wrote it; FILE is removed" },
	OPTION_TABLE_END,
};

static int print_released(const char *lock)
{
	struct json_object *object = json_object_new_object();

	if (object && (!json_add_text(object, "lock_id", lock) || !json_add_bool(object, "released", true))) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

static int release_by_file(struct cli_call *call, const char *path)
{
	struct lease_use use;
	awsflock_error error;
	int result = CLI_OK;

	if (option_given(call, OPTION_DELETE))
		return options_usage(call->command, "--delete and --lease-file cannot be used together");
	if (call->json && !output_ready())
		return CLI_FAILED;
	if (lease_end(&use, call->context, path, interrupt_fd(), &error) != AWSFLOCK_OK)
		result = report_failure(&error);
	else if (call->json)
		result = print_released(use.record.lock);
	lease_use_close(&use);
	return result;
}

static int release(struct cli_call *call)
{
	const char *path = option_text(call, OPTION_LEASE_FILE);
	unsigned flags = option_given(call, OPTION_DELETE) ? AWSFLOCK_RELEASE_DELETE : 0;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_lease *lease = NULL;
	int result = CLI_OK;

	if (path)
		return release_by_file(call, path);
	if (call->json && !output_ready())
		return CLI_FAILED;
	if (awsflock_adopt(call->context, call->arguments[0], call->arguments[1], &lease, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (awsflock_release(lease, flags, &error) != AWSFLOCK_OK)
		result = report_failure(&error);
	else if (call->json)
		result = print_released(call->arguments[0]);
	awsflock_lease_free(&lease);
	return result;
}

const struct cli_command cmd_release = {
	.name = "release",
	.arguments = "LOCK LEASE_ID",
	.least_arguments = 2,
	.most_arguments = 2,
	.summary = "give a lock back",
	.details = "With --lease-file in the place of LOCK and LEASE_ID the process that renews the lease, where "
		   "there\n"
		   "is one, is told to release it, and waited for.\n",
	.lease_file_instead = true,
	.options = options,
	.run = release,
};
