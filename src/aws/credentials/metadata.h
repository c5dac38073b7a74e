/* What the container and instance endpoints have in common: small, near, plain replies that never come through a
 * proxy.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_METADATA_H
#define AWS_CREDENTIALS_METADATA_H

#include "aws/credentials/credentials.h"

#define METADATA_REPLY_MAX ((size_t)64 * 1024)

/* One request, with HEADER where that is not NULL.  As http_transport.send(): AWSFLOCK_OK is any whole reply, which
 * the caller gives back with buf_free(&reply->body). */
awsflock_code metadata_send(const struct credentials_context *context, const char *method, const char *url,
			    const struct http_header *header, int64_t timeout_ms, struct http_reply *reply,
			    awsflock_error *error);

/* The time as REPLY tells it, else this machine's, in epoch seconds. */
int64_t metadata_now_seconds(const struct credentials_context *context, const struct http_reply *reply);

#endif
