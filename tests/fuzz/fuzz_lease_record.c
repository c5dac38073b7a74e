/* Any bytes as a lease file: what can be read can be written, and is written alike once more when it is read again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "hold/lease_record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct buf *text)
{
	static struct lease_record again;
	struct buf second = BUF_INIT;

	if (!lease_record_decode(text->data, text->size, &again) || !lease_record_encode(&again, &second) ||
	    second.size != text->size || memcmp(second.data, text->data, text->size) != 0)
		abort();
	buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lease_record record;
	struct buf text = BUF_INIT;

	if (lease_record_decode((const char *)data, size, &record) && lease_record_encode(&record, &text))
		check_written(&text);
	buf_free(&text);
	return 0;
}
