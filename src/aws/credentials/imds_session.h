/* The instance metadata service of EC2, version 2 alone: version 1 gives keys to whatever can make this machine
 * send a request.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_IMDS_SESSION_H
#define AWS_CREDENTIALS_IMDS_SESSION_H

#include "aws/credentials/credentials.h"

struct imds {
	const struct credentials_context *context;
	char *base;  /* the URL, without a trailing slash */
	char *token; /* of the session; a secret */
	int64_t timeout_ms;
	int64_t tries;
};

/* Opens a session.  *OPENED false, and the reason in WHY_NOT, where there is no such service: switched off, no
 * answer, version 1 only.  AWSFLOCK_CONFIG where its settings cannot be, _CANCELLED, _MEMORY. */
awsflock_code imds_open(const struct credentials_context *context, struct imds *imds, bool *opened,
			struct buf *why_not, awsflock_error *error);
/* The document at PATH ("latest/meta-data/...").  *FOUND false, and the reason in WHY_NOT, where there is none; its
 * reply is the caller's either way, who frees its body. */
awsflock_code imds_get(const struct imds *imds, const char *path, struct http_reply *reply, bool *found,
		       struct buf *why_not, awsflock_error *error);
void imds_close(struct imds *imds);

/* The region that the instance is in; *REGION stays NULL where none is to be had.  The caller frees it. */
awsflock_code imds_region(const struct credentials_context *context, char **region, struct buf *why_not,
			  awsflock_error *error);

#endif
