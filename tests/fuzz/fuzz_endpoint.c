/* SPDX-License-Identifier: Apache-2.0
 *
 * Any region and URL, one a line, as a configuration or an environment names them: refused in a sentence, or fit for
 * a request's lines. */
#include "aws/endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_plain(const char *text)
{
	if (text == NULL || text[0] == '\0')
		abort();
	for (; text[0] != '\0'; text++)
		if ((unsigned char)text[0] <= ' ' || text[0] == '\x7f')
			abort(); /* it would break a header */
}

static void judge(awsflock_code code, struct endpoint *endpoint, const awsflock_error *error)
{
	if (code == AWSFLOCK_OK) {
		must_be_plain(endpoint->region);
		must_be_plain(endpoint->url);
		must_be_plain(endpoint->host);
		if (endpoint->path[0] != '/')
			abort();
		endpoint_clear(endpoint);
	} else if ((code != AWSFLOCK_CONFIG && code != AWSFLOCK_INVALID) || error->message[0] == '\0') {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text;
	const char *region = strsep(&rest, "\n");
	const struct profile profile = { .name = (char[]){ "default" } };
	struct endpoint_options options = {
		.region = region, .url = rest, .profile = &profile, .ignore_environment = true
	};
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct endpoint endpoint;

	if (text == NULL)
		return 0;
	judge(endpoint_resolve(&options, &endpoint, &error), &endpoint, &error);
	options.allow_plain_http = true;
	judge(endpoint_resolve(&options, &endpoint, &error), &endpoint, &error);
	judge(endpoint_resolve_service(&options, AWS_STS, "us-east-1", &endpoint, &error), &endpoint, &error);
	free(text);
	return 0;
}
