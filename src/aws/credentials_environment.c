/* Keys in the environment.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static const char *variable(const char *name)
{
	const char *value = secure_getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static awsflock_code load_environment(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	const char *id = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
	const char *token = variable("AWS_SESSION_TOKEN");

	if (context->ignore_environment || id == NULL) {
		buf_puts(why_not, context->ignore_environment ? "not looked at" : "AWS_ACCESS_KEY_ID is not set");
		return AWSFLOCK_OK;
	}
	if (secret == NULL)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY: set both or none");
	out->access_key_id = strdup(id);
	out->secret_access_key = strdup(secret);
	out->session_token = token != NULL ? strdup(token) : NULL;
	if (out->access_key_id == NULL || out->secret_access_key == NULL ||
	    (token != NULL && out->session_token == NULL))
		return error_out_of_memory(error);
	*found = true;
	return AWSFLOCK_OK;
}

const struct credentials_source credentials_environment = { "environment", false, load_environment };
