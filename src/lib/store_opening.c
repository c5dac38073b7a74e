/* Opening a context's store: configuration, profile, endpoint, transport and client put together.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/store_opening.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/credentials/imds_session.h"
#include "aws/credentials/mfa.h"
#include "aws/dynamodb/dynamodb.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/home.h"
#include "lib/context.h"
#include "lock/dynamodb/store.h"
#include "lock/local/store.h"

#ifndef AWSFLOCK_VERSION
#define AWSFLOCK_VERSION "unknown"
#endif

#define USER_AGENT_MAX ((size_t)4096)

/* The value of KEY where it has the given rank: the environment comes between the caller's and the files'. */
static const char *from_caller(const struct config *config, enum config_key key)
{
	return config->origins[key] == CONFIG_FROM_CALLER ? config_get(config, key) : NULL;
}

static const char *from_file(const struct config *config, enum config_key key)
{
	enum config_origin origin = config->origins[key];

	return origin == CONFIG_FROM_SYSTEM_FILE || origin == CONFIG_FROM_USER_FILE ? config_get(config, key)
										    : NULL;
}

static const char *from_environment(const awsflock *context, const char *name)
{
	const char *value = context->is_set_id ? NULL : secure_getenv(name);

	return value && *value ? value : NULL;
}

static const char *first_of(const char *a, const char *b, const char *c, const char *d)
{
	return a ? a : b ? b : c ? c : d;
}

static awsflock_code load_profile(awsflock *context, struct profile *profile, awsflock_error *error)
{
	const struct config *config = &context->config;
	struct profile_options options = {
		.name = first_of(from_caller(config, CONFIG_PROFILE), from_environment(context, "AWS_PROFILE"),
				 from_file(config, CONFIG_PROFILE), NULL),
		.config_path = config_get(config, CONFIG_CONFIG_FILE),
		.credentials_path = config_get(config, CONFIG_CREDENTIALS_FILE),
		.ignore_environment = context->is_set_id,
	};

	return profile_load(&options, profile, error);
}

/* botocore's rule: what could end the header or be taken for another part of it becomes '-'. */
static void append_app_id(const char *app_id, struct buf *user_agent)
{
	static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!$%&'*+-.^_`|~,#";

	buf_puts(user_agent, " app/");
	for (; *app_id != '\0'; app_id++)
		buf_append(user_agent, strchr(kept, *app_id) ? app_id : "-", 1);
}

static awsflock_code name_user_agent(awsflock *context, const struct profile *profile, struct buf *user_agent,
				     awsflock_error *error)
{
	const char *app_id = first_of(from_environment(context, "AWS_SDK_UA_APP_ID"),
				      profile_config_get(profile, "sdk_ua_app_id"), NULL, NULL);

	buf_puts(user_agent, "awsflock/" AWSFLOCK_VERSION);
	if (app_id && *app_id)
		append_app_id(app_id, user_agent);
	if (user_agent->failed && !user_agent->over_limit)
		return error_out_of_memory(error);
	if (user_agent->failed)
		return error_set(
			error, AWSFLOCK_CONFIG,
			"AWS_SDK_UA_APP_ID (or sdk_ua_app_id of the profile) is longer than a header can be");
	return AWSFLOCK_OK;
}

/* *OUT stays NULL where none is named; the caller frees it. */
static awsflock_code find_ca_bundle(awsflock *context, const struct profile *profile, char **out,
				    awsflock_error *error)
{
	const struct config *config = &context->config;
	const char *path =
		first_of(from_caller(config, CONFIG_CA_BUNDLE), from_environment(context, "AWS_CA_BUNDLE"),
			 from_file(config, CONFIG_CA_BUNDLE), profile_config_get(profile, "ca_bundle"));

	/* botocore's last resort, which it has from the requests library. */
	if (!path)
		path = from_environment(context, "REQUESTS_CA_BUNDLE");
	return path ? home_copy_path(path, !context->is_set_id, out, error) : AWSFLOCK_OK;
}

static awsflock_code open_transport(awsflock *context, const struct profile *profile, struct http_transport **out,
				    awsflock_error *error)
{
	const struct config *config = &context->config;
	const char *proxy = config_get(config, CONFIG_PROXY);
	struct http_curl_options options = { .proxy = proxy || !context->is_set_id ? proxy : "" };
	struct buf user_agent = { .limit = USER_AGENT_MAX };
	char *ca_bundle = NULL;
	awsflock_code code = name_user_agent(context, profile, &user_agent, error);

	if (code == AWSFLOCK_OK)
		code = find_ca_bundle(context, profile, &ca_bundle, error);
	options.ca_bundle = ca_bundle;
	options.user_agent = buf_text(&user_agent);
	if (code == AWSFLOCK_OK)
		code = http_curl_new(&context->runtime, &options, out, error);
	free(ca_bundle);
	buf_free(&user_agent);
	return code;
}

/* What it takes to ask for the instance's region. */
struct region_asking {
	awsflock *context;
	const struct profile *profile;
	char *region; /* the answer */
};

/* Over a transport of its own: a process that forks later must not share its connection with its child. */
static const char *ask_instance_region(void *arg)
{
	struct region_asking *asking = arg;
	struct credentials_context context = { .runtime = &asking->context->runtime,
					       .profile = asking->profile,
					       .ignore_environment = asking->context->is_set_id,
					       .give_up_boot_ns = INT64_MAX };
	struct buf why_not = BUF_INIT;
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (open_transport(asking->context, asking->profile, &context.transport, &error) != AWSFLOCK_OK)
		return NULL; /* which the caller is going to learn, too */
	if (imds_region(&context, &asking->region, &why_not, &error) != AWSFLOCK_OK)
		buf_puts(&why_not, error.message);
	if (!asking->region)
		runtime_log(&asking->context->runtime, AWSFLOCK_LOG_DEBUG,
			    "no region from the instance metadata: %s", buf_text(&why_not));
	buf_free(&why_not);
	context.transport->free(context.transport);
	return asking->region;
}

static awsflock_code resolve_endpoint(awsflock *context, const struct profile *profile, struct endpoint *endpoint,
				      awsflock_error *error)
{
	const struct config *config = &context->config;
	struct region_asking asking = { .context = context, .profile = profile };
	struct endpoint_options options = {
		.region = from_caller(config, CONFIG_REGION),
		.url = from_caller(config, CONFIG_ENDPOINT_URL),
		.config_region = from_file(config, CONFIG_REGION),
		.config_url = from_file(config, CONFIG_ENDPOINT_URL),
		.profile = profile,
		.allow_plain_http = config_get_bool(config, CONFIG_ALLOW_PLAIN_HTTP),
		.ignore_environment = context->is_set_id,
		.instance_region = ask_instance_region,
		.instance_region_arg = &asking,
	};
	awsflock_code code;

	code = endpoint_resolve(&options, endpoint, error);
	free(asking.region);
	return code;
}

static awsflock_code open_dynamodb(awsflock *context, const char **step, awsflock_error *error)
{
	const struct config *config = &context->config;
	struct dynamodb_options options = {
		.runtime = &context->runtime,
		.profile_given = from_caller(config, CONFIG_PROFILE),
		.ignore_environment = context->is_set_id,
		.allow_plain_http = config_get_bool(config, CONFIG_ALLOW_PLAIN_HTTP),
		.ask_mfa = context->ask_mfa,
		.ask_mfa_arg = context->ask_mfa_arg,
		.connect_timeout_ms = config_get_ms(config, CONFIG_CONNECT_TIMEOUT),
		.request_timeout_ms = config_get_ms(config, CONFIG_REQUEST_TIMEOUT),
	};
	struct dynamodb *client = NULL;
	awsflock_code code;

	*step = "profile";
	code = load_profile(context, &options.profile, error);
	if (code == AWSFLOCK_OK && options.profile.passed_over.size > 0)
		runtime_log(&context->runtime, AWSFLOCK_LOG_NOTICE, "%s: passed over",
			    buf_text(&options.profile.passed_over));
	if (code == AWSFLOCK_OK) {
		*step = "endpoint";
		code = resolve_endpoint(context, &options.profile, &options.endpoint, error);
	}
	if (code == AWSFLOCK_OK) {
		*step = "connection";
		code = open_transport(context, &options.profile, &options.transport, error);
	}
	if (code != AWSFLOCK_OK) {
		endpoint_clear(&options.endpoint);
		profile_clear(&options.profile);
		return code;
	}
	code = dynamodb_new(&options, &client, error);
	if (code != AWSFLOCK_OK)
		return code;
	return store_dynamodb_new(&context->runtime, client, config_get(config, CONFIG_TABLE), &context->store,
				  error);
}

/* Who calls sudo may take root's store for their own, and hold a lock that excludes nobody whom they mean. */
static void tell_local_store(awsflock *context, const char *directory)
{
	const char *caller = from_environment(context, "SUDO_UID");
	bool is_roots_own = context->config.origins[CONFIG_LOCAL_DIR] == CONFIG_DEFAULT && geteuid() == 0;

	if (is_roots_own && caller && strcmp(caller, "0") != 0)
		runtime_log(&context->runtime, AWSFLOCK_LOG_NOTICE,
			    "the locks in %s are root's: those that are taken without sudo are in another store "
			    "(--local in awsflock(1))",
			    directory);
	else
		runtime_log(&context->runtime, AWSFLOCK_LOG_DEBUG, "locks are kept in %s", directory);
}

static awsflock_code open_local(awsflock *context, awsflock_error *error)
{
	const char *directory = config_get(&context->config, CONFIG_LOCAL_DIR);
	awsflock_code code = store_local_new(&context->runtime, directory, &context->store, error);

	if (code == AWSFLOCK_OK)
		tell_local_store(context, directory);
	return code;
}

awsflock_code store_open_by_steps(awsflock *context, const char **step, awsflock_error *error)
{
	const struct config *config = &context->config;

	error_clear(error);
	*step = "directory";
	if (context->store)
		return AWSFLOCK_OK;
	if (strcmp(config_get(config, CONFIG_STORE), "local") == 0)
		return open_local(context, error);
	return open_dynamodb(context, step, error);
}

awsflock_code store_open(awsflock *context, awsflock_error *error)
{
	const char *step;

	return store_open_by_steps(context, &step, error);
}

awsflock_code store_needs_code(awsflock *context, bool *needs_code, awsflock_error *error)
{
	struct profile profile = { 0 };
	const struct credentials_context looked_at = {
		.runtime = &context->runtime,
		.profile = &profile,
		.profile_given = from_caller(&context->config, CONFIG_PROFILE),
		.ignore_environment = context->is_set_id,
	};
	awsflock_code code;

	*needs_code = false;
	if (strcmp(config_get(&context->config, CONFIG_STORE), "local") == 0)
		return AWSFLOCK_OK;
	code = load_profile(context, &profile, error);
	if (code == AWSFLOCK_OK)
		*needs_code = mfa_is_needed(&looked_at);
	profile_clear(&profile);
	return code;
}
