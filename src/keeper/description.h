/* Processes in a sentence.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_DESCRIPTION_H
#define KEEPER_DESCRIPTION_H

#include <stddef.h>

#include "proc/process.h"

#define DESCRIPTION_MAX 3 /* more than these are only counted */

/* "1234 (tmux), 1240 (vi) and 3 more", sanitised; "" where there is none.  PROCESSES has the first COUNT of ALL. */
void describe_processes(const struct process *processes, size_t count, size_t all, char *text, size_t size);

#endif
