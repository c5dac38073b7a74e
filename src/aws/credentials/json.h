/* Credentials as a JSON object, as endpoints and programs hand them out.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_JSON_H
#define AWS_CREDENTIALS_JSON_H

#include <json-c/json.h>

#include "aws/credentials/credentials.h"

/* TEXT as an object, or NULL, with errno ENOMEM where there was no memory for it; no copy of what is in it is left
 * elsewhere.  The caller gives it back with credentials_json_put(). */
struct json_object *credentials_json_parse(const struct buf *text);
/* json-c frees without wiping: this wipes every string in it.  NULL is fine. */
void credentials_json_put(struct json_object *object);
/* NULL where NAME is missing, empty or no string.  OBJECT's, as the next one's. */
const char *credentials_json_text(struct json_object *object, const char *name);
/* NULL where NAME is missing or no object. */
struct json_object *credentials_json_object(struct json_object *object, const char *name);
/* False where NAME is missing or no time. */
bool credentials_json_time(struct json_object *object, const char *name, int64_t *epoch_seconds);

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
