/* The simulated world: machines with clocks, processes as coroutines, a network and one table, all of it run by one
 * thread and decided by one seed.  Time is counted in nanoseconds since the start of a run; it is the server's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

#include "aws/retry.h"
#include "chance.h"
#include "expression.h"
#include "lock/lease.h"
#include "scenario.h"

#define ACTORS_MAX 6
#define MESSAGES_MAX 96
#define IDS_MAX 4096
#define LEASES_MAX 512
#define LOCK_NAME "prod"
#define EPOCH_MS INT64_C(1790000000000) /* the server's time at the start of a run */
#define NEVER INT64_MAX
#define NOBODY (-1)

/* ---- What the observer knows -------------------------------------------------------------------------------- */

enum call_kind {
	CALL_NONE,
	CALL_ACQUIRE,
	CALL_RENEW,
	CALL_RELEASE,
	CALL_KEEP,
	CALL_BREAK
};

/* One call of the library, from the outside. */
struct call {
	enum call_kind kind;
	unsigned number, lease;
	int64_t started_ns, started_boot_ns;
	struct row row_at_start;
	unsigned changes_at_start, losses_at_start;
	int64_t known[LEASE_IDS_MAX]; /* the ids that the lease had at the start */
	int known_count;
	bool foreign_seen;                  /* the item was live under an id that is not this call's */
	bool not_ours_seen;                 /* it was not live under one that is */
	bool applied;                       /* a write of this call has changed the table */
	bool disturbed;                     /* paused, crashed, or a clock jumped */
	bool frees_eviction;                /* a release of it has ended what an eviction of its lease left */
	bool doubled;                       /* a write of it was delivered twice, and nobody can tell */
	bool copy_unseen;                   /* the second one took effect after what its last answer shows */
	unsigned faults, faults_at_release; /* of its messages; how many there were when it left a tombstone */
	int requests;
	int64_t answered_boot_ns; /* when the last answer was taken in */
	int64_t left_ms;          /* of the lease, at the start */
	int64_t deadline_most_ns; /* the latest that the lease had */
};

enum lease_fate {
	LEASE_ASKED,
	LEASE_HELD,
	LEASE_OVER,
	LEASE_REFUSED,
	LEASE_MAYBE
};

/* One lease: what one call of acquire took, or may have taken, and all that came of it. */
struct lease_record {
	int actor;
	enum lease_fate fate;
	int64_t granted_ns, chosen_ns; /* when the write that set its fence was applied, and when it was made */
	uint64_t granted_fence, told_fence;
	unsigned losses; /* how often the table had lost a fence by then */
	bool evicted;    /* by somebody who may: only the fence protects now */
};

struct id_record {
	int actor;
	unsigned lease, call;
	int64_t made_ns;
	char text[AWSFLOCK_LEASE_ID_SIZE];
};

/* What a client acts upon. */
struct belief {
	bool active;
	unsigned lease_number;
	struct lease *lease; /* NULL: by the deadlines below, as a script has them from the command line */
	int64_t deadline_boot_ns, deadline_real_ns;
};

/* ---- Messages ----------------------------------------------------------------------------------------------- */

enum request_kind {
	REQUEST_WRITE,
	REQUEST_READ,
	REQUEST_STALE_READ,
	REQUEST_PUT,
	REQUEST_REMOVE
};

struct request {
	enum request_kind kind;
	enum store_write_kind write_kind;
	const struct program *program;
	int64_t slots[SLOT_COUNT];
	int accepted_count;
	struct row
		put; /* Python's PutItem; under the condition lease_id = slots[SLOT_ACCEPTED], or no item at all */
	bool put_if_absent;
	int64_t signed_ms;
	bool time_was_known;
	int64_t wall_error_ms; /* of the sender's CLOCK_REALTIME then */
	bool breaks;           /* sent by an administrator who evicts */
	bool doubled;          /* the copy that no answer tells of */
	int actor;
	unsigned call, lease;
};

struct answer {
	bool refused, skewed;
	bool has_date;
	int64_t date_s;
	struct row row;
};

enum effect {
	EFFECT_ANSWER,
	EFFECT_SILENCE,    /* done, and no answer */
	EFFECT_RESET,      /* done, and the connection breaks instead of an answer */
	EFFECT_ERROR_DONE, /* done, and answered with an error */
	EFFECT_ERROR,      /* not done, and an error that does not say so */
	EFFECT_THROTTLED   /* not done, which is said */
};

struct message {
	int64_t at_ns;
	enum effect effect;
	bool coming_back, drops_date;
	int64_t back_ns; /* how long the answer takes */
	unsigned attempt;
	struct request request;
	struct answer answer;
};

/* ---- Actors ------------------------------------------------------------------------------------------------- */

struct simulated_store {
	struct store store; /* first */
	struct retry retry;
	bool connected;
};

struct actor {
	struct runtime runtime; /* first: the functions get its address */
	struct world *world;
	int index;
	bool is_python, command_line;
	struct chance chance;
	/* CLOCK_BOOTTIME and CLOCK_REALTIME. */
	int64_t boot_start_ns, frozen_ns, frozen_since_ns; /* a paused virtual machine's stands still */
	int drift_ppm;
	int64_t real_error_ns;
	/* The process. */
	bool dead, paused, finished;
	int64_t stop_boot_ns;
	int steps_to_fault;
	struct simulated_store store;
	/* The coroutine. */
	ucontext_t context;
	char *stack;
	int64_t wake_ns;
	void (*script)(struct actor *actor);
	/* The attempt under way. */
	unsigned attempt;
	bool answered;
	struct message inbox;
	/* The observer's. */
	struct call call;
	struct belief belief;
	unsigned lease_number;
};

struct counts {
	uint64_t runs, cut_short, steps, requests, grants, renewals, releases, refusals, losses, faults,
		late_copies, pauses, crashes, jumps, ttl_deletions, evictions;
};

struct world {
	const struct scenario *scenario;
	uint64_t seed;
	struct chance chance;
	int64_t now_ns;
	bool observing, quiet;
	struct actor actors[ACTORS_MAX];
	int actor_count, running;
	ucontext_t scheduler;
	struct message messages[MESSAGES_MAX];
	int message_count;
	struct row row, row_before;
	int64_t row_changed_ns;
	unsigned changes, fence_losses;
	int64_t ttl_ns;
	struct id_record ids[IDS_MAX];
	int64_t id_count;
	struct lease_record leases[LEASES_MAX];
	unsigned lease_count, call_count;
	bool exhausted; /* more ids or leases than there is room for: the run ends early */
	bool violated;
	char violation[600];
	struct counts counts;
	FILE *trace; /* NULL: none */
};

/* ---- The scheduler (schedule.c) ----------------------------------------------------------------------------- */

void world_init(struct world *world);
void world_free(struct world *world);
/* One run; true where every promise held. */
bool world_run(struct world *world, const struct scenario *scenario, uint64_t seed, FILE *trace);
/* Gives the thread back to the scheduler until WAKE_NS. */
void actor_yield(struct actor *actor, int64_t wake_ns);
void world_send(struct world *world, const struct message *message);

/* ---- Clocks and processes (machine.c) ------------------------------------------------------------------------ */

void machine_init(struct actor *actor);
/* A fresh process on the same machine. */
void machine_new_process(struct actor *actor);
int64_t machine_boot_ns(const struct actor *actor);
int64_t machine_real_ns(const struct actor *actor);
/* When the machine's CLOCK_BOOTTIME will be BOOT_NS. */
int64_t machine_when(const struct actor *actor, int64_t boot_ns);
/* One step of the code: here it may be paused, or die. */
void machine_step(struct actor *actor);
/* Sleeps in the world's time, whatever becomes of the process. */
void machine_rest(struct actor *actor, int64_t ns);

/* ---- The network (network.c) --------------------------------------------------------------------------------- */

void network_init_store(struct actor *actor);
/* One request with the store's retries.  AWSFLOCK_OK: *ANSWER. */
awsflock_code network_call(struct actor *actor, struct request *request, int64_t give_up_boot_ns,
			   struct store_reply *reply, struct answer *answer, awsflock_error *error);

/* ---- The table (table.c) ------------------------------------------------------------------------------------- */

void table_handle(struct world *world, struct message *message);
void table_expire(struct world *world); /* TTL */

/* ---- The scripts (client.c, python.c) ------------------------------------------------------------------------ */

void client_script(struct actor *actor);
void client_last_script(struct actor *actor); /* the lock must be free for it */
void python_script(struct actor *actor);

#endif
