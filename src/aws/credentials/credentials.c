/* What every source of credentials needs, and asking one or several of them.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/home.h"
#include "base/secret.h"
#include "base/text.h"

/* ---- What sources look at ----------------------------------------------------------------------------------- */

const char *credentials_variable(const struct credentials_context *context, const char *name)
{
	const char *value = context->ignore_environment ? NULL : secure_getenv(name);

	return value && value[0] != '\0' ? value : NULL;
}

const char *credentials_profile_key(const struct credentials_context *context, const char *key)
{
	const char *value = profile_credentials_get(context->profile, key);

	if (!value || value[0] == '\0')
		value = profile_config_get(context->profile, key);
	return value && value[0] != '\0' ? value : NULL;
}

awsflock_code credentials_path(const struct credentials_context *context, const char *path, char **out,
			       awsflock_error *error)
{
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = home_copy_path(path, !context->ignore_environment, out, &why);

	if (code == AWSFLOCK_CONFIG)
		code = AWSFLOCK_CREDENTIALS;
	return code == AWSFLOCK_OK ? code : error_set(error, code, "%s", why.message);
}

awsflock_code credentials_need_person(const struct credentials_context *context, awsflock_error *error)
{
	if (credentials_variable(context, "HOME"))
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_CREDENTIALS,
		"profile '%s' signs in as a person, who has a home directory: where there is none (HOME is "
		"not set, or this is a set-id program or a session guard), use credentials of the machine, "
		"such as an instance's role",
		context->profile->name);
}

bool credentials_skip(const struct credentials_context *context, const char *id)
{
	return context->skip_caches && (!context->refused_key_id || strcmp(context->refused_key_id, id) == 0);
}

/* ---- What they give ----------------------------------------------------------------------------------------- */

awsflock_code credentials_fill(struct credentials *credentials, const char *id, const char *secret,
			       const char *token, awsflock_error *error)
{
	bool has_token = token && token[0] != '\0';

	credentials->access_key_id = strdup(id);
	credentials->secret_access_key = secret_copy(secret);
	credentials->session_token = has_token ? secret_copy(token) : NULL;
	if (!credentials->access_key_id || !credentials->secret_access_key ||
	    (has_token && !credentials->session_token))
		return error_out_of_memory(error);
	return AWSFLOCK_OK;
}

void credentials_clear(struct credentials *credentials)
{
	wipe_string(&credentials->access_key_id);
	secret_free(&credentials->secret_access_key);
	secret_free(&credentials->session_token);
	free(credentials->identity);
	free(credentials->sign_in_command);
	*credentials = (struct credentials){ 0 };
}

bool credentials_fit_header(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

/* What a variable of a CI system brings along. */
static bool has_white_space(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= ' ' || *text == 0x7F)
			return true;
	}
	return false;
}

/* The key's id stands between '=' and '/' in the Authorization header. */
static bool can_be_id(const char *id)
{
	return id[0] != '\0' && credentials_fit_header(id) && !strpbrk(id, "/,=");
}

bool credentials_fit_request(const char *id, const char *secret, const char *token)
{
	return can_be_id(id) && !has_white_space(secret) && credentials_fit_header(token);
}

/* WRONG: it cannot be part of a request as it is. */
static awsflock_code check_part(const struct credentials *credentials, const char *name, const char *value,
				bool wrong, awsflock_error *error)
{
	if (has_white_space(value))
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the %s from the %s has a line end, a blank or another white space in it: set it "
				 "anew without",
				 name, credentials->source);
	if (wrong)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the %s from the %s has characters that cannot be part of one", name,
				 credentials->source);
	return AWSFLOCK_OK;
}

static awsflock_code check(const struct credentials *credentials, awsflock_error *error)
{
	const char *id = credentials->access_key_id, *token = credentials->session_token;
	awsflock_code code = check_part(credentials, "access key id", id, !can_be_id(id), error);

	if (code == AWSFLOCK_OK)
		code = check_part(credentials, "secret access key", credentials->secret_access_key, false, error);
	if (code == AWSFLOCK_OK && token)
		code = check_part(credentials, "session token", token, !credentials_fit_header(token), error);
	return code;
}

awsflock_code credentials_check_fresh(const struct credentials *credentials, const char *giver, int64_t now_seconds,
				      awsflock_error *error)
{
	char since[32];

	if (credentials->expires_time > now_seconds)
		return AWSFLOCK_OK;
	text_duration(now_seconds - credentials->expires_time, since, sizeof(since));
	return error_set(error, AWSFLOCK_CREDENTIALS,
			 "%s gives credentials that expired %s ago: have them renewed there, and check this "
			 "machine's clock",
			 giver, since);
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

awsflock_code credentials_ask(const struct credentials_source *source, const struct credentials_context *context,
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

awsflock_code credentials_ask_in_turn(const struct credentials_source *const *sources, size_t count,
				      const struct credentials_context *context, struct credentials *out,
				      bool *found, struct buf *why_not, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_OK;

	for (size_t i = 0; code == AWSFLOCK_OK && !*found && i < count; i++) {
		if (sources[i]->profile_only || !context->profile_given)
			code = credentials_ask(sources[i], context, out, found, why_not, error);
	}
	return code;
}
