/* The security token service: a role's temporary keys.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_STS_H
#define AWS_CREDENTIALS_STS_H

#include "aws/credentials/credentials.h"

struct sts_role {
	const char *arn;
	const char *session_name;        /* NULL: one is made up */
	const char *external_id;         /* NULL: none */
	int64_t duration_seconds;        /* 0: the service's default */
	const char *serial, *token_code; /* of an MFA device; NULL: none */
};

/* AssumeRole, signed with SIGNER.  At the region's endpoint, or where AWS_ENDPOINT_URL_STS and its like say; tried
 * again where that may help.  AWSFLOCK_CREDENTIALS, _CONFIG, _CANCELLED, _MEMORY, _INTERNAL. */
awsflock_code sts_assume_role(const struct credentials_context *context, const struct sts_role *role,
			      const struct credentials *signer, struct credentials *out, awsflock_error *error);
/* AssumeRoleWithWebIdentity: TOKEN stands for a signature. */
awsflock_code sts_assume_role_with_web_identity(const struct credentials_context *context,
						const struct sts_role *role, const char *token,
						struct credentials *out, awsflock_error *error);

#endif
