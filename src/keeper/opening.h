/* From OPEN to the answer.  SPDX-License-Identifier: Apache-2.0 */
#ifndef KEEPER_OPENING_H
#define KEEPER_OPENING_H

#include "keeper/guardian.h"

/* True where the session has the lock; otherwise the module has its answer. */
bool opening_run(struct guardian *guardian);
/* Tells the module so. */
void opening_grant(struct guardian *guardian);

#endif
