/* One lock as a store holds it: copying and freeing.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/item.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void holder_clear(struct holder *holder)
{
	free(holder->user);
	free(holder->host);
	free(holder->tty);
	free(holder->service);
	free(holder->rhost);
	free(holder->purpose);
	*holder = (struct holder){ 0 };
}

void lock_item_clear(struct lock_item *item)
{
	free(item->lock_id);
	free(item->lease_id);
	free(item->owner);
	free(item->broken_by);
	holder_clear(&item->holder);
	*item = (struct lock_item){ 0 };
}

static bool copy_text(const char *text, char **out)
{
	*out = !text ? NULL : strdup(text);
	return !text || *out;
}

awsflock_code holder_copy(const struct holder *holder, struct holder *out, awsflock_error *error)
{
	*out = (struct holder){ .pid = holder->pid };
	if (copy_text(holder->user, &out->user) && copy_text(holder->host, &out->host) &&
	    copy_text(holder->tty, &out->tty) && copy_text(holder->service, &out->service) &&
	    copy_text(holder->rhost, &out->rhost) && copy_text(holder->purpose, &out->purpose))
		return AWSFLOCK_OK;
	holder_clear(out);
	return error_out_of_memory(error);
}

awsflock_code lock_item_copy(const struct lock_item *item, struct lock_item *out, awsflock_error *error)
{
	*out = *item;
	out->lock_id = out->lease_id = out->owner = out->broken_by = NULL;
	out->holder = (struct holder){ 0 };
	if (!copy_text(item->lock_id, &out->lock_id) || !copy_text(item->lease_id, &out->lease_id) ||
	    !copy_text(item->owner, &out->owner) || !copy_text(item->broken_by, &out->broken_by) ||
	    holder_copy(&item->holder, &out->holder, NULL) != AWSFLOCK_OK) {
		lock_item_clear(out);
		return error_out_of_memory(error);
	}
	return AWSFLOCK_OK;
}
