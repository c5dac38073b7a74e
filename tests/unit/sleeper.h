/* A program that only sleeps.  SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_SLEEPER_H
#define UNIT_SLEEPER_H

#include <sys/types.h>

/* Starts one with ENVIRONMENT, which ends in NULL, and returns once it is a program of its own.  It is killed with the
 * test, if not before. */
pid_t sleeper_start(char *const environment[]);

#endif
