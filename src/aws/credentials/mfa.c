/* MFA codes: asked once, and the keys that they give kept where the AWS CLI keeps them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/mfa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials/json_print.h"
#include "aws/credentials/key_cache.h"
#include "aws/credentials/sign_in.h"
#include "base/error.h"

/* Whose keys the AWS CLI caches by the next use of them, so that one who has typed the code there is not asked here. */
#define CACHING_VERB "sts get-caller-identity"

/* As many as assume_role.c goes through. */
#define PROFILES_MAX 16

bool mfa_is_needed(const struct credentials_context *context)
{
	struct profile view = *context->profile;
	struct credentials_context inner = *context;
	const char *source;

	if (!context->profile_given && credentials_variable(context, "AWS_ACCESS_KEY_ID"))
		return false;
	inner.profile = &view;
	for (int i = 0; i < PROFILES_MAX && credentials_profile_key(&inner, "role_arn"); i++) {
		if (credentials_profile_key(&inner, "mfa_serial"))
			return true;
		source = credentials_profile_key(&inner, "source_profile");
		if (!source)
			return false;
		view.name = (char *)source; /* a view: not freed */
	}
	return false;
}

/* ---- The cache ---------------------------------------------------------------------------------------------- */

static void append_member(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, "%s\"%s\": ", out->size > 1 ? ", " : "", name);
	json_print_text(out, value);
}

/* What botocore names the file by: what it would send, without a name of the session that it made up. */
static awsflock_code name_role_cache(const struct credentials_context *context, const struct sts_role *role,
				     char **path, awsflock_error *error)
{
	struct buf key = BUF_INIT;
	awsflock_code code;

	buf_puts(&key, "{");
	if (role->duration_seconds > 0)
		buf_printf(&key, "\"DurationSeconds\": %lld", (long long)role->duration_seconds);
	append_member(&key, "ExternalId", role->external_id);
	append_member(&key, "RoleArn", role->arn);
	append_member(&key, "RoleSessionName", role->session_name);
	append_member(&key, "SerialNumber", role->serial);
	buf_puts(&key, "}");
	code = key.failed ? error_out_of_memory(error) : key_cache_path(context, buf_text(&key), path, error);
	buf_free(&key);
	return code;
}

awsflock_code mfa_load_cached(const struct credentials_context *context, const struct sts_role *role, char **path,
			      struct credentials *out, bool *found, awsflock_error *error)
{
	awsflock_code code = credentials_need_person(context, error);

	*found = false;
	if (code == AWSFLOCK_OK)
		code = name_role_cache(context, role, path, error);
	return code == AWSFLOCK_OK ? key_cache_load(context, *path, out, found, error) : code;
}

/* The account's number in "arn:aws:sts::123456789012:assumed-role/r/s"; "" where there is none. */
static void find_account(const char *arn, char *account, size_t size)
{
	const char *start = arn;

	account[0] = '\0';
	for (int colons = 0; start && colons < 4; colons++) {
		start = strchr(start, ':');
		start = start ? start + 1 : NULL;
	}
	if (start && strcspn(start, ":") < size)
		snprintf(account, size, "%.*s", (int)strcspn(start, ":"), start);
}

awsflock_code mfa_finish(const struct credentials_context *context, const char *path, bool cached,
			 struct credentials *keys, awsflock_error *error)
{
	char account[16] = "";

	if (keys->identity)
		find_account(keys->identity, account, sizeof(account));
	if (!cached)
		key_cache_save(context, path, keys, account[0] != '\0' ? account : NULL, NULL, keys->identity);
	free(keys->sign_in_command);
	keys->sign_in_command = sign_in_command(context, CACHING_VERB);
	keys->renewable_until_time = keys->expires_time;
	return keys->sign_in_command ? AWSFLOCK_OK : error_out_of_memory(error);
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

static awsflock_code refuse_to_ask(const struct credentials_context *context, const struct sts_role *role,
				   const char *why, awsflock_error *error)
{
	char *command = sign_in_command(context, CACHING_VERB);

	if (!command)
		return error_out_of_memory(error);
	error_set(
		error, AWSFLOCK_CREDENTIALS,
		"the role %s needs an MFA code, and %s: type it to the AWS CLI, whose keys are then used here: %s",
		role->arn, why, command);
	free(command);
	return AWSFLOCK_CREDENTIALS;
}

awsflock_code mfa_ask(const struct credentials_context *context, const struct sts_role *role,
		      char code[MFA_CODE_SIZE], awsflock_error *error)
{
	struct sign_in_memory *memory = context->memory;
	awsflock_code result;

	if (memory && memory->asking_is_over)
		return refuse_to_ask(context, role, "it was asked for once already", error);
	if (!context->ask_mfa)
		return refuse_to_ask(context, role, "nobody can be asked here", error);
	if (memory)
		memory->code_was_asked = true;
	memset(code, 0, MFA_CODE_SIZE);
	result = context->ask_mfa(context->ask_mfa_arg, role->serial, code, MFA_CODE_SIZE, error);
	code[MFA_CODE_SIZE - 1] = '\0';
	if (result == AWSFLOCK_OK && strlen(code) == MFA_CODE_SIZE - 1) /* and there may have been more of it */
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the MFA code that was given for %s is too long to be one", role->serial);
	if (result == AWSFLOCK_OK && code[0] == '\0')
		result = error_set(error, AWSFLOCK_CREDENTIALS, "no MFA code was given for %s", role->serial);
	return result;
}
