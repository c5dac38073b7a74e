/* See lease_end.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/lease_end.h"

/* A clock that is wrong by more is passed over.  By less it cannot be told from the store's, whose time is known to a
 * second or two, and what was written stays the same from one look to the next. */
#define CLOCK_SLACK_S INT64_C(5)

int64_t lease_end_time(const awsflock_status *status, int64_t now)
{
	/* 0.2.0, which knows no fence, uses all of a lease. */
	int64_t written = status->expiration_time - (status->fence != 0 ? LEASE_END_SPARE_S : 0);
	int64_t counted = now + status->remaining_seconds;

	if (written > counted + CLOCK_SLACK_S || written < counted - CLOCK_SLACK_S)
		return counted;
	return written > now + status->lease_duration ? now + status->lease_duration : written;
}
