/* AWS Signature Version 4.  Our own on OpenSSL's digests rather than CURLOPT_AWS_SIGV4: of libcurl 7.61 to 8.21
 * some versions leave the session token unsigned, drop a custom port from the signed Host or send X-Amz-Date twice
 * (measured).  Source: AWS General Reference, "Create a signed AWS API request".
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "aws/http.h"
#include "awsflock.h"
#include "base/buf.h"

struct sigv4_keys {
	const char *access_key_id, *secret_access_key;
	const char *session_token; /* NULL: none */
};

struct sigv4_request {
	const char *method;
	const char *path;  /* already encoded, "/" at least */
	const char *query; /* canonical already, "" for none */
	const char *region, *service;
	int64_t time_seconds; /* epoch */
	/* All headers that are signed, but for X-Amz-Date and X-Amz-Security-Token, which are added. */
	const struct http_header *headers;
	size_t header_count;
	const char *body;
	size_t body_size;
};

#define SIGV4_DATE_SIZE 17 /* "20261123T140211Z" */

/* The value of X-Amz-Date into DATE and that of Authorization into AUTHORIZATION.  AWSFLOCK_MEMORY, _INTERNAL. */
awsflock_code sigv4_sign(const struct sigv4_request *request, const struct sigv4_keys *keys,
			 char date[SIGV4_DATE_SIZE], struct buf *authorization, awsflock_error *error);

#endif
