/* The files in which AWS's tools keep what a sign-in gave: tokens, private keys, a role's keys.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SIGN_IN_FILE_H
#define AWS_CREDENTIALS_SIGN_IN_FILE_H

#include <json-c/json.h>

#include "aws/credentials/credentials.h"

enum sign_in_digest {
	SIGN_IN_SHA1,
	SIGN_IN_SHA256
};

/* FOLDER/<DIGEST of KEY in hexadecimal>.json into *OUT, which the caller frees.  FOLDER is in the home directory
 * (".aws/sso/cache") unless it starts with '/'.  AWSFLOCK_CREDENTIALS where there is no home directory. */
awsflock_code sign_in_file_name(const struct credentials_context *context, const char *folder,
				enum sign_in_digest digest, const char *key, char **out, awsflock_error *error);

/* Reads the JSON object in PATH, which must be a regular file of at most 256 KiB that belongs to this user; to root
 * also where it belongs to the owner of the home directory.  *OUT stays NULL, and AWSFLOCK_OK is returned, where
 * there is no such file.  One that is no JSON is read once more in a moment, since the AWS CLI writes in place.  The
 * caller gives *OUT back with credentials_json_put(). */
awsflock_code sign_in_file_read(const struct credentials_context *context, const char *path,
				struct json_object **out, awsflock_error *error);

/* Whether somebody still wants the file replaced, asked right before it is. */
typedef bool sign_in_may_replace_fn(void *arg);

/* Replaces PATH by OBJECT, in one step, readable for its owner alone: this user, or for root whoever the home directory
 * belongs to.  AWSFLOCK_CREDENTIALS, and the sentence says why: it stays as it was, also where it or its directory is
 * somebody else's, or MAY_REPLACE (which may be NULL) says no.  What writers that crashed left in its directory a day ago
 * or before is removed. */
awsflock_code sign_in_file_replace(const char *path, struct json_object *object,
				   sign_in_may_replace_fn *may_replace, void *arg, awsflock_error *error);

/* Whether that is going to work for what OBJECT, the file's, is after a renewal; the file is left alone.  Errors as
 * those of sign_in_file_replace(). */
awsflock_code sign_in_file_try(const char *path, struct json_object *object, awsflock_error *error);

/* Makes the directory of PATH, which is in the home directory, with those above it; only where the home directory
 * is this user's.  What cannot be made shows when the file is written. */
void sign_in_file_make_directory(const char *path);

#endif
