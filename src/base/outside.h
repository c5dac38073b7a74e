/* SPDX-License-Identifier: Apache-2.0
 *
 * A process that is no descendant of this one, and starts programs for it.  An agent that such a program leaves running
 * is no descendant either: whoever waits for all that descends from it, or ends it, is not to take it for its own. */
#ifndef BASE_OUTSIDE_H
#define BASE_OUTSIDE_H

/* Starts that process, which ends with the last copy of the socket that is returned (close-on-exec; the caller's).  It
 * holds no other descriptor of this one, and its memory as it is now.  -1 with errno. */
int outside_start(void);

/* Has it run a program as spawn_program() does.  Returns 0 and a descriptor in *RUNNING, which becomes readable with the
 * program's end and is the caller's; or an errno: ECONNRESET or EPIPE where the process is gone. */
int outside_run(int socket, char *const *words, char *const *environment, int output_fd, int complaint_fd,
		int *running);

/* As waitpid() with WNOHANG: above 0 with *STATUS, 0: it runs, below 0: nobody knows how it ended. */
int outside_wait(int running, int *status);

/* Kills the program with its process group, and returns when that is done. */
void outside_kill(int running);

#endif
