/* Any bytes as a local lock's file: what can be read can be written, and is the same when it is read again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/record.h"

#include <stdlib.h>
#include <string.h>

#define BOOT_ID "6f1e2a3c-0000-4000-8000-000000000001"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const char *one, const char *other)
{
	return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

static void check_same(const struct local_record *one, const struct local_record *other)
{
	if (!same_text(one->item.lock_id, other->item.lock_id) ||
	    !same_text(one->item.lease_id, other->item.lease_id) ||
	    !same_text(one->item.owner, other->item.owner) ||
	    !same_text(one->item.holder.purpose, other->item.holder.purpose) ||
	    one->item.fence != other->item.fence || one->item.released != other->item.released ||
	    one->item.expires_store_ms != other->item.expires_store_ms ||
	    one->item.lease_duration != other->item.lease_duration)
		abort();
}

static void write_and_read(const struct local_record *record)
{
	struct buf text = BUF_INIT;
	struct local_record again;
	awsflock_error error;
	bool present = false;

	if (local_record_encode(record, BOOT_ID, &text, &error) == AWSFLOCK_OK) {
		if (text.size % LOCAL_BLOCK_SIZE != 0)
			abort();
		if (local_record_decode("file", text.data, text.size, record->item.lock_id, BOOT_ID, &again,
					&present, &error) != AWSFLOCK_OK ||
		    !present)
			abort();
		check_same(record, &again);
		local_record_clear(&again);
	}
	buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct local_record record;
	awsflock_error error;
	bool present = false;

	if (local_record_decode("file", (const char *)data, size, NULL, BOOT_ID, &record, &present, &error) !=
	    AWSFLOCK_OK)
		return 0;
	if (present)
		write_and_read(&record);
	local_record_clear(&record);
	return 0;
}
