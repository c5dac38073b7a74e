/* One HTTP request and its reply, as an interface: libcurl behind it in the program, a fake in the tests.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_HTTP_H
#define AWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"
#include "base/runtime.h"

struct http_header {
	const char *name, *value;
};

struct http_request {
	const char *method;
	const char *url;
	const struct http_header *headers;
	size_t header_count;
	const char *body; /* NULL: none */
	size_t body_size;
	int64_t connect_timeout_ms, total_timeout_ms;
	size_t reply_limit;    /* bytes of body */
	bool no_proxy;         /* metadata and container endpoints */
	bool finish_once_sent; /* the order to stop cuts it short no more then */
};

/* How far a request got: whether it may have been carried out. */
enum http_fate {
	HTTP_ANSWERED, /* a whole reply came */
	HTTP_NOT_SENT, /* certainly not carried out: no connection was made */
	HTTP_UNKNOWN   /* sent, at least in part; no whole reply came */
};

struct http_reply {
	enum http_fate fate;
	long status;
	struct buf body;
	char content_type[64];
	char crc32[16];      /* x-amz-crc32, or "" */
	char request_id[80]; /* x-amzn-RequestId, or "" */
	char error_type[80]; /* x-amzn-ErrorType, or "" */
	bool has_date;
	int64_t date_seconds; /* the Date header, epoch seconds */
	int64_t sent_boot_ns, received_boot_ns;
	bool reused_connection;
	bool resent; /* libcurl has sent it more than once: it repeats a POST by itself when a kept connection dies
		      * before the first byte of a reply */
};

struct http_transport {
	/* Sends one request.  AWSFLOCK_OK: a whole reply is in *REPLY, whatever its status.  Otherwise
	 * AWSFLOCK_UNREACHABLE, _TLS, _PROTOCOL (reply too large or no HTTP), _CANCELLED, _CONFIG (bad proxy,
	 * bundle), _MEMORY; reply->fate is valid always.  The caller frees reply->body. */
	awsflock_code (*send)(struct http_transport *transport, const struct http_request *request,
			      struct http_reply *reply, awsflock_error *error);
	void (*free)(struct http_transport *transport);
};

struct http_curl_options {
	const char *ca_bundle; /* a file, or a hashed directory; NULL: the system's */
	const char *proxy;     /* judged by proxy_url_check(); NULL: the environment's; "": none */
	const char *user_agent;
};

/* The transport on libcurl: TLS 1.2 or later, peer and host verified, no redirects, connections kept.  RUNTIME
 * outlives it.  Strings are copied.  AWSFLOCK_CONFIG where a variable names a proxy that cannot be. */
awsflock_code http_curl_new(struct runtime *runtime, const struct http_curl_options *options,
			    struct http_transport **out, awsflock_error *error);

#endif
