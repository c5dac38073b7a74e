/* DPoP (RFC 9449): a proof that whoever shows a token has the key that it was given to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_DPOP_H
#define AWS_CREDENTIALS_DPOP_H

#include <stdint.h>

#include "awsflock.h"
#include "base/buf.h"

struct dpop_claims {
	const char *method, *url;
	int64_t time_seconds; /* epoch seconds */
	const char *id;       /* fresh for each proof */
};

/* Appends the value of the header DPoP, signed with KEY: the PEM text of a P-256 key, SEC1 or PKCS#8, without a pass
 * phrase.  AWSFLOCK_CREDENTIALS where it is another; AWSFLOCK_MEMORY, _INTERNAL. */
awsflock_code dpop_append_proof(const char *key, const struct dpop_claims *claims, struct buf *out,
				awsflock_error *error);

#endif
