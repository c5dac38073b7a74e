/* Keys of the profile in the credentials file, and in the config file.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include "base/error.h"

typedef const char *profile_get_fn(const struct profile *profile, const char *key);

static const char *key_of(const struct profile *profile, profile_get_fn *get, const char *key)
{
	const char *value = get(profile, key);

	return value && value[0] != '\0' ? value : NULL;
}

static awsflock_code load_keys(const struct profile *profile, profile_get_fn *get, const char *path,
			       struct credentials *out, bool *found, struct buf *why_not, awsflock_error *error)
{
	const char *id = key_of(profile, get, "aws_access_key_id");
	const char *secret = key_of(profile, get, "aws_secret_access_key");
	const char *token = key_of(profile, get, "aws_security_token"); /* its old name: botocore's first */

	if (!path || !id) {
		if (!path)
			buf_puts(why_not, "none is configured");
		else
			buf_printf(why_not, "no aws_access_key_id for profile '%s' in %s", profile->name, path);
		return AWSFLOCK_OK;
	}
	if (!secret)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "profile '%s' in %s has aws_access_key_id without aws_secret_access_key",
				 profile->name, path);
	if (!token)
		token = key_of(profile, get, "aws_session_token");
	*found = true;
	return credentials_fill(out, id, secret, token, error);
}

static awsflock_code load_shared_file(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	return load_keys(context->profile, profile_credentials_get, context->profile->credentials_path, out, found,
			 why_not, error);
}

static awsflock_code load_config_file(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	return load_keys(context->profile, profile_config_get, context->profile->config_path, out, found, why_not,
			 error);
}

const struct credentials_source credentials_shared_file = { "credentials file", true, load_shared_file };
const struct credentials_source credentials_config_file = { "config file", true, load_config_file };
