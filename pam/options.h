/* The arguments of a PAM line: guard=, conf=, break_glass_group=, debug, quiet.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PAM_OPTIONS_H
#define PAM_OPTIONS_H

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
