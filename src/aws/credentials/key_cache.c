/* The AWS CLI's cache of a role's keys.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/key_cache.h"

#include <string.h>

#include "aws/credentials/json.h"
#include "aws/credentials/sign_in.h"
#include "aws/credentials/sign_in_file.h"
#include "base/error.h"
#include "base/timestamp.h"

#define FOLDER ".aws/cli/cache"
#define LEAST_LEFT_S 900 /* botocore's, too */

awsflock_code key_cache_path(const struct credentials_context *context, const char *key, char **path,
			     awsflock_error *error)
{
	return sign_in_file_name(context, FOLDER, SIGN_IN_SHA1, key, path, error);
}

/* ---- Reading ------------------------------------------------------------------------------------------------ */

static bool is_good(const struct credentials_context *context, struct json_object *keys, int64_t *expires_time)
{
	const char *id = credentials_json_text(keys, "AccessKeyId");
	const char *secret = credentials_json_text(keys, "SecretAccessKey");
	const char *token = credentials_json_text(keys, "SessionToken");

	return credentials_json_time(keys, "Expiration", expires_time) &&
	       *expires_time - sign_in_now(context) >= LEAST_LEFT_S && id && secret && token &&
	       credentials_fit_request(id, secret, token) && !credentials_skip(context, id);
}

static awsflock_code take_cached_keys(struct json_object *object, struct json_object *keys, struct credentials *out,
				      awsflock_error *error)
{
	const char *arn = credentials_json_text(credentials_json_object(object, "AssumedRoleUser"), "Arn");

	if (arn)
		out->identity = strdup(arn);
	if (arn && !out->identity)
		return error_out_of_memory(error);
	return credentials_fill(out, credentials_json_text(keys, "AccessKeyId"),
				credentials_json_text(keys, "SecretAccessKey"),
				credentials_json_text(keys, "SessionToken"), error);
}

/* A cache that is damaged or somebody else's is as good as none. */
awsflock_code key_cache_load(const struct credentials_context *context, const char *path, struct credentials *out,
			     bool *found, awsflock_error *error)
{
	struct json_object *object = NULL, *keys;
	awsflock_error why = { .code = AWSFLOCK_OK };
	awsflock_code code = AWSFLOCK_OK;
	int64_t expires_time;

	*found = false;
	if (sign_in_file_read(context, path, &object, &why) != AWSFLOCK_OK)
		runtime_log(context->runtime, AWSFLOCK_LOG_DEBUG, "cached keys are not used: %s", why.message);
	keys = credentials_json_object(object, "Credentials");
	if (keys && is_good(context, keys, &expires_time)) {
		code = take_cached_keys(object, keys, out, error);
		out->expires_time = expires_time;
		*found = code == AWSFLOCK_OK;
	}
	credentials_json_put(object);
	return code;
}

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* MEMBER becomes OBJECT's, or is given back. */
static bool add_member(struct json_object *object, const char *name, struct json_object *member)
{
	if (member && json_object_object_add(object, name, member) == 0)
		return true;
	credentials_json_put(member);
	return false;
}

static bool describe_keys(struct json_object *object, const struct credentials *keys, const char *account,
			  const char *provider, const char *arn)
{
	struct json_object *inner, *user;
	char expiration[TIMESTAMP_SIZE];

	timestamp_format(keys->expires_time, expiration);
	return (!provider || sign_in_set(object, "ProviderType", provider)) &&
	       add_member(object, "Credentials", inner = json_object_new_object()) &&
	       sign_in_set(inner, "AccessKeyId", keys->access_key_id) &&
	       sign_in_set(inner, "SecretAccessKey", keys->secret_access_key) &&
	       sign_in_set(inner, "SessionToken", keys->session_token) &&
	       sign_in_set(inner, "Expiration", expiration) &&
	       (!account || sign_in_set(inner, "AccountId", account)) &&
	       (!arn || (add_member(object, "AssumedRoleUser", user = json_object_new_object()) &&
			 sign_in_set(user, "Arn", arn)));
}

void key_cache_save(const struct credentials_context *context, const char *path, const struct credentials *keys,
		    const char *account, const char *provider, const char *arn)
{
	struct json_object *object;
	awsflock_error why = { .code = AWSFLOCK_OK };

	if (!credentials_fit_request(keys->access_key_id, keys->secret_access_key, keys->session_token))
		return; /* the caller's caller is about to refuse them */
	object = json_object_new_object();
	sign_in_file_make_directory(path);
	if (object && describe_keys(object, keys, account, provider, arn) &&
	    sign_in_file_replace(path, object, NULL, NULL, &why) != AWSFLOCK_OK)
		runtime_log(context->runtime, AWSFLOCK_LOG_DEBUG, "the keys are not cached: %s", why.message);
	credentials_json_put(object);
}
