/* IAM Identity Center: a role's keys for whoever has signed in with `aws sso login`.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/json_print.h"
#include "aws/credentials/key_cache.h"
#include "aws/credentials/sign_in.h"
#include "aws/credentials/sign_in_service.h"
#include "aws/credentials/sso_token.h"
#include "base/error.h"

/* The last second of the year 9999: a later one would not be read out of the cache again, by nobody. */
#define EXPIRES_MAX INT64_C(253402300799)

/* ---- What the profile says ---------------------------------------------------------------------------------- */

/* What both say must be the same, as botocore has it. */
static awsflock_code check_agreement(const struct credentials_context *context, const char *section,
				     const char *session, awsflock_error *error)
{
	const struct ini *ini = &context->profile->config;

	for (size_t i = 0; i < ini->count; i++) {
		const struct ini_entry *entry = &ini->entries[i];
		const char *own;

		if (!entry->key || !entry->value || strcmp(entry->section, section) != 0)
			continue;
		own = credentials_profile_key(context, entry->key);
		if (own && strcmp(own, ini_get(ini, section, entry->key)) != 0)
			return error_set(error, AWSFLOCK_CREDENTIALS,
					 "profile '%s' and its sso_session '%s' give %s different values: leave it "
					 "out of the profile",
					 context->profile->name, session, entry->key);
	}
	return AWSFLOCK_OK;
}

static const char *sso_setting(const struct credentials_context *context, const char *section, const char *key)
{
	const char *value = section ? ini_get(&context->profile->config, section, key) : NULL;

	return value && value[0] != '\0' ? value : credentials_profile_key(context, key);
}

static awsflock_code check_whole(const struct credentials_context *context, const struct sso_settings *settings,
				 awsflock_error *error)
{
	const struct {
		const char *key, *value;
	} needed[] = { { "sso_account_id", settings->account_id },
		       { "sso_role_name", settings->role_name },
		       { "sso_start_url", settings->start_url },
		       { "sso_region", settings->region } };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!needed[i].value)
			return error_set(error, AWSFLOCK_CREDENTIALS,
					 "profile '%s' signs in with IAM Identity Center and has no %s: run aws "
					 "configure sso",
					 context->profile->name, needed[i].key);
	}
	return AWSFLOCK_OK;
}

static awsflock_code read_settings(const struct credentials_context *context, struct sso_settings *out,
				   awsflock_error *error)
{
	const char *session = credentials_profile_key(context, "sso_session"), *section = NULL;
	awsflock_code code = AWSFLOCK_OK;

	if (session) {
		section = profile_section(context->profile, "sso-session", session);
		if (!section)
			return error_set(error, AWSFLOCK_CREDENTIALS,
					 "profile '%s' says sso_session = %s, but there is no section [sso-session "
					 "%s] in %s",
					 context->profile->name, session, session,
					 context->profile->config_path ? context->profile->config_path
								       : "its file");
		code = check_agreement(context, section, session, error);
	}
	if (code != AWSFLOCK_OK)
		return code;
	*out = (struct sso_settings){ .account_id = sso_setting(context, section, "sso_account_id"),
				      .role_name = sso_setting(context, section, "sso_role_name"),
				      .start_url = sso_setting(context, section, "sso_start_url"),
				      .region = sso_setting(context, section, "sso_region"),
				      .session = session };
	return check_whole(context, out, error);
}

/* The text that the AWS CLI names a role's keys by. */
static awsflock_code name_cache(const struct credentials_context *context, const struct sso_settings *settings,
				char **path, awsflock_error *error)
{
	struct buf key = BUF_INIT;
	awsflock_code code;

	buf_puts(&key, "{\"accountId\":");
	json_print_text(&key, settings->account_id);
	buf_puts(&key, ",\"roleName\":");
	json_print_text(&key, settings->role_name);
	buf_puts(&key, settings->session ? ",\"sessionName\":" : ",\"startUrl\":");
	json_print_text(&key, settings->session ? settings->session : settings->start_url);
	buf_puts(&key, "}");
	code = key.failed ? error_out_of_memory(error) : key_cache_path(context, buf_text(&key), path, error);
	buf_free(&key);
	return code;
}

/* ---- The portal --------------------------------------------------------------------------------------------- */

static void append_query(struct buf *path, const char *name, const char *value)
{
	buf_printf(path, "%s=", name);
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if ((c < 128 && isalnum(c)) || strchr("-._~", c))
			buf_append(path, value, 1);
		else
			buf_printf(path, "%%%02X", c);
	}
}

static awsflock_code ask_portal(const struct credentials_context *context, const struct sso_settings *settings,
				const struct sso_token *token, struct sign_in_reply *reply, awsflock_error *error)
{
	struct buf path = BUF_INIT;
	struct sign_in_request request = { .service = AWS_SSO,
					   .region = settings->region,
					   .header_name = "x-amz-sso_bearer_token",
					   .header_value = token->text };
	awsflock_code code = AWSFLOCK_MEMORY;

	buf_puts(&path, "/federation/credentials?");
	append_query(&path, "role_name", settings->role_name);
	buf_puts(&path, "&");
	append_query(&path, "account_id", settings->account_id);
	request.path = buf_text(&path);
	if (path.failed)
		error_out_of_memory(error);
	else
		code = sign_in_ask(context, &request, reply, error);
	buf_free(&path);
	return code;
}

static awsflock_code explain_refusal(const struct credentials_context *context, const struct sso_settings *settings,
				     const struct sign_in_reply *reply, awsflock_error *error)
{
	const char *separator = reply->message[0] != '\0' ? ": " : "";
	char why[512];

	if (reply->status == 401) {
		snprintf(why, sizeof(why), "the sign-in of profile '%.100s' has ended (%s%s%s)",
			 context->profile->name, reply->error, separator, reply->message);
		return sso_token_refuse(context, why, error);
	}
	if (reply->status == 403 || reply->status == 404)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "the role %s of account %s is not assigned to who has signed in for profile '%s': "
				 "ask the administrator of IAM Identity Center (%s%s%s)",
				 settings->role_name, settings->account_id, context->profile->name, reply->error,
				 separator, reply->message);
	return error_set(error, AWSFLOCK_CREDENTIALS,
			 "IAM Identity Center gives no keys for the role %s of account %s (HTTP %ld, %s%s%s)",
			 settings->role_name, settings->account_id, reply->status, reply->error, separator,
			 reply->message);
}

static awsflock_code take_keys(const struct sso_settings *settings, const struct sign_in_reply *reply,
			       struct credentials *out, awsflock_error *error)
{
	struct json_object *keys = credentials_json_object(reply->body, "roleCredentials"), *expiration;
	const char *id = credentials_json_text(keys, "accessKeyId");
	const char *secret = credentials_json_text(keys, "secretAccessKey");
	const char *token = credentials_json_text(keys, "sessionToken");
	awsflock_code code;

	if (!id || !secret || !token || !json_object_object_get_ex(keys, "expiration", &expiration) ||
	    !json_object_is_type(expiration, json_type_int) ||
	    json_object_get_int64(expiration) / MS_PER_S > EXPIRES_MAX)
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "IAM Identity Center answers without whole keys for the role %s of account %s",
				 settings->role_name, settings->account_id);
	out->expires_time = json_object_get_int64(expiration) / MS_PER_S;
	code = credentials_fill(out, id, secret, token, error);
	return code == AWSFLOCK_OK ? credentials_check_fresh(out, "IAM Identity Center", reply->now_seconds, error)
				   : code;
}

/* By the server's clock: the token has ended although this machine's clock does not say so. */
static bool has_ended_there(const struct sign_in_reply *reply, const struct sso_token *token)
{
	return reply->status == 401 && reply->now_seconds >= token->expires_time;
}

/* Asks the portal again, with a renewed token where there is one. */
static awsflock_code try_renewed(const struct credentials_context *context, const struct sso_settings *settings,
				 struct sso_token *token, struct sign_in_reply *reply, awsflock_error *error)
{
	struct sso_token renewed = { 0 };
	awsflock_code code = sso_token_find(context, settings, true, &renewed, error);

	if (code == AWSFLOCK_OK && strcmp(renewed.text, token->text) != 0) {
		sign_in_reply_clear(reply);
		code = ask_portal(context, settings, &renewed, reply, error);
	}
	sso_token_clear(token);
	*token = renewed;
	return code;
}

static awsflock_code have_keys(const struct credentials_context *context, const struct sso_settings *settings,
			       struct sso_token *token, struct credentials *out, awsflock_error *error)
{
	struct sign_in_reply reply = { 0 };
	awsflock_code code = sso_token_find(context, settings, false, token, error);

	if (code == AWSFLOCK_OK)
		code = ask_portal(context, settings, token, &reply, error);
	if (code == AWSFLOCK_OK && has_ended_there(&reply, token))
		code = try_renewed(context, settings, token, &reply, error);
	if (code == AWSFLOCK_OK)
		code = reply.status == 200 ? take_keys(settings, &reply, out, error)
					   : explain_refusal(context, settings, &reply, error);
	sign_in_reply_clear(&reply);
	return code;
}

/* ---- The source --------------------------------------------------------------------------------------------- */

static awsflock_code describe_role(const struct credentials_context *context, const struct sso_settings *settings,
				   const struct sso_token *token, struct credentials *out, awsflock_error *error)
{
	struct buf identity = BUF_INIT;

	free(out->identity);
	buf_printf(&identity, "account %s, role %s", settings->account_id, settings->role_name);
	out->identity = buf_steal(&identity);
	out->sign_in_command = sign_in_command(context, "sso login");
	if (!out->identity || !out->sign_in_command)
		return error_out_of_memory(error);
	out->renewable_until_time = token->ends_time != 0 ? token->ends_time : out->expires_time;
	return AWSFLOCK_OK;
}

static awsflock_code load_keys(const struct credentials_context *context, const struct sso_settings *settings,
			       const char *cache, struct credentials *out, awsflock_error *error)
{
	struct sso_token token = { 0 };
	bool cached = false;
	awsflock_code code = key_cache_load(context, cache, out, &cached, error);

	if (code == AWSFLOCK_OK && cached)
		code = sso_token_look(context, settings, &token, error);
	if (code == AWSFLOCK_OK && !cached)
		code = have_keys(context, settings, &token, out, error);
	if (code == AWSFLOCK_OK && !cached)
		key_cache_save(context, cache, out, settings->account_id, "sso", NULL);
	if (code == AWSFLOCK_OK)
		code = describe_role(context, settings, &token, out, error);
	sso_token_clear(&token);
	return code;
}

static awsflock_code load_sso(const struct credentials_context *context, struct credentials *out, bool *found,
			      struct buf *why_not, awsflock_error *error)
{
	struct sso_settings settings = { .session = NULL };
	char *cache = NULL;
	awsflock_code code;

	if (!credentials_profile_key(context, "sso_account_id") &&
	    !credentials_profile_key(context, "sso_role_name")) {
		buf_printf(why_not, "no sso_account_id in profile '%s'", context->profile->name);
		return AWSFLOCK_OK;
	}
	code = credentials_need_person(context, error);
	if (code == AWSFLOCK_OK)
		code = read_settings(context, &settings, error);
	if (code == AWSFLOCK_OK)
		code = name_cache(context, &settings, &cache, error);
	if (code == AWSFLOCK_OK)
		code = load_keys(context, &settings, cache, out, error);
	free(cache);
	*found = code == AWSFLOCK_OK;
	return code;
}

const struct credentials_source credentials_sso = { "single sign-on", true, load_sso };
