/* The public functions that need no context: the version, the codes' names, durations.
 * SPDX-License-Identifier: Apache-2.0 */
#include "awsflock.h"

#include "base/duration.h"
#include "base/error.h"

#ifndef AWSFLOCK_VERSION
#define AWSFLOCK_VERSION "unknown"
#endif

const char *awsflock_version(void)
{
	return AWSFLOCK_VERSION;
}

const char *awsflock_code_name(awsflock_code code)
{
	switch (code) {
	case AWSFLOCK_OK:
		return "ok";
	case AWSFLOCK_HELD:
		return "held";
	case AWSFLOCK_LOST:
		return "lost";
	case AWSFLOCK_TIMED_OUT:
		return "timed-out";
	case AWSFLOCK_CANCELLED:
		return "cancelled";
	case AWSFLOCK_INVALID:
		return "invalid";
	case AWSFLOCK_CONFIG:
		return "config";
	case AWSFLOCK_CREDENTIALS:
		return "credentials";
	case AWSFLOCK_ACCESS:
		return "access";
	case AWSFLOCK_NO_TABLE:
		return "no-table";
	case AWSFLOCK_BAD_TABLE:
		return "bad-table";
	case AWSFLOCK_BAD_ITEM:
		return "bad-item";
	case AWSFLOCK_UNREACHABLE:
		return "unreachable";
	case AWSFLOCK_TLS:
		return "tls";
	case AWSFLOCK_THROTTLED:
		return "throttled";
	case AWSFLOCK_CLOCK_SKEW:
		return "clock-skew";
	case AWSFLOCK_PROTOCOL:
		return "protocol";
	case AWSFLOCK_STORAGE:
		return "storage";
	case AWSFLOCK_MEMORY:
		return "memory";
	case AWSFLOCK_INTERNAL:
		return "internal";
	}
	return "unknown";
}

awsflock_code awsflock_parse_duration(const char *text, int64_t *seconds, awsflock_error *error)
{
	error_clear(error);
	return duration_parse(text, seconds, error);
}
