/* SPDX-License-Identifier: Apache-2.0
 *
 * Any replies of an instance metadata service: the session's token, the region or role, and the role's keys, with a
 * line of "--" between them; each begins with 'e' (HTTP 404) or anything else (200).  Nothing is sent. */
#include "aws/credentials/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "aws/credentials/imds_session.h"
#include "aws/http.h"

#define SEPARATOR "\n--\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	struct http_transport transport; /* first */
	const char *rest;
	size_t left;
};

static awsflock_code say_next(struct http_transport *transport, const struct http_request *request,
			      struct http_reply *reply, awsflock_error *error)
{
	struct script *script = (struct script *)transport;
	const char *end = memmem(script->rest, script->left, SEPARATOR, strlen(SEPARATOR));
	size_t size = end != NULL ? (size_t)(end - script->rest) : script->left;
	size_t skip = size > 0 ? 1 : 0;

	(void)request;
	(void)error;
	reply->fate = HTTP_ANSWERED;
	reply->status = skip == 1 && script->rest[0] == 'e' ? 404 : 200;
	buf_append(&reply->body, script->rest + skip, size - skip);
	size += end != NULL ? strlen(SEPARATOR) : 0;
	script->rest += size;
	script->left -= size;
	return AWSFLOCK_OK;
}

static void ask_for_keys(const struct credentials_context *context)
{
	struct credentials credentials = { .source = NULL };
	struct buf why_not = BUF_INIT;
	awsflock_error error = { .code = AWSFLOCK_OK };
	bool found = false;
	awsflock_code code = credentials_instance.load(context, &credentials, &found, &why_not, &error);

	if (code == AWSFLOCK_OK && !found && why_not.size == 0)
		abort(); /* nobody would learn why */
	credentials_clear(&credentials);
	buf_free(&why_not);
}

static void ask_for_region(const struct credentials_context *context)
{
	struct buf why_not = BUF_INIT;
	awsflock_error error = { .code = AWSFLOCK_OK };
	char *region = NULL;

	if (imds_region(context, &region, &why_not, &error) == AWSFLOCK_OK && region != NULL && strlen(region) > 63)
		abort();
	free(region);
	buf_free(&why_not);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runtime runtime;
	struct script script = { .transport = { .send = say_next } };
	struct credentials_context context = { .runtime = &runtime,
					       .transport = &script.transport,
					       .ignore_environment = true,
					       .give_up_boot_ns = INT64_MAX };

	runtime_init_system(&runtime);
	script.rest = (const char *)data;
	script.left = size;
	ask_for_keys(&context);
	script.rest = (const char *)data;
	script.left = size;
	ask_for_region(&context);
	return 0;
}
