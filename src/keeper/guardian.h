/* SPDX-License-Identifier: Apache-2.0
 *
 * The guardian: root, without a network.  It knows until when the lock is held and what belongs to the session, and
 * ends the session in time.
 *
 * This file is what it knows, and what it needs of the machine.  Above it, each calling only what stands before it:
 * lease_clients.c serves further sessions of the same person; closing.c takes it from whatever ended a session to the
 * release of the lock; guarding.c guards an open one; machine.c says what is permitted when, and alone assigns the
 * state; loop.c turns what happens to descriptors and clocks into events.  opening.c comes before all that, and
 * brings it from OPEN to an answer; standby.c is who goes on where the guardian itself is killed or stopped. */
#ifndef KEEPER_GUARDIAN_H
#define KEEPER_GUARDIAN_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "awsflock.h"
#include "base/lease_ids.h"
#include "guard/guard.h"
#include "guard/renewer_process.h"
#include "guard/wire.h"
#include "keeper/endsession.h"
#include "keeper/membership.h"
#include "keeper/progress.h"
#include "keeper/session.h"
#include "keeper/sharing.h"

#define LEASE_CLIENTS_MAX 500 /* half of the descriptors that the module leaves a keeper */
#define NEVER INT64_MAX

enum guardian_state {
	GUARDIAN_OPENING,   /* the module has no answer yet */
	GUARDIAN_GRANTED,   /* the module has been told, and is to say OPENED */
	GUARDIAN_OPEN,      /* the session runs */
	GUARDIAN_MOVING,    /* its host has ended, and may have forked: the child is to say that it goes on */
	GUARDIAN_CLOSING,   /* closed in order: what is dying gets a moment */
	GUARDIAN_HOLDING,   /* closed, and processes are left that keep the lock */
	GUARDIAN_ENDING,    /* what is left is being ended */
	GUARDIAN_EMPTY,     /* nothing is left here; others have joined */
	GUARDIAN_RELEASING, /* the renewer gives the lock back */
	GUARDIAN_OVER,
	GUARDIAN_STATE_COUNT
};

/* When what is due; in the order in which they are served. */
enum guardian_timer {
	TIMER_RENEWAL, /* the last moment for a renewal to have been confirmed */
	TIMER_END,     /* the first signal, once lost */
	TIMER_LOOK,    /* the next look at the members */
	TIMER_STEP,    /* the next step of ending them */
	TIMER_STATE,   /* the state is over by itself */
	TIMER_STANDBY, /* the next standby is started */
	TIMER_RENEWER, /* another renewer is started, in place of one that has ended */
	TIMER_COUNT
};

/* What a guardian needs of the machine: given at construction, so that tests can drive it. */
struct world;
struct guardian;

struct world_ops {
	int64_t (*now_ns)(struct world *world); /* CLOCK_BOOTTIME */
	void (*log)(struct world *world, int priority, const char *line);
	bool (*send)(struct world *world, int fd, const struct wire_message *message);
	enum wire_result (*receive)(struct world *world, int fd, struct wire_message *message, uid_t *sender);
	int (*poll)(struct world *world, struct pollfd *polled, nfds_t count, int timeout_ms);
	/* Makes FD readable at AT_NS; false where it cannot. */
	bool (*set_timer)(struct world *world, int fd, int64_t at_ns);
	/* fork(2), with a pidfd of the child for the parent, and of the parent for the child; -1: not now. */
	pid_t (*fork)(struct world *world, int *pidfd);
	/* Starts GUARDIAN's renewer again, without asking it for anything yet. */
	awsflock_code (*restart_renewer)(struct world *world, struct guardian *guardian, awsflock_error *error);
	/* Before all others: a session that keeps every processor busy must not outlive its lease by that. */
	void (*take_precedence)(struct world *world);
};

struct world {
	const struct world_ops *ops;
};

/* What the standby must know, in memory that both see. */
struct guardian_life {
	_Atomic int64_t deadline_boot_ns, opened_ns;
	_Atomic bool is_opened, is_ending, is_closed;
	_Atomic bool is_gone; /* nothing is left of the session, or nobody minds it any more */
	_Atomic bool is_over;
	_Atomic uint32_t joined; /* how many others rely on this lease */
	_Atomic bool
		ends_person; /* this session's guard, or that of one which has joined, ends all that its person runs */
};

struct lease_client {
	int fd;
	bool has_joined;
	pid_t host; /* of its session; 0: not known */
	int64_t host_socket;
};

struct guardian {
	enum guardian_state state; /* assigned by machine.c alone */
	struct world *world;
	struct membership *members;
	struct membership *everybody; /* the members with all that the person runs; NULL: that is never to end */
	int64_t timers[TIMER_COUNT];  /* CLOCK_BOOTTIME; NEVER: off */
	struct session session;
	struct guard guard;
	char *store_name;
	int session_fd; /* -1 once the module is gone */
	int host_fd;
	int timer_fd;
	struct renewer_process renewer; /* of the keeper that holds the lock itself */
	int64_t next_renewer_ns;        /* not before */
	int upstream_fd;                /* else the connection to the one that does */
	struct sharing sharing;
	size_t lease_client_count;
	bool may_not_release; /* something may run that this guardian does not see */
	struct ending ending;
	struct guardian_life *life;
	struct progress *progress;
	pid_t standby_pid;
	int standby_fd; /* its pidfd; -1: none */
	int64_t fence, expiration_time, waited_ms;
	int64_t opened_ns;
	bool is_lost, is_refused;
	bool owes_answer;     /* the module waits for what becomes of its RELEASE */
	bool host_is_watched; /* its end has not been seen */
	bool is_standby;      /* this process was one, and has taken over */
	bool has_passed_over; /* it has said that it does not know what a newer release says */
	/* Last what is large: a page that only one of guardian and standby writes to is one for each of them. */
	struct lease_ids lease_ids;                   /* what the next renewer has to know */
	char owner_text[AWSFLOCK_ERROR_MESSAGE_SIZE]; /* what the table is to say of the session; "": as it began */
	struct lease_client lease_clients[LEASE_CLIENTS_MAX];
};

void guardian_init(struct guardian *guardian, struct world *world, int session_fd, int host_fd);
void guardian_free(struct guardian *guardian);
/* Makes what it shares with its standby and its renewer; false where there is no memory. */
bool guardian_share_memory(struct guardian *guardian);
/* The machine itself. */
struct world *world_of_machine(void);

int64_t guardian_now_ns(const struct guardian *guardian);
/* DEADLINE_NS as somebody tells it of the lease: whoever renews cannot know of a later one than a lease from now. */
int64_t guardian_bound_deadline(const struct guardian *guardian, int64_t deadline_ns);
void guardian_set_timer(struct guardian *guardian, enum guardian_timer timer, int64_t at_ns);
void guardian_log(const struct guardian *guardian, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool guardian_send(const struct guardian *guardian, int fd, const struct wire_message *message);
bool guardian_send_type(const struct guardian *guardian, int fd, enum wire_type type);
/* Brings up to date who belongs, but not beyond the moment at which the lease has to be seen to. */
bool guardian_refresh_members(struct guardian *guardian, bool fully);
/* Whoever tells of the lease: the renewer, or the keeper that was joined; -1: nobody any more. */
int guardian_lease_source(const struct guardian *guardian);

#endif
