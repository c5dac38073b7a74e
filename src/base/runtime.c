/* The machine's own clock and randomness, and what every kind of runtime shares.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/runtime.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

/* How often a stop callback is asked while nothing else happens. */
#define STOP_SLICE_MS 200

static int64_t system_boot_ns(struct runtime *runtime)
{
	(void)runtime;
	return clock_boot_ns();
}

static int64_t system_real_ns(struct runtime *runtime)
{
	(void)runtime;
	return clock_real_ns();
}

/* A descriptor that becomes readable at UNTIL_BOOT_NS, or -1.  poll()'s own timeout runs on CLOCK_MONOTONIC, which
 * stands still while the machine is suspended. */
static int alarm_open(int64_t until_boot_ns)
{
	struct itimerspec alarm = { .it_value = clock_timespec(until_boot_ns) };
	int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0 && timerfd_settime(fd, TFD_TIMER_ABSTIME, &alarm, NULL) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Sleeps until something is to be looked at: at most to the alarm, the stop descriptor, or a slice's end. */
static void nap(int stop_fd, int alarm_fd, int64_t left_ns, bool in_slices)
{
	struct pollfd fds[2] = { { .fd = stop_fd, .events = POLLIN }, { .fd = alarm_fd, .events = POLLIN } };
	int timeout_ms = -1;
	if (in_slices) {
		int64_t left_ms = left_ns / NS_PER_MS + 1;
		timeout_ms = left_ms < STOP_SLICE_MS ? (int)left_ms : STOP_SLICE_MS;
	}
	poll(fds, 2, timeout_ms);
}

/* Nobody can stop this sleep but a signal's handler, after which the caller looks again. */
static void sleep_undisturbed(int64_t until_boot_ns, int64_t left_ns)
{
	struct timespec until = clock_timespec(until_boot_ns);
	int result = clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL);
	if (result != 0 && result != EINTR)
		nap(-1, -1, left_ns, true); /* a kernel or sandbox without that clock to sleep on */
}

static bool system_sleep_until(struct runtime *runtime, int64_t until_boot_ns)
{
	bool asks = runtime->stop && !runtime->stop_ignored;
	int stop_fd = runtime->stop_ignored ? -1 : runtime->stop_fd;
	int alarm_fd = -1;
	if (stop_fd >= 0)
		alarm_fd = alarm_open(until_boot_ns);
	bool come = false;
	while (!runtime_stop_requested(runtime)) {
		int64_t left_ns = until_boot_ns - system_boot_ns(runtime);
		come = left_ns <= 0;
		if (come)
			break;
		if (stop_fd < 0 && !asks)
			sleep_undisturbed(until_boot_ns, left_ns);
		else
			nap(stop_fd, alarm_fd, left_ns, asks || alarm_fd < 0);
	}
	if (alarm_fd >= 0)
		close(alarm_fd);
	return come;
}

static bool system_random_bytes(struct runtime *runtime, void *bytes, size_t size)
{
	(void)runtime;
	unsigned char *next = bytes;
	while (size > 0) {
		ssize_t got = getrandom(next, size, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		next += got;
		size -= (size_t)got;
	}
	return true;
}

static const struct runtime_ops system_ops = {
	.boot_ns = system_boot_ns,
	.real_ns = system_real_ns,
	.sleep_until = system_sleep_until,
	.random_bytes = system_random_bytes,
};

void runtime_init_system(struct runtime *runtime)
{
	*runtime = (struct runtime){ .ops = &system_ops, .stop_fd = -1 };
}

int64_t runtime_boot_ns(struct runtime *runtime)
{
	return runtime->ops->boot_ns(runtime);
}

int64_t runtime_real_ns(struct runtime *runtime)
{
	return runtime->ops->real_ns(runtime);
}

bool runtime_sleep_until(struct runtime *runtime, int64_t until_boot_ns)
{
	return runtime->ops->sleep_until(runtime, until_boot_ns);
}

bool runtime_stop_requested(struct runtime *runtime)
{
	if (runtime->stop_ignored)
		return false;
	if (runtime->stop && runtime->stop(runtime->stop_arg))
		return true;
	if (runtime->stop_fd < 0)
		return false;
	/* A closed far end or a closed descriptor counts too: waiting on one would be for ever, or a busy loop. */
	struct pollfd fd = { .fd = runtime->stop_fd, .events = POLLIN };
	return poll(&fd, 1, 0) > 0;
}

int64_t runtime_random_between(struct runtime *runtime, int64_t low, int64_t high)
{
	if (high <= low)
		return low;
	uint64_t count = (uint64_t)high - (uint64_t)low + 1; /* 0: all of 2^64 */
	if (count == 0)
		count = UINT64_MAX;
	/* The numbers above the last whole multiple of COUNT would favour the low results.  Each draw is below it
	 * with a chance of at least one half. */
	uint64_t fair_most = UINT64_MAX - (UINT64_MAX % count + 1) % count;
	uint64_t drawn = 0;
	for (int draw = 0; draw < 64; draw++) {
		if (!runtime->ops->random_bytes(runtime, &drawn, sizeof(drawn)))
			return (int64_t)((uint64_t)low + count / 2);
		if (drawn <= fair_most)
			break;
	}
	return (int64_t)((uint64_t)low + drawn % count);
}

awsflock_code runtime_uuid(struct runtime *runtime, char uuid[AWSFLOCK_LEASE_ID_SIZE], awsflock_error *error)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char bytes[16];
	if (!runtime->ops->random_bytes(runtime, bytes, sizeof(bytes)))
		return error_set(error, AWSFLOCK_INTERNAL,
				 "the system has no random numbers to give (getrandom failed)");
	bytes[6] = (unsigned char)((bytes[6] & 0x0F) | 0x40); /* version 4, RFC 9562 */
	bytes[8] = (unsigned char)((bytes[8] & 0x3F) | 0x80); /* its variant */
	char *next = uuid;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*next++ = '-';
		*next++ = digits[bytes[i] >> 4];
		*next++ = digits[bytes[i] & 0x0F];
	}
	*next = '\0';
	return AWSFLOCK_OK;
}

void runtime_log(struct runtime *runtime, awsflock_log_level level, const char *format, ...)
{
	if (!runtime->log)
		return;
	char message[2 * AWSFLOCK_ERROR_MESSAGE_SIZE], line[sizeof(message)];
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	text_sanitise(message, line, sizeof(line));
	runtime->log(runtime->log_arg, level, line);
}
