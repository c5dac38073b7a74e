/* Credentials as a JSON object, as endpoints and programs hand them out.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_JSON_H
#define AWS_CREDENTIALS_JSON_H

#include "aws/credentials/credentials.h"

struct credentials_json_form {
	const char *token_name; /* "Token" or "SessionToken" */
	bool has_version;       /* there must be "Version": 1 */
	bool is_temporary;      /* token and expiration must be there */
	bool has_code;          /* "Code", where there is one, must be "Success" */
};

/* Reads TEXT.  GIVER begins the sentence where it cannot be used ("the container endpoint", "the
 * credential_process"): AWSFLOCK_CREDENTIALS, _MEMORY.  Does not repeat what it read, but for a refusal's own code
 * and message. */
awsflock_code credentials_from_json(const struct buf *text, const struct credentials_json_form *form,
				    const char *giver, struct credentials *out, awsflock_error *error);

/* The code and the message of an endpoint's refusal, sanitised, or "" where TEXT holds none. */
void credentials_json_refusal(const struct buf *text, char *out, size_t size);

#endif
