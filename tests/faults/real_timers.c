/* Preloaded before libfaketime, which shifts the absolute times of every timer and of every wait for a condition as if
 * each counted on CLOCK_REALTIME. A machine whose wall clock is wrong does no such thing: those on the other clocks go
 * to the kernel, or to the C library, as they are. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef int timed_wait_fn(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until);

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

/* awsflock's are all on CLOCK_MONOTONIC. */
__attribute__((visibility("default"))) int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
								  const struct timespec *until)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	timed_wait_fn *wait = libc ? (timed_wait_fn *)dlsym(libc, "pthread_cond_timedwait") : NULL;

	return wait ? wait(condition, mutex, until) : ENOSYS;
}
