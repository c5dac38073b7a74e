/* See sized_struct.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/sized_struct.h"

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

/* A larger one is what the stack happened to hold. */
#define SIZE_MOST 4096

static bool is_zero(const unsigned char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

awsflock_code sized_struct_copy(void *own, size_t own_size, size_t first_size, const void *given,
				const char *initialiser, awsflock_error *error)
{
	size_t size;

	memcpy(&size, given, sizeof(size));
	if (size < first_size || size > SIZE_MOST)
		return error_set(error, AWSFLOCK_INVALID, "the options were not initialised with %s", initialiser);
	if (size > own_size && !is_zero((const unsigned char *)given + own_size, size - own_size))
		return error_set(error, AWSFLOCK_INVALID,
				 "the options set a field that this version of libawsflock does not know");
	memset(own, 0, own_size);
	memcpy(own, given, size < own_size ? size : own_size);
	memcpy(own, &own_size, sizeof(own_size));
	return AWSFLOCK_OK;
}
