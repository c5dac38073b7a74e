/* awsflock version.  SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "cli/cli.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

static int show_json(void)
{
	struct json_object *object = json_object_new_object();

	if (object && !json_add_text(object, "version", awsflock_version())) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

int version_show(bool json)
{
	struct buf text = BUF_INIT;
	int result;

	if (!output_ready())
		return CLI_FAILED;
	if (json)
		return show_json();
	buf_printf(&text, "awsflock %s\n", awsflock_version());
	result = output_text(&text);
	buf_free(&text);
	return result;
}

static int version(struct cli_call *call)
{
	return version_show(call->json);
}

const struct cli_command cmd_version = {
	.name = "version",
	.arguments = "",
	.least_arguments = 0,
	.most_arguments = 0,
	.summary = "print the version",
	.without_store = true,
	.run = version,
};
