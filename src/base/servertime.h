/* What is known of the store's time: an interval, never a point.
 *
 * The store's time is that of the server (DynamoDB, told in whole seconds by each reply's Date header), or, for the
 * local store, CLOCK_BOOTTIME itself.  offset = store time - CLOCK_BOOTTIME, so a step of the wall clock changes
 * nothing.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SERVERTIME_H
#define BASE_SERVERTIME_H

#include <stdbool.h>
#include <stdint.h>

struct server_time {
	bool known;              /* a reply has been seen */
	bool exact;              /* the store's clock is this machine's: nothing to estimate */
	int64_t low_ns, high_ns; /* bounds of the offset, as of the moment below */
	int64_t as_of_boot_ns;
};

/* How far two clocks may drift apart, in parts per million: what NTP's kernel discipline allows at the most. */
#define CLOCK_DRIFT_PPM 500

void server_time_init(struct server_time *time);
/* The store's time is CLOCK_BOOTTIME plus OFFSET_NS. */
void server_time_init_exact(struct server_time *time, int64_t offset_ns);

/* A reply to an attempt sent at SENT and received at RECEIVED said that it was DATE (epoch seconds, cut). */
void server_time_observe(struct server_time *time, int64_t date_seconds, int64_t sent_boot_ns,
			 int64_t received_boot_ns);

/* The earliest and the latest that the store's time can be at AT_BOOT_NS, in milliseconds.  Only while known. */
int64_t server_time_earliest_ms(const struct server_time *time, int64_t at_boot_ns);
int64_t server_time_latest_ms(const struct server_time *time, int64_t at_boot_ns);

/* The point of the interval nearest to REAL_NS (epoch, at the same moment): for values that are written, never for
 * a judgement.  Before the first reply that clock has to serve. */
int64_t server_time_guess_ms(const struct server_time *time, int64_t at_boot_ns, int64_t real_ns);

#endif
