/* SPDX-License-Identifier: Apache-2.0
 *
 * A [guard NAME] section of awsflock.conf, with the [awsflock] section beside it. */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "awsflock.h"
#include "base/config.h"

/* The system user that is made for the renewer, and the default. */
#define GUARD_USER "awsflock"

/* What a normal close does while processes of the session still run. */
enum leftovers {
	LEFTOVERS_HOLD,   /* keep the lock until they end */
	LEFTOVERS_END,    /* end them, then release */
	LEFTOVERS_RELEASE /* release at once */
};

/* Every text is owned; optional ones are "". */
struct guard {
	char *name;
	char *lock; /* expanded: a valid name */
	int64_t lease_s, wait_ms, grace_ms, end_ms;
	bool fail_safe;     /* fail = safe */
	bool only_warns;    /* on_lost = warn */
	bool is_for_person; /* share = person */
	bool require_cgroup;
	bool ends_person; /* ends = user: all that the person runs */
	enum leftovers leftovers;
	char *leftovers_end;    /* names of programs that are ended where nothing else is left to hold for */
	char *user;             /* whom the renewer becomes */
	bool user_is_makeshift; /* none is named, and GUARD_USER is not there */
	char *exempt_users, *exempt_groups, *break_glass_group, *purpose;
	struct config config;
};

/* Who asks: what the lock's name may be made of. */
struct guard_request {
	const char *name;
	const char *path; /* NULL: the system's file */
	const char *person;
	const char *service;
};

/* Reads the guard.  AWSFLOCK_CONFIG, with file and line where there is one, for a file that others can write, a
 * broken [awsflock] section, a broken or missing section of this guard; other guards may be broken.  Set on
 * AWSFLOCK_OK alone, and then to be freed. */
awsflock_code guard_load(const struct guard_request *request, struct guard *guard, awsflock_error *error);
void guard_free(struct guard *guard);

/* From the line on the terminals to the last process's end, in milliseconds. */
int64_t guard_stop_ms(const struct guard *guard);

/* The next name of *LIST, which commas or spaces separate; one that has them itself stands in quotation marks.  *NAME
 * has *SIZE bytes of the list's own.  False at the end. */
bool guard_list_next(const char **list, const char **name, size_t *size);
/* Is NAME one of them? */
bool guard_list_has(const char *list, const char *name);

#endif
