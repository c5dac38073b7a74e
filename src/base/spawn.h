/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting a program whose output is read: the one way in which a helper is started. */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <sys/types.h>

/* It gets /dev/null as standard input, OUTPUT_FD and COMPLAINT_FD (above the standard three) as the other two and no
 * more, a session of its own, no blocked and no ignored signals.  WORDS and ENVIRONMENT end in NULL.  Returns 0 and its
 * id in *PID, or an errno. */
int spawn_program(char *const *words, char *const *environment, int output_fd, int complaint_fd, pid_t *pid);

#endif
