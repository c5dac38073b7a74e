/* SPDX-License-Identifier: Apache-2.0
 *
 * See clock.h. */
#include "base/clock.h"

static int64_t read_clock(clockid_t clock)
{
	struct timespec now = { 0, 0 };

	/* It fails for a clock that the kernel does not know alone, and these are older than pidfds. */
	if (clock_gettime(clock, &now) != 0)
		return 0;
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_boot_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

int64_t clock_boot_ms(void)
{
	return clock_boot_ns() / NS_PER_MS;
}

int64_t clock_real_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_real_seconds(void)
{
	return clock_real_ns() / NS_PER_S;
}

int64_t clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

struct timespec clock_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };
}

void clock_pause_ns(int64_t ns)
{
	struct timespec pause = clock_timespec(ns);

	nanosleep(&pause, NULL);
}
