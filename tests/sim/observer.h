/* The promises of the protocol, checked by somebody who sees everything.  SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_OBSERVER_H
#define SIM_OBSERVER_H

#include "world.h"

/* PROMISE was broken: the run ends after this step.  The first one counts. */
void violated(struct world *world, const char *promise, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void trace(struct world *world, int actor, const char *format, ...) __attribute__((format(printf, 3, 4)));

bool believes(struct actor *actor);

/* After every step of ACTOR: nobody else believes what it believes, and the item covers that. */
void observe_step(struct actor *actor);

/* CAUSE (an actor, or NOBODY) has changed the item from BEFORE; REQUEST NULL: TTL. */
void observe_change(struct world *world, const struct row *before, const struct request *request);

/* The table has answered REQUEST with what is in it now. */
void observe_reply(struct world *world, const struct request *request);

/* Around each call of the library. */
void observe_call(struct actor *actor, enum call_kind kind, unsigned lease, struct lease *known);
/* How long an acquire took, whatever the network did.  GAVE_BACK_LATER: without what was given back in it. */
void observe_answer_in_time(struct actor *actor, int64_t wait_ms, bool gave_back_later);
void observe_acquired(struct actor *actor, awsflock_code code, int64_t seconds, int64_t wait_ms,
		      struct lease *lease, const awsflock_error *error);
void observe_renewed(struct actor *actor, awsflock_code code, int64_t seconds, struct lease *lease,
		     int64_t deadline_before_ns, bool past_before, const awsflock_error *error);
void observe_released(struct actor *actor, awsflock_code code, const awsflock_error *error);
void observe_kept(struct actor *actor, awsflock_code code, int64_t stop_ms, struct lease *lease,
		  const awsflock_error *error);
void observe_broken(struct actor *actor, awsflock_code code, const awsflock_error *error);

/* How far the server's time may be misjudged by one who has heard of it: a slow answer, and Date's cut. */
#define MISJUDGED_MS INT64_C(15000)

bool call_knows(const struct call *call, int64_t id);
/* What the item is now, as the call of ACTOR that is under way will have to tell it. */
void call_notes(struct actor *actor);

bool row_is_live(const struct row *row);
/* Server time (epoch milliseconds) at which ROW's lease and grace are over. */
int64_t row_over_ms(const struct row *row);
int64_t server_ms(const struct world *world);

#endif
