/* SPDX-License-Identifier: Apache-2.0
 *
 * What the renewer takes from itself, for good: it talks to a network, and what comes from there may one day make it
 * do what it was not written for. */
#ifndef KEEPER_CONFINEMENT_H
#define KEEPER_CONFINEMENT_H

#include <stdbool.h>

/* Refuses (EPERM) the system calls that reach other processes, the kernel or its keys, and, unless MAY_START_PROGRAMS,
 * those that start a program, or slow down another process, signal it, or have the kernel do so.  A program for another
 * kind of machine (of 32 bits on one of 64) is killed: its calls have other numbers.  What is not named is permitted:
 * libraries for names and TLS differ too much from one machine to the next.  True also where the kernel has no filters.
 * Needs no_new_privs. */
bool confinement_filter_calls(bool may_start_programs);
/* Nothing can be started, and no file be made, changed or removed, but below WRITABLE_DIRECTORY (NULL: nowhere).  True
 * also where the kernel has no Landlock.  Needs no_new_privs. */
bool confinement_close_files(const char *writable_directory);

#endif
