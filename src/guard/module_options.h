/* The arguments of the line of pam_awsflock.so in a PAM file, as the module reads them and guard-check judges them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef GUARD_MODULE_OPTIONS_H
#define GUARD_MODULE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Texts point into the arguments. */
struct module_options {
	const char *guard;
	const char *conf;              /* NULL: the system's file */
	const char *break_glass_group; /* NULL: none */
	bool debug;
	bool quiet;
};

/* False where an argument is unknown, stands twice, has no value, or guard= is missing; REASON (SIZE bytes) says
 * which. */
bool module_options_read(int argc, const char **argv, struct module_options *options, char *reason, size_t size);

#endif
