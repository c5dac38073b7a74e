/* The chain of sources.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- Sources that are only recognised ----------------------------------------------------------------------- *
 * Going past one of them to a later source would use other credentials than every AWS tool does. */

static const char *profile_value(const struct credentials_context *context, const char *key)
{
	const char *value = profile_config_get(context->profile, key);

	if (value == NULL || value[0] == '\0')
		value = profile_credentials_get(context->profile, key);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool has_variable(const struct credentials_context *context, const char *name)
{
	const char *value = context->ignore_environment ? NULL : secure_getenv(name);

	return value != NULL && value[0] != '\0';
}

static awsflock_code refuse_profile_key(const struct credentials_context *context, const char *key,
					struct buf *why_not, awsflock_error *error)
{
	if (profile_value(context, key) == NULL) {
		buf_printf(why_not, "no %s in profile '%s'", key, context->profile->name);
		return AWSFLOCK_OK;
	}
	return error_set(error, AWSFLOCK_CREDENTIALS,
			 "profile '%s' uses %s, which is not supported yet: put keys into the environment with "
			 "eval \"$(aws configure export-credentials --profile '%s' --format env)\"%s",
			 context->profile->name, key, context->profile->name,
			 context->profile_given ? " and leave out --profile" : "");
}

static awsflock_code refuse_variable(const struct credentials_context *context, const char *name,
				     struct buf *why_not, awsflock_error *error)
{
	if (!has_variable(context, name)) {
		buf_printf(why_not, "%s is not set", name);
		return AWSFLOCK_OK;
	}
	return error_set(error, AWSFLOCK_CREDENTIALS,
			 "%s is set, which is not supported yet: put keys into the environment with "
			 "eval \"$(aws configure export-credentials --format env)\"",
			 name);
}

static awsflock_code refuse_role(const struct credentials_context *context, struct credentials *out, bool *found,
				 struct buf *why_not, awsflock_error *error)
{
	(void)out, (void)found;
	return refuse_profile_key(context, "role_arn", why_not, error);
}

static awsflock_code refuse_web_identity(const struct credentials_context *context, struct credentials *out,
					 bool *found, struct buf *why_not, awsflock_error *error)
{
	(void)out, (void)found;
	if (!context->profile_given && has_variable(context, "AWS_WEB_IDENTITY_TOKEN_FILE"))
		return refuse_variable(context, "AWS_WEB_IDENTITY_TOKEN_FILE", why_not, error);
	return refuse_profile_key(context, "web_identity_token_file", why_not, error);
}

static awsflock_code refuse_sso(const struct credentials_context *context, struct credentials *out, bool *found,
				struct buf *why_not, awsflock_error *error)
{
	(void)out, (void)found;
	if (profile_value(context, "sso_start_url") != NULL)
		return refuse_profile_key(context, "sso_start_url", why_not, error);
	return refuse_profile_key(context, "sso_session", why_not, error);
}

static awsflock_code refuse_process(const struct credentials_context *context, struct credentials *out, bool *found,
				    struct buf *why_not, awsflock_error *error)
{
	(void)out, (void)found;
	return refuse_profile_key(context, "credential_process", why_not, error);
}

static awsflock_code refuse_container(const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	(void)out, (void)found;
	if (has_variable(context, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
		return refuse_variable(context, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", why_not, error);
	return refuse_variable(context, "AWS_CONTAINER_CREDENTIALS_FULL_URI", why_not, error);
}

static awsflock_code skip_instance(const struct credentials_context *context, struct credentials *out, bool *found,
				   struct buf *why_not, awsflock_error *error)
{
	(void)context, (void)out, (void)found, (void)error;
	buf_puts(why_not, "not supported yet (aws configure export-credentials --format env gives keys)");
	return AWSFLOCK_OK;
}

static const struct credentials_source assume_role = { "assumed role", true, refuse_role };
static const struct credentials_source web_identity = { "web identity", true, refuse_web_identity };
static const struct credentials_source single_sign_on = { "single sign-on", true, refuse_sso };
static const struct credentials_source process = { "credential process", true, refuse_process };
static const struct credentials_source container = { "container", false, refuse_container };
static const struct credentials_source instance = { "instance metadata", false, skip_instance };

/* ---- The chain ---------------------------------------------------------------------------------------------- */

/* botocore's order. */
static const struct credentials_source *const chain[] = {
	&credentials_environment, &assume_role, &web_identity, &single_sign_on, &credentials_shared_file, &process,
	&credentials_config_file, &container,   &instance,
};

void credentials_clear(struct credentials *credentials)
{
	wipe_string(&credentials->access_key_id);
	wipe_string(&credentials->secret_access_key);
	wipe_string(&credentials->session_token);
	*credentials = (struct credentials){ 0 };
}

/* Whether TEXT can stand in a header as it is: no white space, no control characters, ASCII. */
static bool fits_header(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

/* The key's id stands between '=' and '/' in the Authorization header. */
static awsflock_code check(const struct credentials *credentials, awsflock_error *error)
{
	if (!fits_header(credentials->access_key_id) || strpbrk(credentials->access_key_id, "/,=") != NULL)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the access key id from the %s has characters that cannot be part of one",
				 credentials->source);
	if (credentials->session_token != NULL && !fits_header(credentials->session_token))
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the session token from the %s has characters that cannot be part of one",
				 credentials->source);
	return AWSFLOCK_OK;
}

/* One source; where it does not serve, WHY_NOT grows by a clause. */
static awsflock_code ask(const struct credentials_source *source, const struct credentials_context *context,
			 struct credentials *out, bool *found, struct buf *why_not, awsflock_error *error)
{
	struct credentials loaded = { .expires_time = INT64_MAX, .source = source->name };
	awsflock_code code;

	buf_printf(why_not, "%s%s: ", why_not->size > 0 ? "; " : "", source->name);
	code = source->load(context, &loaded, found, why_not, error);
	if (code == AWSFLOCK_OK && *found)
		code = check(&loaded, error);
	if (code == AWSFLOCK_OK && *found)
		*out = loaded;
	else
		credentials_clear(&loaded);
	return code;
}

awsflock_code credentials_load(const struct credentials_context *context, struct credentials *out,
			       awsflock_error *error)
{
	struct buf why_not = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;
	bool found = false;

	for (size_t i = 0; code == AWSFLOCK_OK && !found && i < sizeof(chain) / sizeof(chain[0]); i++) {
		if (chain[i]->profile_only || !context->profile_given)
			code = ask(chain[i], context, out, &found, &why_not, error);
	}
	if (code == AWSFLOCK_OK && !found)
		code = error_set(
			error, AWSFLOCK_CREDENTIALS,
			"no AWS credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a "
			"profile that has keys (%s)",
			buf_text(&why_not));
	buf_free(&why_not);
	return code;
}
