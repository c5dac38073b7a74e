/* The arguments of the line of pam_awsflock.so in a PAM file, as the module reads them and guard-check judges them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_MODULE_OPTIONS_H
#define KEEPER_MODULE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Texts point into the arguments. */
struct options {
	const char *guard;
	const char *conf;              /* NULL: the system's file */
	const char *break_glass_group; /* NULL: none */
	bool debug;
	bool quiet;
};

/* False where an argument is unknown, stands twice, has no value, or guard= is missing; REASON (SIZE bytes) says
 * which. */
bool options_read(int argc, const char **argv, struct options *options, char *reason, size_t size);

#endif
