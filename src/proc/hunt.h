/* Those who do not wait to be seen: one that starts the next and ends, over and over, is gone before a look at all
 * processes comes to it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_HUNT_H
#define PROC_HUNT_H

#include <stdbool.h>

#include "proc/selection.h"

/* Looks at every process that is started during the next moments, as soon as it is there, and sends SIGNAL (0: none)
 * to those of SELECTION and to MEMBERS of it.  Returns at once where nothing is started at all.  True where it saw
 * one. */
bool hunt_newest(const struct selection *selection, const struct process_list *members, int signal);

/* Is nobody left?  SEES_NOBODY looks at all of them, SEES_ONE hunts.  For certain where nothing was started during a look;
 * on a busy machine where several looks and hunts have met nobody. */
bool hunt_finds_nobody(bool (*sees_nobody)(void *arg), bool (*sees_one)(void *arg), void *arg);

#endif
