/* The public functions for administrators: to make the table, name it, and evict a holder.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include <stddef.h>

#include "base/error.h"
#include "base/sized_struct.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/store_opening.h"
#include "lock/lease.h"

/* What awsflock_table_options had in 1.0. */
#define TABLE_OPTIONS_FIRST_SIZE (offsetof(awsflock_table_options, progress_arg) + sizeof(void *))

awsflock_code awsflock_store_name(awsflock *context, const char **name, awsflock_error *error)
{
	awsflock_code code = store_open(context, error);

	if (code == AWSFLOCK_OK)
		*name = context->store->name;
	return code;
}

awsflock_code awsflock_create_table(awsflock *context, const awsflock_table_options *options, awsflock_error *error)
{
	awsflock_table_options own = AWSFLOCK_TABLE_OPTIONS_INIT;
	awsflock_code code = AWSFLOCK_OK;

	error_clear(error);
	if (options)
		code = sized_struct_copy(&own, sizeof(own), TABLE_OPTIONS_FIRST_SIZE, options,
					 "AWSFLOCK_TABLE_OPTIONS_INIT", error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	return code == AWSFLOCK_OK ? context->store->ops->create(context->store, &own, error) : code;
}

awsflock_code awsflock_break(awsflock *context, const char *lock, const char *lease_id, const char *by,
			     unsigned flags, awsflock_error *error)
{
	awsflock_code code;

	error_clear(error);
	if ((flags & ~AWSFLOCK_BREAK_NOW) != 0)
		return error_set(error, AWSFLOCK_INVALID, "awsflock_break() has no such flag: %#x", flags);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = text_check_free("the lease id", lease_id, error);
	if (code == AWSFLOCK_OK)
		code = text_check_person("the name of who breaks the lock", by, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code == AWSFLOCK_OK)
		code = lease_break(context->store, lock, lease_id, by, (flags & AWSFLOCK_BREAK_NOW) != 0, error);
	return code;
}
