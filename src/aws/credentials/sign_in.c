/* Profiles of single sign-on and of `aws login`.  Their tokens, caches and web pages are the AWS CLI's business,
 * which hands out the keys: this only says how.  To go on to a later source would use other credentials than every
 * AWS tool does.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include "base/error.h"

static awsflock_code load_sign_in(const struct credentials_context *context, struct credentials *out, bool *found,
				  struct buf *why_not, awsflock_error *error)
{
	static const char *const keys[] = { "sso_account_id", "sso_role_name", "login_session" };

	(void)out, (void)found;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (credentials_profile_key(context, keys[i]))
			return error_set(
				error, AWSFLOCK_CREDENTIALS,
				"profile '%s' signs in (%s), which the AWS CLI has to do: use a profile that has "
				"credential_process = aws configure export-credentials --profile %s --format "
				"process",
				context->profile->name, keys[i], context->profile->name);
	}
	buf_printf(why_not, "no sso_account_id in profile '%s'", context->profile->name);
	return AWSFLOCK_OK;
}

const struct credentials_source credentials_sign_in = { "single sign-on", true, load_sign_in };
