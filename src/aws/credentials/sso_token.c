/* Finding and renewing the token of IAM Identity Center.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sso_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/sign_in.h"
#include "aws/credentials/sign_in_file.h"
#include "aws/credentials/sign_in_renewal.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/timestamp.h"

#define FOLDER ".aws/sso/cache"
#define EARLY_S 900                       /* botocore's, too */
#define AGAIN_NS (INT64_C(60) * NS_PER_S) /* botocore's, too */

struct search {
	const struct credentials_context *context;
	const struct sso_settings *settings;
	char *path;
	struct json_object *object; /* of the file */
	int64_t expires_time;
	char why[384]; /* why it was not renewed; "" where that was not tried */
};

void sso_token_clear(struct sso_token *token)
{
	secret_free(&token->text);
	*token = (struct sso_token){ 0 };
}

awsflock_code sso_token_refuse(const struct credentials_context *context, const char *why, awsflock_error *error)
{
	return sign_in_refuse(context, "sso login", why, error);
}

/* ---- The file ----------------------------------------------------------------------------------------------- */

static bool token_expires(struct json_object *object, int64_t *epoch_seconds)
{
	const char *token = credentials_json_text(object, "accessToken");

	return token && credentials_fit_header(token) && credentials_json_time(object, "expiresAt", epoch_seconds);
}

static void search_clear(struct search *search)
{
	credentials_json_put(search->object);
	free(search->path);
}

static awsflock_code load_token_file(struct search *search, awsflock_error *error)
{
	const struct sso_settings *settings = search->settings;
	awsflock_code code = sign_in_file_name(search->context, FOLDER, SIGN_IN_SHA1,
					       settings->session ? settings->session : settings->start_url,
					       &search->path, error);
	awsflock_error why = { .code = AWSFLOCK_OK };

	if (code != AWSFLOCK_OK)
		return code;
	code = sign_in_load(search->context, search->path, token_expires, &search->object, &why);
	if (code == AWSFLOCK_CREDENTIALS)
		return sso_token_refuse(search->context, why.message, error);
	if (code != AWSFLOCK_OK)
		return error_set(error, code, "%s", why.message);
	if (!search->object) {
		snprintf(search->why, sizeof(search->why), "profile '%.100s' is not signed in",
			 search->context->profile->name);
		return sso_token_refuse(search->context, search->why, error);
	}
	if (!token_expires(search->object, &search->expires_time)) {
		snprintf(search->why, sizeof(search->why), "%.300s has no accessToken with expiresAt",
			 search->path);
		return sso_token_refuse(search->context, search->why, error);
	}
	return AWSFLOCK_OK;
}

static bool was_refused(const struct search *search)
{
	const struct sign_in_memory *memory = search->context->memory;

	return memory && memory->refused_time != 0 && memory->refused_time == search->expires_time;
}

/* Until when the token can be renewed without a person; 0: it cannot. */
static int64_t renewable_until(const struct search *search)
{
	int64_t registration_time;

	if (was_refused(search) || !search->settings->session ||
	    !credentials_json_text(search->object, "refreshToken") ||
	    !credentials_json_text(search->object, "clientId") ||
	    !credentials_json_text(search->object, "clientSecret") ||
	    !credentials_json_time(search->object, "registrationExpiresAt", &registration_time) ||
	    registration_time <= sign_in_now(search->context))
		return 0;
	return registration_time;
}

static awsflock_code hand_token_out(const struct search *search, struct sso_token *out, awsflock_error *error)
{
	int64_t renewable = renewable_until(search);

	out->text = secret_copy(credentials_json_text(search->object, "accessToken"));
	if (!out->text)
		return error_out_of_memory(error);
	out->expires_time = search->expires_time;
	out->ends_time = renewable > search->expires_time ? renewable : search->expires_time;
	return AWSFLOCK_OK;
}

/* ---- Renewing ----------------------------------------------------------------------------------------------- */

/* False where FROM has no such text, or without memory. */
static bool copy_member(struct json_object *object, const char *name, struct json_object *from,
			const char *from_name)
{
	const char *text = credentials_json_text(from, from_name);

	return text && sign_in_set(object, name, text);
}

static struct json_object *make_request(const struct search *search)
{
	struct json_object *object = json_object_new_object();

	if (object && sign_in_set(object, "grantType", "refresh_token") &&
	    copy_member(object, "clientId", search->object, "clientId") &&
	    copy_member(object, "clientSecret", search->object, "clientSecret") &&
	    copy_member(object, "refreshToken", search->object, "refreshToken"))
		return object;
	credentials_json_put(object);
	return NULL;
}

static bool is_token_reply(struct json_object *body, int64_t *lasts_s)
{
	struct json_object *lasts;
	const char *token = credentials_json_text(body, "accessToken");

	if (!token || !credentials_fit_header(token) || !json_object_object_get_ex(body, "expiresIn", &lasts) ||
	    !json_object_is_type(lasts, json_type_int))
		return false;
	*lasts_s = json_object_get_int64(lasts);
	return *lasts_s > 0 && *lasts_s <= INT32_MAX;
}

/* Without a new refresh token the old one has been used up, as AWS's tools take it. */
static bool take_reply(struct search *search, const struct sign_in_reply *reply)
{
	struct json_object *body = reply->body;
	int64_t lasts_s, now = sign_in_now(search->context);
	char text[TIMESTAMP_SIZE];

	if (!is_token_reply(body, &lasts_s)) {
		snprintf(search->why, sizeof(search->why), "its answer has no accessToken with expiresIn");
		return false;
	}
	/* A clock that is ahead must not promise more than is true to whoever reads the file with one that is right. */
	timestamp_format((now < reply->now_seconds ? now : reply->now_seconds) + lasts_s, text);
	(void)sign_in_set(search->object, "refreshToken", ""); /* which wipes the old one */
	json_object_object_del(search->object, "refreshToken");
	if (credentials_json_text(body, "refreshToken") &&
	    !copy_member(search->object, "refreshToken", body, "refreshToken"))
		return false;
	search->expires_time = now + lasts_s;
	return copy_member(search->object, "accessToken", body, "accessToken") &&
	       sign_in_set(search->object, "expiresAt", text) &&
	       sign_in_set(search->object, "startUrl", search->settings->start_url) &&
	       sign_in_set(search->object, "region", search->settings->region);
}

static struct sign_in_place place_of(struct search *search)
{
	return (struct sign_in_place){ .path = search->path,
				       .name = "accessToken",
				       .expires = token_expires,
				       .object = &search->object,
				       .expires_time = &search->expires_time };
}

/* Whether another try may not do better. */
static bool is_final(long status)
{
	return status >= 400 && status < 500 && status != 408 && status != 429;
}

static bool use_answer(void *arg, const struct sign_in_reply *reply)
{
	struct search *search = arg;
	const struct sign_in_place place = place_of(search);
	char *spent;
	bool taken;

	if (reply->status != 200) {
		snprintf(search->why, sizeof(search->why), "%s%s%s", reply->error,
			 reply->message[0] != '\0' ? ": " : "", reply->message);
		if (sign_in_renewed_elsewhere(search->context, &place))
			return true;
		if (is_final(reply->status) && search->context->memory)
			search->context->memory->refused_time = search->expires_time;
		return false;
	}
	spent = secret_copy(credentials_json_text(search->object, "refreshToken"));
	taken = spent && take_reply(search, reply);
	if (taken)
		sign_in_save(search->context, search->path, spent, search->object);
	secret_free(&spent);
	return taken;
}

/* FORCE: the token has ended, whatever it says. */
static awsflock_code renew_token(struct search *search, bool force, bool *renewed, awsflock_error *error)
{
	const struct credentials_context *context = search->context;
	struct sign_in_renewal renewal = {
		.place = place_of(search),
		.needed = force || search->expires_time <= sign_in_now(context),
		.request = { .service = AWS_SSO_OIDC, .region = search->settings->region, .path = "/token" },
		.body = make_request(search),
		.use_answer = use_answer,
		.arg = search,
		.why = search->why,
		.why_size = sizeof(search->why),
	};
	awsflock_code code = sign_in_renew(context, &renewal, renewed, error);

	if (context->memory && renewal.asked)
		context->memory->refresh_again_boot_ns = runtime_boot_ns(context->runtime) + AGAIN_NS;
	return code;
}

static bool may_renew(const struct search *search)
{
	const struct sign_in_memory *memory = search->context->memory;

	return renewable_until(search) != 0 &&
	       (!memory || runtime_boot_ns(search->context->runtime) >= memory->refresh_again_boot_ns);
}

static awsflock_code renew_if_due(struct search *search, bool force, awsflock_error *error)
{
	const struct credentials_context *context = search->context;
	bool renewed = false;
	awsflock_code code;

	if ((!force && search->expires_time - sign_in_now(context) >= EARLY_S) || !may_renew(search))
		return AWSFLOCK_OK;
	code = renew_token(search, force, &renewed, error);
	if (code == AWSFLOCK_OK && !renewed && search->expires_time > sign_in_now(context))
		runtime_log(context->runtime, AWSFLOCK_LOG_NOTICE,
			    "the sign-in of profile '%s' was not renewed, and serves until it ends: %s",
			    context->profile->name, search->why);
	return code;
}

/* ---- All of it ---------------------------------------------------------------------------------------------- */

static awsflock_code refuse_expired(struct search *search, awsflock_error *error)
{
	char why[640], ago[32];

	text_duration(sign_in_now(search->context) - search->expires_time, ago, sizeof(ago));
	snprintf(why, sizeof(why), "the sign-in of profile '%.100s' ended %s ago%s%s%s",
		 search->context->profile->name, ago, search->why[0] != '\0' ? " and cannot be renewed (" : "",
		 search->why, search->why[0] != '\0' ? ")" : "");
	return sso_token_refuse(search->context, why, error);
}

awsflock_code sso_token_find(const struct credentials_context *context, const struct sso_settings *settings,
			     bool renew_now, struct sso_token *out, awsflock_error *error)
{
	struct search search = { .context = context, .settings = settings };
	awsflock_code code = load_token_file(&search, error);

	if (code == AWSFLOCK_OK)
		code = renew_if_due(&search, renew_now, error);
	if (code == AWSFLOCK_OK && search.expires_time <= sign_in_now(context))
		code = refuse_expired(&search, error);
	if (code == AWSFLOCK_OK)
		code = hand_token_out(&search, out, error);
	search_clear(&search);
	return code;
}

awsflock_code sso_token_look(const struct credentials_context *context, const struct sso_settings *settings,
			     struct sso_token *out, awsflock_error *error)
{
	struct search search = { .context = context, .settings = settings };
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = load_token_file(&search, &why);

	*out = (struct sso_token){ 0 };
	if (code == AWSFLOCK_OK)
		code = hand_token_out(&search, out, error);
	search_clear(&search);
	return code == AWSFLOCK_CREDENTIALS ? AWSFLOCK_OK : code;
}
