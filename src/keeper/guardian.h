/* The guardian: root, without a network.  It knows until when the lock is held and what belongs to the session, and
 * ends the session in time.
 *
 * opening.c brings it from OPEN to an answer; guardian.c watches an open session; closing.c takes it from whatever
 * ended it to the release of the lock; lease_clients.c serves further sessions of the same person; standby.c is who
 * goes on where the guardian itself is killed or stopped.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_GUARDIAN_H
#define KEEPER_GUARDIAN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "guard/guard.h"
#include "guard/renewer_process.h"
#include "keeper/endsession.h"
#include "keeper/session.h"
#include "keeper/sharing.h"
#include "keeper/watch.h"

#define LEASE_CLIENTS_MAX 500 /* half of the descriptors that the module leaves a keeper */

enum guardian_state {
	GUARDIAN_GRANTED,   /* the module has been told, and is to say OPENED */
	GUARDIAN_OPEN,      /* the session runs */
	GUARDIAN_CLOSING,   /* closed in order: what is dying gets a moment */
	GUARDIAN_HOLDING,   /* closed, and processes are left that keep the lock */
	GUARDIAN_ENDING,    /* what is left is being ended */
	GUARDIAN_EMPTY,     /* nothing is left here; others have joined */
	GUARDIAN_RELEASING, /* the renewer gives the lock back */
	GUARDIAN_OVER
};

/* What the standby must know, in memory that both see. */
struct guardian_life {
	volatile int64_t deadline_boot_ns, opened_ns;
	volatile uint32_t is_opened, is_ending, is_closed;
	volatile uint32_t is_gone; /* nothing is left of the session, or nobody minds it any more */
	volatile uint32_t is_over;
	volatile uint32_t joined; /* how many others rely on this lease */
};

struct lease_client {
	int fd;
	bool has_joined;
};

struct guardian {
	enum guardian_state state;
	struct session session;
	struct guard guard;
	char *store_name;
	int session_fd; /* -1 once the module is gone */
	int host_fd;
	int timer_fd;
	struct renewer_process renewer; /* of the keeper that holds the lock itself */
	int upstream_fd;                /* else the connection to the one that does */
	struct sharing sharing;
	struct lease_client lease_clients[LEASE_CLIENTS_MAX];
	size_t lease_client_count;
	bool may_not_release; /* something may run that this guardian does not see */
	struct watch watch;
	struct ending ending;
	struct guardian_life *life;
	pid_t standby_pid;
	int standby_fd; /* its pidfd; -1: none */
	int64_t fence, expiration_time, waited_ms;
	int64_t opened_ns;
	bool is_lost, is_refused;
	bool owes_answer;      /* the module waits for what becomes of its RELEASE */
	bool host_is_watched;  /* its end has not been seen */
	int64_t end_at_ns;     /* the first signal, once lost */
	int64_t look_ns;       /* the next look at the members */
	int64_t state_over_ns; /* when the state is over by itself; INT64_MAX: never */
	int64_t standby_ns;    /* not before this is the next standby started */
};

void guardian_init(struct guardian *guardian, int session_fd, int host_fd);
void guardian_free(struct guardian *guardian);

/* opening.c: true where the session has the lock; otherwise the module has its answer.  Then GRANTED. */
bool opening_run(struct guardian *guardian);
void opening_grant(struct guardian *guardian);

/* guardian.c: until it is over. */
void guardian_run(struct guardian *guardian);
void guardian_extend(struct guardian *guardian, int64_t deadline_boot_ns, int64_t expiration_time);
/* The lease is lost, or will be at deadline_boot_ns. */
void guardian_lost(struct guardian *guardian, bool is_refused, const char *why);

/* closing.c */
void closing_begin_end(struct guardian *guardian, const char *why, bool ends_host);
void closing_close(struct guardian *guardian);
void closing_step(struct guardian *guardian, int64_t now_ns);
void closing_release(struct guardian *guardian);
void closing_released(struct guardian *guardian, bool is_free, const char *why);
int64_t closing_next_ns(const struct guardian *guardian);

/* lease_clients.c */
void lease_clients_accept(struct guardian *guardian);
void lease_clients_receive(struct guardian *guardian, size_t number);
void lease_clients_tell_valid(struct guardian *guardian);
void lease_clients_tell_lost(struct guardian *guardian, bool is_refused, const char *why);
void lease_clients_close(struct guardian *guardian);

/* standby.c: starts one, or the next.  It returns a second time, in the standby, where that has become the
 * guardian: true then. */
bool standby_start(struct guardian *guardian);

#endif
