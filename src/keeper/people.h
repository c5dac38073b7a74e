/* What the user database says of a person, asked in a process of its own, which is ended after a few seconds: the
 * directories behind it load libraries, and may hang.  False where it cannot be told.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_PEOPLE_H
#define KEEPER_PEOPLE_H

#include <stdbool.h>
#include <sys/types.h>

/* Is PERSON a member of one of the groups that LIST names (see guard_list_has())? */
bool people_in_groups(const char *person, const char *list);
/* Is UID that of PERSON?  It may be another name's as well. */
bool people_have_uid(const char *person, uid_t uid);

#endif
