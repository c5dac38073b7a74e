/* Which region, and which URL.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include <stdbool.h>

#include "aws/partition.h"
#include "aws/profile.h"
#include "awsflock.h"

struct endpoint_options {
	const char *region;        /* option; NULL: not given */
	const char *url;           /* option; NULL: not given */
	const char *config_region; /* awsflock.conf; NULL: not given */
	const char *config_url;
	const struct profile *profile; /* NULL: none */
	bool allow_plain_http;
	bool ignore_environment;
	/* The last resort: the region that the instance is in, or NULL; owned by ARG.  May be NULL itself. */
	const char *(*instance_region)(void *arg);
	void *instance_region_arg;
};

struct endpoint {
	char *region;
	char *url;                              /* without a trailing slash */
	char *host;                             /* as it stands in Host: with a port that is not the scheme's own */
	char *path;                             /* "/" at least */
	const char *region_source, *url_source; /* "AWS_REGION", "the command line": for people */
	bool is_aws;                            /* url is AWS's own for the region, not one that was configured */
};

/* AWSFLOCK_CONFIG: no region, a region that is no host label, a URL that cannot be, plain http beyond loopback.
 * AWSFLOCK_INVALID, where such a value is REGION or URL: who gave it can mend it at once. */
awsflock_code endpoint_resolve(const struct endpoint_options *options, struct endpoint *out, awsflock_error *error);
/* The same for a SERVICE that gives credentials, in REGION: AWS_ENDPOINT_URL_STS and its like, else the region's own
 * endpoint. */
awsflock_code endpoint_resolve_service(const struct endpoint_options *options, enum aws_service service,
				       const char *region, struct endpoint *out, awsflock_error *error);
void endpoint_clear(struct endpoint *endpoint);

#endif
