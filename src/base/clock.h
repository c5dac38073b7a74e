/* SPDX-License-Identifier: Apache-2.0
 *
 * The one reader of the machine's clocks.  It needs libc alone, so that the PAM module can have it too; code that
 * tests must drive takes its time from a runtime (base/runtime.h) or from its own constructor instead. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)
#define MS_PER_S INT64_C(1000)

/* CLOCK_BOOTTIME: the same for every process of the machine, runs on while it sleeps, is never stepped. */
int64_t clock_boot_ns(void);
int64_t clock_boot_ms(void);
/* CLOCK_REALTIME as epoch nanoseconds: may be wrong by any amount, and may jump. */
int64_t clock_real_ns(void);
/* The same in whole epoch seconds, as leases show them to people. */
int64_t clock_real_seconds(void);
/* CLOCK_MONOTONIC: stands still while the machine sleeps, as poll()'s timeouts and condition variables do. */
int64_t clock_monotonic_ns(void);

struct timespec clock_timespec(int64_t ns);

/* Waits for NS, or until a signal.  Unlike poll() without descriptors it also does so where the kernel has no memory, so
 * that whoever tries again does not spin. */
void clock_pause_ns(int64_t ns);

#endif
