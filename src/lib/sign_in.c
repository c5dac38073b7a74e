/* Asking a person before anything else does.  SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"
#include "base/error.h"
#include "lib/context.h"
#include "lib/store_opening.h"

awsflock_code awsflock_sign_in(awsflock *context, awsflock_error *error)
{
	bool needs_code = false;
	awsflock_code code = store_needs_code(context, &needs_code, error);

	if (code != AWSFLOCK_OK || !needs_code)
		return code;
	code = store_open(context, error);
	if (code == AWSFLOCK_OK && context->store->ops->sign_in)
		code = context->store->ops->sign_in(context->store, error);
	return code;
}
