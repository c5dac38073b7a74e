/* Turns what happens to descriptors and clocks into the machine's events.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_LOOP_H
#define KEEPER_LOOP_H

#include "keeper/guardian.h"

/* Until it is over. */
void loop_run(struct guardian *guardian);
/* Waits for the next thing, and serves it and what is due. */
void loop_turn(struct guardian *guardian);

#endif
