/* SPDX-License-Identifier: Apache-2.0
 *
 * When a lease ends, as people are told it. */
#ifndef BASE_LEASE_END_H
#define BASE_LEASE_END_H

#include <stdint.h>

#include "awsflock.h"

/* What awsflock writes as a lease's expiration is two seconds, and what is missing to a whole one, behind the time
 * that its holder may use. */
#define LEASE_END_SPARE_S INT64_C(3)

/* The last second that the holder may use, by this machine's clock, which shows NOW (both epoch seconds).  What is left
 * is its difference to NOW: the moment and the time left never say two things, even where the clock is wrong. */
int64_t lease_end_time(const awsflock_status *status, int64_t now);

#endif
