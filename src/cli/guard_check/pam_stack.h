/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines that libpam runs for a service: its file with all that this one includes. */
#ifndef CLI_GUARD_CHECK_PAM_STACK_H
#define CLI_GUARD_CHECK_PAM_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "awsflock.h"

#define PAM_DIRECTORY "/etc/pam.d"

struct pam_line {
	char *file; /* where it stands: it may be an included one */
	int number;
	char *control;    /* "requisite", or "[success=ok ...]" */
	char *module;     /* as written: a name or a path */
	char **arguments; /* without brackets; ends in NULL */
	int argument_count;
	bool may_be_missing; /* "-session": a module that is not there is passed over */
	bool in_substack;
};

struct pam_stack {
	struct pam_line *lines;
	size_t count, capacity;
};

/* Has SERVICE a file of its own?  Else libpam reads that of "other". */
bool pam_has_file(const char *service);

/* The lines of KIND ("session") in their order.  AWSFLOCK_CONFIG where a file cannot be read or includes itself,
 * AWSFLOCK_MEMORY; what was read up to there is in *OUT, which pam_stack_free() takes in any case. */
awsflock_code pam_stack_read(const char *service, const char *kind, struct pam_stack *out, awsflock_error *error);
void pam_stack_free(struct pam_stack *stack);

/* Is the line one of MODULE ("pam_limits.so"), by whatever path? */
bool pam_line_is_of(const struct pam_line *line, const char *module);
/* Is it one of pam_awsflock.so? */
bool pam_line_is_ours(const struct pam_line *line);

#endif
