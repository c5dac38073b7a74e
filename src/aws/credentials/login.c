/* `aws login`: short-lived keys of whoever has signed in to the console, renewed with a key that never leaves this
 * machine.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials/dpop.h"
#include "aws/credentials/json.h"
#include "aws/credentials/sign_in.h"
#include "aws/credentials/sign_in_file.h"
#include "aws/credentials/sign_in_renewal.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/text.h"
#include "base/timestamp.h"

#define FOLDER ".aws/login/cache"
#define EARLY_S 300 /* botocore's, too */
#define LASTS_MAX_S 43200

struct login {
	const struct credentials_context *context;
	const char *session; /* the profile's */
	const char *region;
	char *path;
	struct json_object *object; /* of the file */
	int64_t expires_time;
	char why[384]; /* why it was not renewed; "" where that was not tried */
};

/* ---- The file ----------------------------------------------------------------------------------------------- */

static bool login_expires(struct json_object *object, int64_t *epoch_seconds)
{
	static const char *const of_keys[] = { "accessKeyId", "secretAccessKey", "sessionToken" };
	static const char *const needed[] = { "clientId", "refreshToken", "dpopKey" };
	struct json_object *keys = credentials_json_object(object, "accessToken");

	for (size_t i = 0; i < sizeof(of_keys) / sizeof(of_keys[0]); i++) {
		if (!credentials_json_text(keys, of_keys[i]) || !credentials_json_text(object, needed[i]))
			return false;
	}
	return credentials_json_time(keys, "expiresAt", epoch_seconds);
}

static awsflock_code refuse_login(const struct login *login, const char *why, awsflock_error *error)
{
	return sign_in_refuse(login->context, "login", why, error);
}

/* AWS's tools take a relative one as relative to where they run. */
static awsflock_code find_folder(const struct login *login, char **out, awsflock_error *error)
{
	const char *folder = credentials_variable(login->context, "AWS_LOGIN_CACHE_DIRECTORY");
	awsflock_code code = credentials_path(login->context, folder ? folder : "~/" FOLDER, out, error);

	if (code == AWSFLOCK_OK && folder && *out[0] != '/')
		return error_set(error, AWSFLOCK_CREDENTIALS,
				 "AWS_LOGIN_CACHE_DIRECTORY is '%s': it must start with '/'", folder);
	return code;
}

static awsflock_code name_file(struct login *login, awsflock_error *error)
{
	char *folder = NULL;
	awsflock_code code = find_folder(login, &folder, error);

	if (code == AWSFLOCK_OK)
		code = sign_in_file_name(login->context, folder, SIGN_IN_SHA256, login->session, &login->path,
					 error);
	free(folder);
	return code;
}

static awsflock_code load_file(struct login *login, awsflock_error *error)
{
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = sign_in_load(login->context, login->path, login_expires, &login->object, &why);

	if (code == AWSFLOCK_CREDENTIALS)
		return refuse_login(login, why.message, error);
	if (code != AWSFLOCK_OK)
		return error_set(error, code, "%s", why.message);
	if (!login->object) {
		snprintf(login->why, sizeof(login->why), "profile '%.100s' is not logged in",
			 login->context->profile->name);
		return refuse_login(login, login->why, error);
	}
	if (!login_expires(login->object, &login->expires_time)) {
		snprintf(login->why, sizeof(login->why), "%.300s holds no whole login", login->path);
		return refuse_login(login, login->why, error);
	}
	return AWSFLOCK_OK;
}

/* ---- Renewing ----------------------------------------------------------------------------------------------- */

/* Another proof for each attempt, as its id must be used once. */
static awsflock_code prove_possession(void *arg, const char *url, struct buf *value, awsflock_error *error)
{
	const struct login *login = arg;
	char id[AWSFLOCK_LEASE_ID_SIZE];
	const struct dpop_claims claims = {
		.method = "POST", .url = url, .time_seconds = sign_in_now(login->context), .id = id
	};
	awsflock_code code = runtime_uuid(login->context->runtime, id, error);

	return code == AWSFLOCK_OK
		       ? dpop_append_proof(credentials_json_text(login->object, "dpopKey"), &claims, value, error)
		       : code;
}

static struct json_object *make_request(const struct login *login)
{
	struct json_object *object = json_object_new_object();

	if (object && sign_in_set(object, "clientId", credentials_json_text(login->object, "clientId")) &&
	    sign_in_set(object, "grantType", "refresh_token") &&
	    sign_in_set(object, "refreshToken", credentials_json_text(login->object, "refreshToken")))
		return object;
	credentials_json_put(object);
	return NULL;
}

/* The reply's keys replace the file's; account, id token and key stay. */
static bool take_reply(struct login *login, struct json_object *body)
{
	struct json_object *old = credentials_json_object(login->object, "accessToken");
	struct json_object *new = credentials_json_object(body, "accessToken"), *lasts;
	const char *id = credentials_json_text(new, "accessKeyId");
	const char *secret = credentials_json_text(new, "secretAccessKey");
	const char *token = credentials_json_text(new, "sessionToken");
	const char *refresh = credentials_json_text(body, "refreshToken");
	char text[TIMESTAMP_SIZE];
	int64_t lasts_s;

	if (!id || !secret || !token || !credentials_fit_request(id, secret, token) ||
	    !json_object_object_get_ex(body, "expiresIn", &lasts) || !json_object_is_type(lasts, json_type_int))
		return false;
	lasts_s = json_object_get_int64(lasts);
	if (lasts_s <= 0 || lasts_s > LASTS_MAX_S)
		return false;
	login->expires_time = sign_in_now(login->context) + lasts_s;
	timestamp_format(login->expires_time, text);
	return sign_in_set(old, "accessKeyId", id) && sign_in_set(old, "secretAccessKey", secret) &&
	       sign_in_set(old, "sessionToken", token) && sign_in_set(old, "expiresAt", text) &&
	       (!refresh || sign_in_set(login->object, "refreshToken", refresh));
}

/* What the codes mean, as AWS's tools explain them. */
static void explain_refusal(struct login *login, const struct sign_in_reply *reply)
{
	const char *separator = reply->message[0] != '\0' ? ": " : "";

	if (strcmp(reply->error, "TOKEN_EXPIRED") == 0)
		snprintf(login->why, sizeof(login->why), "its 12 hours are over");
	else if (strcmp(reply->error, "USER_CREDENTIALS_CHANGED") == 0)
		snprintf(login->why, sizeof(login->why), "the password was changed");
	else if (strcmp(reply->error, "INSUFFICIENT_PERMISSIONS") == 0)
		snprintf(login->why, sizeof(login->why),
			 "the permission signin:CreateOAuth2Token is missing: ask the account's administrator");
	else if (strcmp(reply->error, "INVALID_REQUEST") == 0)
		snprintf(login->why, sizeof(login->why),
			 "%s, asked in %s: if the login was made in another region, set region in the profile to "
			 "that "
			 "one",
			 reply->message, login->region);
	else
		snprintf(login->why, sizeof(login->why), "%s%s%s", reply->error, separator, reply->message);
}

static struct sign_in_place place_of(struct login *login)
{
	return (struct sign_in_place){ .path = login->path,
				       .name = "refreshToken",
				       .expires = login_expires,
				       .object = &login->object,
				       .expires_time = &login->expires_time };
}

static bool use_answer(void *arg, const struct sign_in_reply *reply)
{
	struct login *login = arg;
	const struct sign_in_place place = place_of(login);
	char *spent;
	bool taken;

	if (reply->status != 200) {
		explain_refusal(login, reply);
		return sign_in_renewed_elsewhere(login->context, &place);
	}
	spent = secret_copy(credentials_json_text(login->object, "refreshToken"));
	taken = spent && take_reply(login, reply->body);
	if (taken)
		sign_in_save(login->context, login->path, spent, login->object);
	else
		snprintf(login->why, sizeof(login->why), "the answer has no whole keys");
	secret_free(&spent);
	return taken;
}

static bool was_refused(const struct login *login)
{
	struct json_object *keys = credentials_json_object(login->object, "accessToken");

	return credentials_skip(login->context, credentials_json_text(keys, "accessKeyId"));
}

static awsflock_code renew_login(struct login *login, bool *renewed, awsflock_error *error)
{
	struct sign_in_renewal renewal = {
		.place = place_of(login),
		.needed = was_refused(login) || login->expires_time <= sign_in_now(login->context),
		.request = { .service = AWS_SIGNIN,
			     .region = login->region,
			     .path = "/v1/token",
			     .header_name = "DPoP",
			     .prove = prove_possession,
			     .prove_arg = login },
		.body = make_request(login),
		.use_answer = use_answer,
		.arg = login,
		.why = login->why,
		.why_size = sizeof(login->why),
	};

	return sign_in_renew(login->context, &renewal, renewed, error);
}

static awsflock_code refuse_expired(struct login *login, awsflock_error *error)
{
	char sentence[640];

	snprintf(sentence, sizeof(sentence), "the login of profile '%.100s' has ended (%s)",
		 login->context->profile->name, login->why);
	return refuse_login(login, sentence, error);
}

static awsflock_code renew_if_due(struct login *login, awsflock_error *error)
{
	const struct credentials_context *context = login->context;
	bool renewed = false;
	awsflock_code code;

	/* Those that AWS refused have ended, whatever this machine's clock says, now or when it wrote the file. */
	if (!was_refused(login) && login->expires_time - sign_in_now(context) > EARLY_S)
		return AWSFLOCK_OK;
	code = renew_login(login, &renewed, error);
	if (code != AWSFLOCK_OK || renewed)
		return code;
	if (login->expires_time <= sign_in_now(context))
		return refuse_expired(login, error);
	runtime_log(context->runtime, AWSFLOCK_LOG_WARNING,
		    "the login of profile '%s' could not be renewed, and its keys stay in use until they end: %s",
		    context->profile->name, login->why);
	return AWSFLOCK_OK;
}

/* ---- The source --------------------------------------------------------------------------------------------- */

static awsflock_code hand_keys_out(const struct login *login, struct credentials *out, awsflock_error *error)
{
	struct json_object *keys = credentials_json_object(login->object, "accessToken");
	const char *account = credentials_json_text(keys, "accountId");
	struct buf identity = BUF_INIT;

	if (account)
		buf_printf(&identity, "account %s, ", account);
	buf_puts(&identity, login->session);
	out->identity = buf_steal(&identity);
	out->sign_in_command = sign_in_command(login->context, "login");
	if (!out->identity || !out->sign_in_command)
		return error_out_of_memory(error);
	/* Until when the login itself can be renewed nobody tells; once it is refused, the keys' end is the end. */
	out->renewable_until_time = login->why[0] != '\0' ? login->expires_time : 0;
	out->expires_time = login->expires_time;
	return credentials_fill(out, credentials_json_text(keys, "accessKeyId"),
				credentials_json_text(keys, "secretAccessKey"),
				credentials_json_text(keys, "sessionToken"), error);
}

static const char *find_region(const struct login *login)
{
	const char *of_login = credentials_json_text(login->object, "signInRegion");
	const char *of_profile = credentials_profile_key(login->context, "region");

	return of_login ? of_login : of_profile ? of_profile : login->context->region;
}

static awsflock_code load_login(const struct credentials_context *context, struct credentials *out, bool *found,
				struct buf *why_not, awsflock_error *error)
{
	struct login login = { .context = context, .session = credentials_profile_key(context, "login_session") };
	awsflock_code code;

	if (!login.session) {
		buf_printf(why_not, "no login_session in profile '%s'", context->profile->name);
		return AWSFLOCK_OK;
	}
	code = credentials_need_person(context, error);
	if (code == AWSFLOCK_OK)
		code = name_file(&login, error);
	if (code == AWSFLOCK_OK)
		code = load_file(&login, error);
	login.region = find_region(&login);
	if (code == AWSFLOCK_OK)
		code = renew_if_due(&login, error);
	if (code == AWSFLOCK_OK)
		code = hand_keys_out(&login, out, error);
	credentials_json_put(login.object);
	free(login.path);
	*found = code == AWSFLOCK_OK;
	return code;
}

const struct credentials_source credentials_login = { "aws login", true, load_login };
