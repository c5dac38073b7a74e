/* A table in memory, with the conditions of lock/store.h, a server clock of its own, and faults on order; and a
 * clock that moves only when somebody sleeps or a fault takes its time.  SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_FAKE_STORE_H
#define UNIT_FAKE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/runtime.h"
#include "lock/store.h"

struct fake_runtime {
	struct runtime runtime; /* first: the functions get its address */
	int64_t boot_ns;
	int64_t real_offset_ns; /* CLOCK_REALTIME = boot + this */
	int64_t stop_at_boot_ns;
	unsigned random_state;
	unsigned sleeps;
};

#define FAKE_BOOT_START_NS (INT64_C(1000) * NS_PER_S)
#define FAKE_EPOCH_START_S INT64_C(1790000000) /* the server's time at FAKE_BOOT_START_NS */

void fake_runtime_init(struct fake_runtime *fake);

enum fake_fault {
	FAULT_NONE,
	FAULT_NOT_SENT,     /* never left this machine */
	FAULT_LOST_REQUEST, /* sent, never arrived; nobody can tell */
	FAULT_LOST_REPLY,   /* carried out, no attempt got an answer */
	FAULT_RETRIED,      /* carried out, the answer lost, and sent again: the second copy is answered */
	FAULT_TWICE,        /* delivered twice by a proxy, which hands on the answer to the second copy alone */
	FAULT_TWICE_THEN_THROTTLED, /* the same, and the second copy is refused for load */
	FAULT_NO_DATE,
	FAULT_THROTTLED,
	FAULT_CLOCK_SKEW,       /* refused for the time, which is learned by that */
	FAULT_UNSEEN_THEN_SKEW, /* carried out, the answer lost, and the second copy refused for the time */
	FAULT_NO_ITEM_SHOWN     /* a server that ignores ReturnValuesOnConditionCheckFailure */
};

struct fake_step {
	enum fake_fault fault;
	int64_t request_ns, reply_ns;           /* how long each way takes */
	void (*before)(struct store *, void *); /* somebody else comes in between; arg = step_arg */
	void (*after)(struct store *, void *);  /* carried out, but not answered yet */
};

/* What a request to a server that never answers takes with all its attempts, if nobody gives it up. */
#define FAKE_STALL_NS (40 * NS_PER_S)

#define FAKE_ITEMS_MAX 4
#define FAKE_STEPS_MAX 64

struct fake_store {
	struct store store; /* first */
	struct lock_item items[FAKE_ITEMS_MAX];
	size_t item_count;
	struct fake_step steps[FAKE_STEPS_MAX]; /* for the next writes, in turn; then none */
	size_t step_count, steps_taken;
	void *step_arg;
	int64_t server_offset_ns; /* added to the server's clock */
	unsigned writes, reads;
	int64_t give_up_boot_ns;                     /* of the last write */
	enum store_write_kind kinds[FAKE_STEPS_MAX]; /* of the writes so far */
	bool reads_fail, reads_stall, writes_stall;
};

void fake_store_init(struct fake_store *fake, struct fake_runtime *runtime);
void fake_store_clear(struct fake_store *fake);
/* For the next write that has none. */
struct fake_step *fake_store_plan(struct fake_store *fake, enum fake_fault fault);
/* The item as the table has it, or NULL. */
struct lock_item *fake_store_item(struct fake_store *fake, const char *lock);
/* What awsflock 0.2.0 would have written: no fence, no holder. */
void fake_store_put_python(struct fake_store *fake, const char *lock, const char *lease_id,
			   int64_t expiration_time);
void fake_store_remove(struct fake_store *fake, const char *lock);
int64_t fake_server_now_s(const struct fake_store *fake);

#endif
