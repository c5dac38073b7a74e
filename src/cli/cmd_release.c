/* awsflock release: give a lock back.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

static const struct cli_option options[] = {
	{ OPTION_DELETE, "delete", 0, NULL, false, NULL,
	  "leave no trace, not even the fence: the name is never used again" },
	OPTION_TABLE_END,
};

static int print_released(const struct cli_call *call)
{
	struct json_object *object = json_object_new_object();

	if (object &&
	    (!json_add_text(object, "lock_id", call->arguments[0]) || !json_add_bool(object, "released", true))) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

static int release(struct cli_call *call)
{
	unsigned flags = option_given(call, OPTION_DELETE) ? AWSFLOCK_RELEASE_DELETE : 0;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_lease *lease = NULL;
	int result = CLI_OK;

	if (call->json && !output_ready())
		return CLI_FAILED;
	if (awsflock_adopt(call->context, call->arguments[0], call->arguments[1], &lease, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (awsflock_release(lease, flags, &error) != AWSFLOCK_OK)
		result = report_failure(&error);
	else if (call->json)
		result = print_released(call);
	awsflock_lease_free(&lease);
	return result;
}

const struct cli_command cmd_release = {
	.name = "release",
	.arguments = "LOCK LEASE_ID",
	.least_arguments = 2,
	.most_arguments = 2,
	.summary = "give a lock back",
	.options = options,
	.run = release,
};
