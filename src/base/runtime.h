/* What the world gives to the code above: time, chance, a log, and the order to stop.  Everything that would make a
 * test slow or unrepeatable comes through here, given at construction.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RUNTIME_H
#define BASE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/clock.h"

struct runtime;

struct runtime_ops {
	/* CLOCK_BOOTTIME: runs while the machine sleeps, is never stepped. */
	int64_t (*boot_ns)(struct runtime *runtime);
	/* CLOCK_REALTIME as epoch nanoseconds: may be wrong by any amount, and may jump. */
	int64_t (*real_ns)(struct runtime *runtime);
	/* Returns once boot_ns() >= UNTIL_BOOT_NS (true) or once it was told to stop (false). */
	bool (*sleep_until)(struct runtime *runtime, int64_t until_boot_ns);
	/* SIZE bytes nobody can guess.  False where the system has none to give. */
	bool (*random_bytes)(struct runtime *runtime, void *bytes, size_t size);
};

struct runtime {
	const struct runtime_ops *ops;
	awsflock_log_fn *log;
	void *log_arg;
	awsflock_stop_fn *stop;
	void *stop_arg;
	int stop_fd;        /* -1: none */
	bool stop_ignored;  /* while giving back what an interrupted call took */
	int outside_socket; /* of base/outside.h, which starts programs for this process; 0: it starts them itself */
};

/* The machine's own clock and randomness. */
void runtime_init_system(struct runtime *runtime);

int64_t runtime_boot_ns(struct runtime *runtime);
int64_t runtime_real_ns(struct runtime *runtime);
bool runtime_sleep_until(struct runtime *runtime, int64_t until_boot_ns);
bool runtime_stop_requested(struct runtime *runtime);

/* A number in [LOW, HIGH], evenly. */
int64_t runtime_random_between(struct runtime *runtime, int64_t low, int64_t high);

/* A fresh UUIDv4 as text.  AWSFLOCK_INTERNAL where the system has no randomness to give. */
awsflock_code runtime_uuid(struct runtime *runtime, char uuid[AWSFLOCK_LEASE_ID_SIZE], awsflock_error *error);

/* One sanitised line to the log, if there is one. */
void runtime_log(struct runtime *runtime, awsflock_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
