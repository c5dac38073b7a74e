/* The chain of all sources.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"
#include "base/error.h"

/* botocore's order. */
static const struct credentials_source *const chain[] = {
	&credentials_environment, &credentials_assumed_role, &credentials_web_identity, &credentials_sso,
	&credentials_shared_file, &credentials_login,        &credentials_process,      &credentials_config_file,
	&credentials_container,   &credentials_instance,
};

awsflock_code credentials_load(const struct credentials_context *context, struct credentials *out,
			       awsflock_error *error)
{
	struct buf why_not = BUF_INIT;
	bool found = false;
	awsflock_code code = credentials_ask_in_turn(chain, sizeof(chain) / sizeof(chain[0]), context, out, &found,
						     &why_not, error);

	if (code == AWSFLOCK_OK && found)
		runtime_log(context->runtime, AWSFLOCK_LOG_DEBUG, "credentials come from the %s", out->source);
	if (code == AWSFLOCK_OK && !found)
		code = error_set(
			error, AWSFLOCK_CREDENTIALS,
			"no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
			"profile that has keys (%s)",
			buf_text(&why_not));
	buf_free(&why_not);
	return code;
}
