/* Any JSON as a lock's item of a table: it is refused, or can be judged and described.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/item.h"

#include <stdlib.h>
#include <string.h>

#include "lock/describe.h"
#include "lock/lease_time.h"

/* 2026-01-01 in a table's time. */
#define NOW_MS INT64_C(1767225600000)
/* More than this machine's clock goes on while one item is judged. */
#define SLACK_MS 60000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* When others may have the lock, as a sum that cannot overflow. */
static double end_ms(const struct lock_item *item)
{
	double grace_ms = (double)item->lease_duration; /* a thousandth of it, or 5 s */

	return (double)item->expires_store_ms + (grace_ms > 5000 ? grace_ms : 5000);
}

static void judge(const struct lock_item *item)
{
	struct runtime runtime;
	struct store store = { .runtime = &runtime, .where = "table" };
	awsflock_error error;
	bool over;

	runtime_init_system(&runtime);
	server_time_init_exact(&store.time, NOW_MS * NS_PER_MS - runtime_boot_ns(&runtime));
	over = lease_is_over(&store, item);
	if (item->released ? !over : over && end_ms(item) > NOW_MS + SLACK_MS)
		abort();
	if (!over && end_ms(item) < NOW_MS - SLACK_MS)
		abort();
	if (over && lease_over_boot_ns(&store, item) > runtime_boot_ns(&runtime))
		abort();
	describe_held(&store, item, &error);
	describe_lost(&store, "lock", item, &error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *object = NULL;
	struct lock_item item;
	awsflock_error error;

	if (tokener != NULL)
		object = json_tokener_parse_ex(tokener, (const char *)data, (int)size);
	if (json_object_is_type(object, json_type_object) &&
	    item_from_dynamodb("table", NULL, object, &item, &error) == AWSFLOCK_OK) {
		judge(&item);
		lock_item_clear(&item);
	}
	json_object_put(object);
	json_tokener_free(tokener);
	return 0;
}
