/* The public functions for administrators: to make the table, name it, and evict a holder.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include "base/error.h"
#include "base/text_check.h"
#include "lib/context.h"
#include "lib/store_opening.h"
#include "lock/lease.h"

awsflock_code awsflock_store_name(awsflock *context, const char **name, awsflock_error *error)
{
	awsflock_code code = store_open(context, error);

	if (code == AWSFLOCK_OK)
		*name = context->store->name;
	return code;
}

awsflock_code awsflock_create_table(awsflock *context, const awsflock_table_options *options, awsflock_error *error)
{
	static const awsflock_table_options defaults = AWSFLOCK_TABLE_OPTIONS_INIT;
	awsflock_code code;

	if (options && options->size < sizeof(awsflock_table_options))
		return error_set(error, AWSFLOCK_INVALID,
				 "the options were not initialised with AWSFLOCK_TABLE_OPTIONS_INIT");
	code = store_open(context, error);
	if (code != AWSFLOCK_OK)
		return code;
	return context->store->ops->create(context->store, options ? options : &defaults, error);
}

awsflock_code awsflock_break(awsflock *context, const char *lock, const char *lease_id, const char *by, bool now,
			     awsflock_error *error)
{
	awsflock_code code;

	error_clear(error);
	code = text_check_lock_name(lock, error);
	if (code == AWSFLOCK_OK)
		code = text_check_free("the lease id", lease_id, error);
	if (code == AWSFLOCK_OK)
		code = text_check_free("the name of who breaks the lock", by, error);
	if (code == AWSFLOCK_OK)
		code = store_open(context, error);
	if (code == AWSFLOCK_OK)
		code = lease_break(context->store, lock, lease_id, by, now, error);
	return code;
}
