/* What the sources of people who sign in have in common: a token in a file, renewed while that is possible, and a
 * command to type where it is not.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SIGN_IN_H
#define AWS_CREDENTIALS_SIGN_IN_H

#include <json-c/json.h>

#include "aws/credentials/credentials.h"

/* Whether OBJECT holds a whole sign-in, and until when that is good. */
typedef bool sign_in_expires_fn(struct json_object *object, int64_t *epoch_seconds);

/* "aws VERB --profile NAME" for the profile in force, which the caller frees; NULL without memory.  A shell may be
 * given it as it is. */
char *sign_in_command(const struct credentials_context *context, const char *verb);
/* The sentence WHY, and behind it that command.  AWSFLOCK_CREDENTIALS, _MEMORY. */
awsflock_code sign_in_refuse(const struct credentials_context *context, const char *verb, const char *why,
			     awsflock_error *error);

/* What PATH holds, or what it could not be told, where that is good for longer.  As sign_in_file_read(). */
awsflock_code sign_in_load(const struct credentials_context *context, const char *path, sign_in_expires_fn *expires,
			   struct json_object **out, awsflock_error *error);
/* Writes OBJECT, which was renewed with the refresh token SPENT, to PATH, unless somebody has signed in or out there
 * meanwhile.  Where that fails it is remembered, and a warning logged. */
void sign_in_save(const struct credentials_context *context, const char *path, const char *spent,
		  struct json_object *object);

/* A sign-in as it was found, for who may find it renewed by somebody else. */
struct sign_in_place {
	const char *path;
	const char *name; /* of the member that is another one after a renewal */
	sign_in_expires_fn *expires;
	struct json_object **object;
	int64_t *expires_time;
};

/* Whether PLACE has a whole sign-in now that is still good, and another one than it had: it is taken over. */
bool sign_in_look_again(const struct credentials_context *context, const struct sign_in_place *place);
/* The same after a refused renewal: the other one's may still be on its way to the file, and is waited for a second. */
bool sign_in_renewed_elsewhere(const struct credentials_context *context, const struct sign_in_place *place);

/* Seconds of this machine's clock. */
int64_t sign_in_now(const struct credentials_context *context);
/* Sets NAME in OBJECT.  False without memory. */
bool sign_in_set(struct json_object *object, const char *name, const char *value);

#endif
