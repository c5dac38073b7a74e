/* Preloaded before libfaketime, which shifts the absolute times of every timer as if each counted on
 * CLOCK_REALTIME. A machine whose wall clock is wrong does no such thing: timers on the other clocks go to the
 * kernel as they are. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* awsflock's are all on CLOCK_BOOTTIME. */
__attribute__((visibility("default"))) int timerfd_settime(int fd, int flags, const struct itimerspec *new_value,
							   struct itimerspec *old_value)
{
	return (int)syscall(SYS_timerfd_settime, fd, flags, new_value, old_value);
}

__attribute__((visibility("default"))) int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *request, struct timespec *remaining)
{
	return syscall(SYS_clock_nanosleep, clock, flags, request, remaining) == 0 ? 0 : errno;
}
