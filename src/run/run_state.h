/* What the launcher and the supervisor of `awsflock run` share, see supervise.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef RUN_RUN_STATE_H
#define RUN_RUN_STATE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "awsflock.h"
#include "run/supervise.h"

/* Beyond kill_after_ms, the time that the command's end needs: to notice, and to see everybody off. */
#define RUN_STOP_MARGIN_MS INT64_C(500)
/* How long before the deadline everybody that is left gets KILL, whatever kill_after_ms says. */
#define RUN_LAST_KILL_MS INT64_C(300)
/* How long after the first KILL a process counts as one that cannot be ended. */
#define RUN_GIVE_UP_NS INT64_C(2000000000)

/* How long the end of `run` waits for a stderr that takes no more lines: nothing runs or is held any more. */
#define RUN_LAST_WORDS_MS INT64_C(5000)

enum run_phase {
	RUN_TAKING,   /* waiting for the lock */
	RUN_RUNNING,  /* the command runs */
	RUN_HOLDING,  /* it has ended, and left processes for which the lock is held */
	RUN_ENDING,   /* what runs is being ended */
	RUN_RELEASING /* nothing runs any more that needs the lock */
};

/* Lease ids of the last requests, in a ring: of more than these none can be valid. */
#define RUN_IDS 128

/* In memory that both processes see.  Only the supervisor writes, but for launcher_is_stopped and loss_is_*. */
struct run_state {
	_Atomic int phase;
	_Atomic int64_t deadline_boot_ns; /* INT64_MAX: no lease yet */
	_Atomic bool lost;                /* nothing is to be released */
	_Atomic bool loss_is_said;        /* by one of them, or about to be */
	_Atomic bool loss_is_written;     /* at once; else whoever said it may be killed before it is */
	_Atomic bool launcher_is_stopped; /* by job control */
	_Atomic int command_exit;         /* -1: it has not ended by itself */
	_Atomic int ended_by;             /* the signal that ended the command, or the wait before it; 0: none */
	_Atomic int exit_code;            /* -1: the supervisor has not done all its work */
	_Atomic unsigned id_count;
	char ids[RUN_IDS][AWSFLOCK_LEASE_ID_SIZE]; /* written before id_count counts it */
};

struct run {
	const struct supervise_job *job;
	struct run_state *state;
	/* As the user's shell set them, for the command. */
	sigset_t user_mask;
	struct sigaction user_child_action, user_pipe_action;
	sigset_t ignored; /* by whoever started us */
	int dies_by;      /* the signal by which the launcher is to end in the end; 0: by its exit code */
	pid_t launcher_pid;
	int launcher_pidfd;
	/* The launcher's end and the supervisor's of a SEQPACKET pair.  A message is one byte, a signal's number: to
	 * the supervisor one to pass on, to the launcher the one that stopped the command, or RUN_WAKE.  Its end says
	 * that the other is gone. */
	int launcher_socket, supervisor_socket;
	char *marks; /* the command's AWSFLOCK_RUN */
};

static inline int64_t run_stop_ms(const struct supervise_job *job)
{
	return job->kill_after_ms + RUN_STOP_MARGIN_MS;
}

/* When processes that are being ended from now on get KILL: after the time they were promised, and early enough. */
int64_t run_kill_boot_ns(const struct run *run);

/* No signal, but that there is a deadline from now on, which the launcher has to wake up at. */
#define RUN_WAKE 0

/* False where the other side is gone, or does not listen. */
bool run_send(int socket, int signal_number);
/* A message, 0: there is none now, or it was RUN_WAKE, or -1: the other side is gone. */
int run_receive(int socket);

/* Loudly, and once, whoever comes first: REASON is a sentence without its full stop.  False where the other process came
 * first. */
bool run_say_lost(const struct run *run, const char *reason);
/* By who is left without the other process, with which the line may have gone: rather twice than not at all. */
void run_say_lost_anew(const struct run *run, const char *reason);

/* Ends all descendants of the calling process but SPARED (0: nobody): TERM, and KILL from KILL_BOOT_NS on. IS_EMPTY
 * reaps children and says whether that was the last one, which the kernel knows better than a look at /proc; NULL:
 * the look will do.  False, with the reason said, where something is left. */
typedef bool run_is_empty_fn(void *arg);
bool run_end_descendants(const struct run *run, pid_t spared, int64_t kill_boot_ns, run_is_empty_fn *is_empty,
			 void *arg);

#endif
