/* The XML that STS answers with: as much of XML as that takes, and no more.  SPDX-License-Identifier: Apache-2.0 */
#ifndef AWS_CREDENTIALS_STS_REPLY_H
#define AWS_CREDENTIALS_STS_REPLY_H

#include <stdbool.h>

#include "base/buf.h"

struct sts_reply {
	/* Of .../Credentials; empty where missing. */
	struct buf access_key_id, secret_access_key, session_token, expiration;
	struct buf arn; /* of .../AssumedRoleUser */
	/* Of ErrorResponse/Error. */
	struct buf error_code, error_message;
};

/* False where TEXT is no well-formed XML of elements, attributes, text and character references: what else XML has
 * (a document type, comments, CDATA, instructions) STS does not send.  sts_reply_clear() either way. */
bool sts_reply_parse(const struct buf *text, struct sts_reply *out);
void sts_reply_clear(struct sts_reply *reply); /* wipes */

#endif
