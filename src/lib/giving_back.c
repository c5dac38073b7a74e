/* SPDX-License-Identifier: Apache-2.0
 *
 * See giving_back.h. */
#include "lib/giving_back.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "lib/context.h"
#include "lib/store_opening.h"

struct owed_lock {
	struct owed_lock *next;
	char *lock;
	struct owed owed;
	pid_t process; /* whose connections those of the context are */
};

static void drop_first(struct owed_lock **list)
{
	struct owed_lock *first = *list;

	*list = first->next;
	free(first->lock);
	free(first);
}

awsflock_code giving_back_prepare(awsflock *context, const char *lock, struct owed **out, awsflock_error *error)
{
	struct owed_lock *place = calloc(1, sizeof(*place));

	if (place)
		place->lock = strdup(lock);
	if (!place || !place->lock) {
		free(place);
		return error_out_of_memory(error);
	}
	place->process = getpid();
	place->next = context->owed;
	context->owed = place;
	*out = &place->owed;
	return AWSFLOCK_OK;
}

void giving_back_keep(awsflock *context)
{
	if (context->owed->owed.ids.count == 0)
		drop_first(&context->owed);
}

void giving_back_forget(awsflock *context)
{
	while (context->owed)
		drop_first(&context->owed);
}

int64_t awsflock_owed_until_boot_ns(const awsflock *context)
{
	int64_t until_ns = 0;

	for (const struct owed_lock *owed = context->owed; owed; owed = owed->next) {
		if (owed->owed.until_boot_ns > until_ns)
			until_ns = owed->owed.until_boot_ns;
	}
	return until_ns;
}

/* After a fork the connections are the other process's, and left to it; so is the socket of base/outside.h. */
static void start_anew(awsflock *context)
{
	context->store = NULL;
	context->runtime.outside_socket = 0;
}

awsflock_code awsflock_give_back(awsflock *context, awsflock_error *error)
{
	awsflock_code code = AWSFLOCK_OK;

	error_clear(error);
	if (context->owed && context->owed->process != getpid())
		start_anew(context);
	if (context->owed)
		code = store_open(context, error);
	while (code == AWSFLOCK_OK && context->owed) {
		context->owed->process = getpid();
		code = owed_give_back(&context->owed->owed, context->store, context->owed->lock, error);
		if (code == AWSFLOCK_OK)
			drop_first(&context->owed);
	}
	return code;
}
