/* Where keepers find each other, and what they left: /run/awsflock, root's alone.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_RUN_DIRECTORY_H
#define KEEPER_RUN_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>

#ifndef AWSFLOCK_RUN_DIR
#define AWSFLOCK_RUN_DIR "/run/awsflock"
#endif

/* The directory, made where it is missing; -1, with errno, where it is not root's alone.  The caller closes it. */
int run_directory_open(void);
/* NAME in it, likewise. */
int run_directory_open_below(const char *name);
/* Locks DIRECTORY until it is closed.  False, with errno, where somebody else holds it until UNTIL_NS (CLOCK_BOOTTIME);
 * it is tried once at least. */
bool run_directory_lock(int directory, int64_t until_ns);

#endif
