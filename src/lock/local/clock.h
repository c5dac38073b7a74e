/* The local store's time: CLOCK_BOOTTIME, and which boot it counts from.  SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCK_LOCAL_CLOCK_H
#define LOCK_LOCAL_CLOCK_H

#include <stdint.h>

#include "awsflock.h"

#define LOCAL_BOOT_ID_SIZE 64

/* What tells this boot of the machine from every other. */
awsflock_code local_clock_boot_id(char boot_id[LOCAL_BOOT_ID_SIZE], awsflock_error *error);

/* The machine's CLOCK_BOOTTIME minus what this process sees of it: a container may have a time namespace of its
 * own, and its processes have to agree with the others. */
awsflock_code local_clock_offset(int64_t *offset_ns, awsflock_error *error);

#endif
