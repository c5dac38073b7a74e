/* A role for whoever shows a token of an identity provider: EKS service accounts, CI systems.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <stdlib.h>

#include "aws/credentials/sts.h"
#include "aws/credentials/token_file.h"
#include "base/error.h"

/* The environment's VARIABLE, unless a profile was given by name; then KEY of the profile. */
static const char *setting(const struct credentials_context *context, const char *variable, const char *key)
{
	const char *value = context->profile_given ? NULL : credentials_variable(context, variable);

	return value ? value : credentials_profile_key(context, key);
}

static awsflock_code load_web_identity(const struct credentials_context *context, struct credentials *out,
				       bool *found, struct buf *why_not, awsflock_error *error)
{
	const char *path = setting(context, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
	const struct sts_role role = { .arn = setting(context, "AWS_ROLE_ARN", "role_arn"),
				       .session_name =
					       setting(context, "AWS_ROLE_SESSION_NAME", "role_session_name") };
	struct buf token = BUF_INIT;
	char *file = NULL;
	awsflock_code code;

	if (!path) {
		buf_printf(why_not, "no web_identity_token_file in profile '%s'", context->profile->name);
		return AWSFLOCK_OK;
	}
	if (!role.arn)
		return error_set(
			error, AWSFLOCK_CREDENTIALS,
			"a web identity token file is set without a role: set AWS_ROLE_ARN, or role_arn in "
			"profile '%s'",
			context->profile->name);
	code = credentials_path(context, path, &file, error);
	if (code == AWSFLOCK_OK)
		code = token_file_read(file, "the web identity token", &token, error);
	if (code == AWSFLOCK_OK)
		code = sts_assume_role_with_web_identity(context, &role, buf_text(&token), out, error);
	*found = code == AWSFLOCK_OK;
	buf_free(&token);
	free(file);
	return code;
}

const struct credentials_source credentials_web_identity = { "web identity", true, load_web_identity };
