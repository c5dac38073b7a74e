/* SPDX-License-Identifier: Apache-2.0
 *
 * Which processes were started with the session's mark in their environment.
 *
 * Any user can make the environment of a process one that is never read to its end: the reader sleeps until that
 * process lets it go.  So another process reads, the reader, which is left behind when it gets stuck; and each
 * environment is read once, since it changes with an exec() alone. */
#ifndef KEEPER_MARKS_H
#define KEEPER_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proc/process.h"

#define MARK_SIZE 64
/* The reader is stuck where it takes longer for one process. */
#define MARKS_ANSWER_MS 50
/* As long as this, processes that could not be read hold up the word that nobody is left. */
#define MARKS_PATIENCE_NS (10 * NS_PER_S)

enum mark {
	MARK_UNKNOWN, /* not read, or not to its end */
	MARK_ABSENT,
	MARK_CARRIED
};

struct mark_entry {
	pid_t pid;
	uint64_t start_ticks, environment;
	enum mark mark;
	int tries; /* that the reader got stuck in */
};

struct mark_list {
	struct mark_entry *entries; /* by rising pid, once their look is over */
	size_t count, capacity;
};

struct marks {
	char mark[MARK_SIZE]; /* "AWSFLOCK_SESSION=..." */
	bool (*is_carried)(pid_t pid, const char *mark);
	struct mark_list known, seen; /* from the last look, and in this one */
	pid_t owner;                  /* a forked copy needs a reader of its own */
	pid_t reader;                 /* 0: none */
	int fd;                       /* to the reader; -1: none that answers */
	bool is_stuck;                /* in this look: nobody else is asked for */
	bool has_unread;              /* this look met one */
	int64_t unread_since_ns;      /* CLOCK_BOOTTIME; 0: all are read */
};

/* SESSION: the mark's value.  IS_CARRIED reads, process_was_started_with() outside of tests. */
void marks_init(struct marks *marks, const char *session, bool (*is_carried)(pid_t pid, const char *mark));
void marks_free(struct marks *marks);

/* What is known of PROCESS; with MAY_ASK it is read if it has not been.  A look waits for the reader once at most, for
 * MARKS_ANSWER_MS. */
enum mark marks_of(struct marks *marks, const struct process *process, bool may_ask);
/* A look through all processes.  Who was not met in it is forgotten at its end; one that is broken off has none. */
void marks_begin_look(struct marks *marks);
void marks_end_look(struct marks *marks);
/* Nobody is left to be read, or they have had the patience that they get. */
bool marks_are_settled(const struct marks *marks);
/* The last look met nobody who may be asked once more: each is read, or has got the reader stuck too often. */
bool marks_are_read(const struct marks *marks);

#endif
