/* Asking for the renewal of a sign-in.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_SIGN_IN_RENEWAL_H
#define AWS_CREDENTIALS_SIGN_IN_RENEWAL_H

#include <json-c/json.h>

#include "aws/credentials/credentials.h"
#include "aws/credentials/sign_in.h"
#include "aws/credentials/sign_in_service.h"

struct sign_in_renewal {
	struct sign_in_place place;
	bool needed;                    /* what there is does not serve any more */
	struct sign_in_request request; /* but for its body */
	struct json_object *body;       /* given back, and wiped; NULL: there was no memory for it */
	/* Whether the answer, which may be a refusal, has renewed the sign-in; where it has not, why is in WHY. */
	bool (*use_answer)(void *arg, const struct sign_in_reply *reply);
	void *arg;
	bool asked; /* out: the service was */
	char *why;
	size_t why_size;
};

/* One process at a time: what somebody else has renewed meanwhile is taken over.  *RENEWED false, and the reason in WHY,
 * where the service did not renew or did not answer, or where the new sign-in could not be written down and the old one
 * still serves: it is not asked then, since its answer uses the old one up.  Else AWSFLOCK_CANCELLED or
 * AWSFLOCK_MEMORY. */
awsflock_code sign_in_renew(const struct credentials_context *context, struct sign_in_renewal *renewal,
			    bool *renewed, awsflock_error *error);

#endif
