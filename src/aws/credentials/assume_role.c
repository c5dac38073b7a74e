/* role_arn of a profile, with source_profile or credential_source for the keys that may assume it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials/mfa.h"
#include "aws/credentials/sts.h"
#include "base/error.h"
#include "base/text.h"

/* Chains of profiles are short; this only bounds the stack. */
#define CHAIN_MAX 16
/* What IAM allows at most, and a little more than nothing. */
#define DURATION_MAX_S 43200

/* The profiles gone through so far. */
struct visited {
	const char *names[CHAIN_MAX];
	size_t count;
};

static awsflock_code assume(const struct credentials_context *context, struct visited *visited,
			    struct credentials *out, awsflock_error *error);

/* A role of this source, not one of web identity. */
static bool has_role(const struct credentials_context *context)
{
	return credentials_profile_key(context, "role_arn") &&
	       !credentials_profile_key(context, "web_identity_token_file");
}

static bool has_keys(const struct credentials_context *context)
{
	return credentials_profile_key(context, "aws_access_key_id") ||
	       credentials_profile_key(context, "aws_secret_access_key");
}

/* ---- Keys that may assume the role -------------------------------------------------------------------------- */

static const struct credentials_source *source_called(const char *name)
{
	static const struct {
		const char *name;
		const struct credentials_source *source;
	} sources[] = { { "Environment", &credentials_environment },
			{ "Ec2InstanceMetadata", &credentials_instance },
			{ "EcsContainer", &credentials_container } };

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (strcmp(name, sources[i].name) == 0)
			return sources[i].source;
	}
	return NULL;
}

static awsflock_code keys_of_source(const struct credentials_context *context, const char *name,
				    struct credentials *out, awsflock_error *error)
{
	const struct credentials_source *source = source_called(name);
	struct buf why_not = BUF_INIT;
	bool found = false;
	awsflock_code code;

	if (!source)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "credential_source of profile '%s' must be Environment, Ec2InstanceMetadata or "
				 "EcsContainer, not '%s'",
				 context->profile->name, name);
	code = credentials_ask(source, context, out, &found, &why_not, error);
	if (code == AWSFLOCK_OK && !found)
		code = error_set(error, AWSFLOCK_CREDENTIALS,
				 "the credential_source %s of profile '%s' has no credentials (%s)", name,
				 context->profile->name, buf_text(&why_not));
	buf_free(&why_not);
	return code;
}

static bool has_visited(const struct visited *visited, const char *name)
{
	for (size_t i = 0; i < visited->count; i++) {
		if (strcmp(visited->names[i], name) == 0)
			return true;
	}
	return false;
}

static awsflock_code refuse_loop(const struct visited *visited, const char *name, awsflock_error *error)
{
	struct buf names = BUF_INIT;

	for (size_t i = 0; i < visited->count; i++)
		buf_printf(&names, "'%s' -> ", visited->names[i]);
	error_set(error, AWSFLOCK_CREDENTIALS, "source_profile goes in a circle: %s'%s'", buf_text(&names), name);
	buf_free(&names);
	return AWSFLOCK_CREDENTIALS;
}

static awsflock_code keys_of_plain_profile(const struct credentials_context *context, struct credentials *out,
					   awsflock_error *error)
{
	struct buf why_not = BUF_INIT;
	bool found = false;
	awsflock_code code = credentials_ask_profile(context, out, &found, &why_not, error);

	if (code == AWSFLOCK_OK && !found)
		code = error_set(error, AWSFLOCK_CREDENTIALS, "the source_profile '%s' has no credentials (%s)",
				 context->profile->name, buf_text(&why_not));
	buf_free(&why_not);
	return code;
}

/* A profile may name itself, to hold a role and the keys for it; and keys in a source profile come before its
 * role. */
static awsflock_code keys_of_profile(const struct credentials_context *context, const char *name,
				     struct visited *visited, struct credentials *out, awsflock_error *error)
{
	struct profile view = *context->profile;
	struct credentials_context inner = *context;
	bool names_itself = strcmp(name, context->profile->name) == 0;

	view.name = (char *)name; /* a view: not freed */
	inner.profile = &view;
	inner.profile_given = true;
	if (!profile_exists(&view))
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the source_profile '%s' of profile '%s' does not exist", name,
				 context->profile->name);
	if (has_visited(visited, name) && !(names_itself && has_keys(&inner)))
		return refuse_loop(visited, name, error);
	if (has_keys(&inner) || !has_role(&inner))
		return keys_of_plain_profile(&inner, out, error);
	return assume(&inner, visited, out, error);
}

static awsflock_code find_keys(const struct credentials_context *context, struct visited *visited,
			       struct credentials *out, awsflock_error *error)
{
	const char *profile = credentials_profile_key(context, "source_profile");
	const char *source = credentials_profile_key(context, "credential_source");
	const char *name = context->profile->name;

	if (profile && source)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "profile '%s' has both source_profile and credential_source: leave one out", name);
	if (!profile && !source)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "profile '%s' has a role_arn and nothing to assume it with: add source_profile or "
				 "credential_source",
				 name);
	return source ? keys_of_source(context, source, out, error)
		      : keys_of_profile(context, profile, visited, out, error);
}

/* ---- The role ----------------------------------------------------------------------------------------------- */

/* botocore goes on without one that is no number, and so do we. */
static int64_t read_duration(const struct credentials_context *context)
{
	const char *text = credentials_profile_key(context, "duration_seconds");
	int64_t seconds = 0;

	if (text && !text_parse_int64(text, 1, DURATION_MAX_S, &seconds))
		runtime_log(context->runtime, AWSFLOCK_LOG_WARNING,
			    "duration_seconds of profile '%s' is not a number up to %d, and is ignored",
			    context->profile->name, DURATION_MAX_S);
	return seconds;
}

/* Who signed in for KEYS has signed in for the role; and what ends KEYS ends its renewals. */
static void pass_sign_in_on(struct credentials *keys, struct credentials *out)
{
	out->renewable_until_time = keys->renewable_until_time;
	out->sign_in_command = keys->sign_in_command;
	keys->sign_in_command = NULL;
}

static awsflock_code assume_with_keys(const struct credentials_context *context, struct visited *visited,
				      struct sts_role *role, struct credentials *out, awsflock_error *error)
{
	struct credentials keys = { .expires_time = INT64_MAX };
	char token_code[MFA_CODE_SIZE];
	awsflock_code code;

	if (visited->count == CHAIN_MAX)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "more than %d profiles name each other as source_profile", CHAIN_MAX);
	visited->names[visited->count++] = context->profile->name;
	code = find_keys(context, visited, &keys, error);
	if (code == AWSFLOCK_OK && role->serial)
		code = mfa_ask(context, role, token_code, error);
	role->token_code = token_code;
	if (code == AWSFLOCK_OK)
		code = sts_assume_role(context, role, &keys, out, error);
	if (code == AWSFLOCK_OK)
		pass_sign_in_on(&keys, out);
	role->token_code = NULL;
	wipe(token_code, sizeof(token_code));
	credentials_clear(&keys);
	return code;
}

static awsflock_code assume(const struct credentials_context *context, struct visited *visited,
			    struct credentials *out, awsflock_error *error)
{
	struct sts_role role = { .arn = credentials_profile_key(context, "role_arn"),
				 .session_name = credentials_profile_key(context, "role_session_name"),
				 .external_id = credentials_profile_key(context, "external_id"),
				 .duration_seconds = read_duration(context),
				 .serial = credentials_profile_key(context, "mfa_serial") };
	char *cache = NULL;
	bool cached = false;
	awsflock_code code = AWSFLOCK_OK;

	if (role.serial)
		code = mfa_load_cached(context, &role, &cache, out, &cached, error);
	if (code == AWSFLOCK_OK && !cached)
		code = assume_with_keys(context, visited, &role, out, error);
	if (code == AWSFLOCK_OK && role.serial)
		code = mfa_finish(context, cache, cached, out, error);
	free(cache);
	return code;
}

static awsflock_code load_role(const struct credentials_context *context, struct credentials *out, bool *found,
			       struct buf *why_not, awsflock_error *error)
{
	struct visited visited = { .count = 0 };
	awsflock_code code;

	if (!has_role(context)) {
		buf_printf(why_not, "no role_arn in profile '%s'", context->profile->name);
		return AWSFLOCK_OK;
	}
	code = assume(context, &visited, out, error);
	*found = code == AWSFLOCK_OK;
	return code;
}

const struct credentials_source credentials_assumed_role = { "assumed role", true, load_role };
