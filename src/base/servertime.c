/* What is known of the store's time: an interval of its offset to CLOCK_BOOTTIME.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/servertime.h"

#include <string.h>

#include "base/runtime.h"

/* The year 2255: beyond it nanoseconds do not fit, and no server's Date is meant so. */
#define DATE_MAX INT64_C(9000000000)

void server_time_init(struct server_time *time)
{
	memset(time, 0, sizeof(*time));
}

void server_time_init_exact(struct server_time *time, int64_t offset_ns)
{
	*time = (struct server_time){ .known = true, .exact = true, .low_ns = offset_ns, .high_ns = offset_ns };
}

static int64_t add_saturating(int64_t a, int64_t b)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return b < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

/* By how much the bounds have widened at AT_BOOT_NS; the drift works backwards too. */
static int64_t widening_ns(const struct server_time *time, int64_t at_boot_ns)
{
	if (time->exact)
		return 0;
	int64_t age_ns;
	if (__builtin_sub_overflow(at_boot_ns, time->as_of_boot_ns, &age_ns) || age_ns == INT64_MIN)
		return INT64_MAX / 2;
	if (age_ns < 0)
		age_ns = -age_ns;
	const int64_t one_in = 1000000 / CLOCK_DRIFT_PPM;
	return age_ns / one_in + (age_ns % one_in != 0);
}

static void widen_to(struct server_time *time, int64_t at_boot_ns)
{
	int64_t widening = widening_ns(time, at_boot_ns);
	time->low_ns = add_saturating(time->low_ns, -widening);
	time->high_ns = add_saturating(time->high_ns, widening);
	time->as_of_boot_ns = at_boot_ns;
}

void server_time_observe(struct server_time *time, int64_t date_seconds, int64_t sent_boot_ns,
			 int64_t received_boot_ns)
{
	if (time->exact)
		return;
	if (date_seconds < 0)
		date_seconds = 0;
	if (date_seconds > DATE_MAX)
		date_seconds = DATE_MAX;
	int64_t date_ns = date_seconds * NS_PER_S;
	struct server_time seen = {
		.known = true,
		.low_ns = add_saturating(date_ns, -received_boot_ns),
		/* The header is cut to the second. */
		.high_ns = add_saturating(date_ns + NS_PER_S, -sent_boot_ns),
		.as_of_boot_ns = received_boot_ns,
	};
	if (!time->known) {
		*time = seen;
		return;
	}
	if (time->as_of_boot_ns > seen.as_of_boot_ns)
		widen_to(&seen, time->as_of_boot_ns);
	else
		widen_to(time, seen.as_of_boot_ns);
	int64_t inner_low = time->low_ns > seen.low_ns ? time->low_ns : seen.low_ns;
	int64_t inner_high = time->high_ns < seen.high_ns ? time->high_ns : seen.high_ns;
	int64_t outer_low = time->low_ns < seen.low_ns ? time->low_ns : seen.low_ns;
	int64_t outer_high = time->high_ns > seen.high_ns ? time->high_ns : seen.high_ns;
	/* One of two that contradict each other is wrong, and nobody knows which. */
	bool agree = inner_low <= inner_high;
	time->low_ns = agree ? inner_low : outer_low;
	time->high_ns = agree ? inner_high : outer_high;
}

static int64_t floor_ms(int64_t ns)
{
	return ns / NS_PER_MS - (ns % NS_PER_MS < 0);
}

static int64_t ceiling_ms(int64_t ns)
{
	return ns / NS_PER_MS + (ns % NS_PER_MS > 0);
}

int64_t server_time_earliest_ms(const struct server_time *time, int64_t at_boot_ns)
{
	if (!time->known)
		return INT64_MIN;
	int64_t offset_ns = add_saturating(time->low_ns, -widening_ns(time, at_boot_ns));
	return floor_ms(add_saturating(at_boot_ns, offset_ns));
}

int64_t server_time_latest_ms(const struct server_time *time, int64_t at_boot_ns)
{
	if (!time->known)
		return INT64_MAX;
	int64_t offset_ns = add_saturating(time->high_ns, widening_ns(time, at_boot_ns));
	return ceiling_ms(add_saturating(at_boot_ns, offset_ns));
}

int64_t server_time_guess_ms(const struct server_time *time, int64_t at_boot_ns, int64_t real_ns)
{
	int64_t real_ms = floor_ms(real_ns);
	if (!time->known)
		return real_ms;
	int64_t earliest_ms = server_time_earliest_ms(time, at_boot_ns);
	int64_t latest_ms = server_time_latest_ms(time, at_boot_ns);
	if (time->exact || real_ms < earliest_ms)
		return earliest_ms;
	return real_ms > latest_ms ? latest_ms : real_ms;
}
