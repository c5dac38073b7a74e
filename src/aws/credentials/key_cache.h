/* The AWS CLI's cache of keys that it was given for a role, in ~/.aws/cli/cache: shared with it, so that a person is
 * asked once between the two.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_KEY_CACHE_H
#define AWS_CREDENTIALS_KEY_CACHE_H

#include "aws/credentials/credentials.h"

/* The file of the keys that the CLI names by KEY, a JSON text; the caller frees it. */
awsflock_code key_cache_path(const struct credentials_context *context, const char *key, char **path,
			     awsflock_error *error);

/* Keys that are good for another 15 minutes, into OUT.  *FOUND false where there are none. */
awsflock_code key_cache_load(const struct credentials_context *context, const char *path, struct credentials *out,
			     bool *found, awsflock_error *error);
/* Writes KEYS, which have a token, as the CLI does, unless they cannot be keys.  ACCOUNT, PROVIDER and ARN may be NULL.  A cache that cannot be written is no failure:
 * it is logged. */
void key_cache_save(const struct credentials_context *context, const char *path, const struct credentials *keys,
		    const char *account, const char *provider, const char *arn);

#endif
