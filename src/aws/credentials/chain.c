/* The chain of all sources.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/credentials.h"
#include "base/error.h"

/* botocore's order. */
static const struct credentials_source *const chain[] = {
	&credentials_environment, &credentials_assumed_role, &credentials_web_identity, &credentials_sso,
	&credentials_shared_file, &credentials_login,        &credentials_process,      &credentials_config_file,
	&credentials_container,   &credentials_instance,
};

#define SOURCE_COUNT (sizeof(chain) / sizeof(chain[0]))

/* Why no source serves: a line a source, of those that were asked.  Once; a lease's renewals go on asking. */
static void tell_sources(const struct credentials_context *context, struct buf why_not[SOURCE_COUNT])
{
	if (context->memory && context->memory->sources_were_told)
		return;
	for (size_t i = 0; i < SOURCE_COUNT; i++) {
		if (why_not[i].size > 0)
			runtime_log(context->runtime, AWSFLOCK_LOG_NOTICE, "no credentials from the %s",
				    buf_text(&why_not[i]));
	}
	if (context->memory)
		context->memory->sources_were_told = true;
}

static awsflock_code tell_none(const struct credentials_context *context, struct buf why_not[SOURCE_COUNT],
			       awsflock_error *error)
{
	awsflock_code code;

	tell_sources(context, why_not);
	code = error_set(error, AWSFLOCK_CREDENTIALS,
			 "no AWS credentials were found: sign in, name a profile that has keys, or set "
			 "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	error_set_detail(error, ERROR_DETAIL_NO_KEYS);
	return code;
}

awsflock_code credentials_load(const struct credentials_context *context, struct credentials *out,
			       awsflock_error *error)
{
	struct buf why_not[SOURCE_COUNT] = { BUF_INIT };
	bool found = false;
	awsflock_code code = AWSFLOCK_OK;

	for (size_t i = 0; code == AWSFLOCK_OK && !found && i < SOURCE_COUNT; i++)
		code = credentials_ask_in_turn(&chain[i], 1, context, out, &found, &why_not[i], error);
	if (code == AWSFLOCK_OK && found)
		runtime_log(context->runtime, AWSFLOCK_LOG_DEBUG, "credentials come from the %s", out->source);
	else if (code == AWSFLOCK_OK)
		code = tell_none(context, why_not, error);
	for (size_t i = 0; i < SOURCE_COUNT; i++)
		buf_free(&why_not[i]);
	return code;
}
