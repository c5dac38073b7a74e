/* What libcurl's failures mean, and what to do about them.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_HTTP_FAULT_H
#define AWS_HTTP_FAULT_H

#include <stdbool.h>
#include <stddef.h>

#include "aws/curl_library.h"
#include "awsflock.h"

/* A transfer that failed.  Nothing of it is owned. */
struct http_fault {
	CURL *easy;
	CURLcode result;
	const char *url;
	const char *text; /* libcurl's own words, or "" */
	bool issued;      /* the request went out, at least in part */
	bool too_large;   /* the reply went beyond reply_limit */
	size_t reply_limit;
};

/* The code that struct http_transport promises, and a sentence. */
awsflock_code http_fault_explain(const struct http_fault *fault, awsflock_error *error);

#endif
