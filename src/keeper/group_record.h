/* The control groups of a session, written down for whoever comes when its keepers have been killed.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file in /run/awsflock/groups, named after the session.  The guardian and its standby keep it locked (flock), and
 * so the kernel tells that both are gone; then sweep.c ends what is left. */
#ifndef KEEPER_GROUP_RECORD_H
#define KEEPER_GROUP_RECORD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define GROUP_RECORD_DIRECTORY "groups"
#define GROUP_RECORD_TEXT_SIZE (2 * PATH_MAX + 400)

struct group_record {
	int fd;           /* -1: none */
	int64_t until_ns; /* CLOCK_BOOTTIME: until then making it waits for a sweep */
	char session[64];
};

/* What is to become of a group that nobody guards. */
enum group_fate {
	GROUP_IS_ENDED,  /* with all that is in it */
	GROUP_IS_REMOVED /* once it is empty: the session is over, and what it left may run on */
};

struct recorded_group {
	const char *group; /* as /proc/PID/cgroup names it */
	/* cgroup_number(): names of scopes come again when logind is started anew.  0: the name is nobody else's. */
	uint64_t number;
};

/* By what a session that was called from a login (sudo, su) knows its own outside of its group, see strays.h. */
struct recorded_call {
	bool is_known;
	uid_t person;           /* who called */
	uint32_t audit_session; /* of the login; PROCESS_NO_AUDIT_SESSION: it has none */
	uint64_t began_ticks;   /* nothing of it is older */
};

/* Who is to be ended wherever they stand. */
struct recorded_people {
	uint32_t audit_session; /* all of a login's; PROCESS_NO_AUDIT_SESSION: none */
	uid_t person;           /* all that this user runs; (uid_t)-1: nobody */
	struct recorded_call call;
};

/* Making the file waits until UNTIL_NS for a sweep that has the directory to itself, and not at all after that. */
void group_record_init(struct group_record *record, const char *session, int64_t until_ns);
/* Writes down GROUPS, one, and a second while a session moves from there, and where they are to be ended PEOPLE.  Makes the
 * file where it is missing.  False where that is not possible: the session is then not found again. */
bool group_record_write(struct group_record *record, enum group_fate fate, const struct recorded_group *groups,
			size_t count, const struct recorded_people *people);
/* Has somebody taken the file away? */
bool group_record_is_missing(const struct group_record *record);
/* The session is over, and nothing of it left. */
void group_record_remove(struct group_record *record);
/* Lets go of the file, which stays. */
void group_record_close(struct group_record *record);

/* Reads a line of a record's; *REST is what follows it, and is cut into pieces.  False at the end. */
bool group_record_next(char **rest, enum group_fate *fate, struct recorded_group *recorded);
/* What TEXT, a record's, says of people.  Those of an earlier boot are gone, and their numbers are others' now. */
struct recorded_people group_record_people(const char *text);

#endif
