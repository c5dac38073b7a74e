/* AWS's partitions, and the names under which each serves.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_PARTITION_H
#define AWS_PARTITION_H

#include <stdbool.h>

#include "awsflock.h"

enum aws_service {
	AWS_DYNAMODB,
	AWS_STS,
	AWS_SSO,      /* the portal of IAM Identity Center, which hands out a role's keys */
	AWS_SSO_OIDC, /* where its tokens are renewed */
	AWS_SIGNIN    /* of `aws login` */
};

/* "https://dynamodb.us-east-1.amazonaws.com" into *URL, which the caller frees.  AWSFLOCK_CONFIG where there is no
 * such endpoint; AWSFLOCK_MEMORY. */
awsflock_code partition_url(enum aws_service service, const char *region, bool fips, bool dual_stack, char **url,
			    awsflock_error *error);

#endif
