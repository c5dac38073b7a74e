/* The network half as the guardian sees it: started, told its settings, and given copies of files that only root
 * may read.  SPDX-License-Identifier: Apache-2.0 */
#ifndef GUARD_RENEWER_PROCESS_H
#define GUARD_RENEWER_PROCESS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "awsflock.h"
#include "guard/guard.h"

#define HANDED_FILES_MAX 3

/* A file whose contents the renewer reads from memory. */
struct handed_file {
	enum config_key key;
	char *path; /* NULL: the key is not set */
	int memory_fd;
	struct stat status; /* of what was copied last */
};

struct renewer_process {
	pid_t pid;       /* 0: none */
	int fd;          /* the guardian's end of the pair; -1: none */
	int progress_fd; /* the guardian's, see keeper/progress.h; the owner's; -1: none */
	bool is_debug;   /* it tells what it does, each request among it */
	struct handed_file files[HANDED_FILES_MAX];
};

/* The first call of all. */
void renewer_process_init(struct renewer_process *process);
/* Starts it and sends SETTING, for each key, and STORE. */
awsflock_code renewer_process_start(struct renewer_process *process, const struct guard *guard, const char *person,
				    awsflock_error *error);
/* Starts it again where it has ended, with the settings and files as they are now, and without STORE. */
awsflock_code renewer_process_restart(struct renewer_process *process, const struct guard *guard,
				      const char *person, awsflock_error *error);
/* Copies files anew that have changed since: credentials are exchanged while a session is open. */
void renewer_process_refresh(struct renewer_process *process);
/* The path of the file that the renewer knows as /proc/self/fd/NUMBER; NULL: none. */
const char *renewer_process_original(const struct renewer_process *process, int number);
/* Closes the pair, on which the renewer leaves; reaps it where it has ended. */
void renewer_process_close(struct renewer_process *process);

#endif
