/* What all stores share.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/store.h"

void store_free(struct store **store)
{
	if (!store || !*store)
		return;
	(*store)->ops->free(*store); /* which frees name and where, too */
	*store = NULL;
}

void store_reply_clear(struct store_reply *reply)
{
	lock_item_clear(&reply->item);
	reply->has_item = false;
}

void store_foresee(struct store *store, int64_t seconds)
{
	if (store->ops->foresee)
		store->ops->foresee(store, seconds);
}
