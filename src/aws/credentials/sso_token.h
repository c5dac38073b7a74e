/* The token of IAM Identity Center, as `aws sso login` leaves it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SSO_TOKEN_H
#define AWS_CREDENTIALS_SSO_TOKEN_H

#include "aws/credentials/credentials.h"

/* What the profile says, owned by it. */
struct sso_settings {
	const char *account_id, *role_name, *start_url, *region;
	const char *session; /* NULL: a profile of the old kind, whose token cannot be renewed */
};

struct sso_token {
	char *text;           /* of secret_copy() */
	int64_t expires_time; /* epoch seconds */
	int64_t ends_time;    /* until when it can be had without a person; not before expires_time */
};

/* A token that is good, renewed where it ends within 15 minutes and can be.  With RENEW also where it seems good.
 * AWSFLOCK_CREDENTIALS: there is none, and the sentence says what to type. */
awsflock_code sso_token_find(const struct credentials_context *context, const struct sso_settings *settings,
			     bool renew, struct sso_token *out, awsflock_error *error);
/* The same without asking anybody: *OUT is empty where there is no good one. */
awsflock_code sso_token_look(const struct credentials_context *context, const struct sso_settings *settings,
			     struct sso_token *out, awsflock_error *error);
void sso_token_clear(struct sso_token *token); /* wipes */

/* The sentence that ends in the command to type.  AWSFLOCK_CREDENTIALS. */
awsflock_code sso_token_refuse(const struct credentials_context *context, const char *why, awsflock_error *error);

#endif
