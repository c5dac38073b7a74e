/* Keys in the environment.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include "base/error.h"
#include "base/timestamp.h"

static awsflock_code load_environment(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	const char *id = credentials_variable(context, "AWS_ACCESS_KEY_ID");
	const char *secret = credentials_variable(context, "AWS_SECRET_ACCESS_KEY");
	const char *token =
		credentials_variable(context, "AWS_SECURITY_TOKEN"); /* its old name: botocore's first */
	const char *expires = credentials_variable(context, "AWS_CREDENTIAL_EXPIRATION");

	if (!id) {
		buf_puts(why_not, context->ignore_environment ? "not looked at" : "AWS_ACCESS_KEY_ID is not set");
		return AWSFLOCK_OK;
	}
	if (!secret)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY: set both or none");
	if (!token)
		token = credentials_variable(context, "AWS_SESSION_TOKEN");
	if (expires && !timestamp_parse(expires, &out->expires_time))
		return error_set(
			error, AWSFLOCK_CREDENTIALS,
			"AWS_CREDENTIAL_EXPIRATION is not a time such as 2026-11-23T14:02:11Z: unset it, or set it "
			"with the keys");
	if (out->expires_time != INT64_MAX)
		out->renewable_until_time = out->expires_time;
	*found = true;
	return credentials_fill(out, id, secret, token, error);
}

const struct credentials_source credentials_environment = { "environment", false, load_environment };
