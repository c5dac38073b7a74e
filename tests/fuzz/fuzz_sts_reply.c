/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the XML that STS answers with. */
#include "aws/credentials/sts_reply.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT;
	struct sts_reply reply;

	buf_append(&text, data, size);
	(void)sts_reply_parse(&text, &reply);
	sts_reply_clear(&reply);
	buf_free(&text);
	return 0;
}
