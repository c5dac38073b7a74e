/* Whether a person is in a group.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_PEOPLE_H
#define KEEPER_PEOPLE_H

#include <stdbool.h>

/* Is PERSON a member of one of the groups that LIST names (see guard_list_has())?  Asked in a process of its own,
 * which is ended after a few seconds: the directories behind the user database load libraries, and may hang.
 * False where that cannot be told. */
bool people_in_groups(const char *person, const char *list);

#endif
