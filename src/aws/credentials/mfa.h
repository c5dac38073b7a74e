/* A role that is given to whoever shows the code of an MFA device.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_MFA_H
#define AWS_CREDENTIALS_MFA_H

#include "aws/credentials/credentials.h"
#include "aws/credentials/sts.h"

#define MFA_CODE_SIZE 64

/* The keys of ROLE, which has a serial, out of the cache that the AWS CLI has of them too.  *PATH is the cache's file;
 * the caller frees it. */
awsflock_code mfa_load_cached(const struct credentials_context *context, const struct sts_role *role, char **path,
			      struct credentials *out, bool *found, awsflock_error *error);
/* Whether the profile, or one that it has its keys from, is of such a role, and counts. */
bool mfa_is_needed(const struct credentials_context *context);
/* Asks the person for the code, in the first load of a client that needs one.  AWSFLOCK_CREDENTIALS where nobody can be asked, _CANCELLED. */
awsflock_code mfa_ask(const struct credentials_context *context, const struct sts_role *role,
		      char code[MFA_CODE_SIZE], awsflock_error *error);
/* Caches KEYS in PATH, and notes in them that they end unless a person acts. */
awsflock_code mfa_finish(const struct credentials_context *context, const char *path, bool cached,
			 struct credentials *keys, awsflock_error *error);

#endif
