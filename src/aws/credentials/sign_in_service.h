/* Requests to the services behind a sign-in: JSON goes out, JSON comes back, nothing is signed.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SIGN_IN_SERVICE_H
#define AWS_CREDENTIALS_SIGN_IN_SERVICE_H

#include <json-c/json.h>

#include "aws/credentials/credentials.h"
#include "aws/partition.h"

struct sign_in_request {
	enum aws_service service;
	const char *region;
	const char *path; /* with the query: "/token" */
	const char *body; /* NULL: a GET; else a POST of JSON */
	/* One more header.  Its value is HEADER_VALUE, or what PROVE appends, anew for each attempt. */
	const char *header_name, *header_value;
	awsflock_code (*prove)(void *arg, const char *url, struct buf *value, awsflock_error *error);
	void *prove_arg;
	bool spends; /* what it shows serves once: sent, it is waited for, whoever wants to stop, as long as one may last */
};

struct sign_in_reply {
	long status;
	struct json_object *body; /* NULL where it was no object */
	char error[64];           /* of a refusal: the code, sanitised; never empty then */
	char message[256];        /* of a refusal, sanitised; may be empty */
	int64_t now_seconds;      /* by the server's clock, else this machine's */
};

/* Asks, and again where that may help: no answer, 429, 500, 502, 503, 504.  AWSFLOCK_OK: an answer is in *REPLY,
 * perhaps a refusal.  AWSFLOCK_CREDENTIALS: there was none that could be read; AWSFLOCK_CONFIG, _TLS, _CANCELLED,
 * _MEMORY.  The caller gives *REPLY back. */
awsflock_code sign_in_ask(const struct credentials_context *context, const struct sign_in_request *request,
			  struct sign_in_reply *reply, awsflock_error *error);
void sign_in_reply_clear(struct sign_in_reply *reply); /* wipes */

#endif
