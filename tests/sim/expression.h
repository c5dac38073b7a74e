/* SPDX-License-Identifier: Apache-2.0
 *
 * DynamoDB's condition and update expressions, as src/lock/dynamodb/expression.c words them, understood and carried
 * out on one row.  So the simulated table refuses and changes what the real one would. */
#ifndef SIM_EXPRESSION_H
#define SIM_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lock/dynamodb/expression.h"
#include "lock/store.h"

enum attribute {
	LOCK_ID,
	LEASE_ID,
	LEASE_DURATION,
	OWNER,
	EXPIRATION_TIME,
	FENCE,
	ACQUIRED_TIME,
	HOLDER,
	RELEASED_TIME,
	BROKEN_BY,
	BROKEN_TIME,
	ATTRIBUTE_COUNT
};

/* One item.  Texts are numbers here: a lease id its serial number, an owner the client's. */
struct row {
	uint32_t present; /* a bit for each attribute; 0: there is no item */
	int64_t value[ATTRIBUTE_COUNT];
	unsigned lease; /* whom the item keeps others out for; not in the table, the observer's own knowledge */
};

static inline bool row_has(const struct row *row, enum attribute attribute)
{
	return (row->present & (1u << attribute)) != 0;
}

void row_set(struct row *row, enum attribute attribute, int64_t value);

/* What the placeholders of an expression stand for. */
enum slot {
	SLOT_LEASE_ID,
	SLOT_LEASE_DURATION,
	SLOT_EXPIRATION_TIME,
	SLOT_FENCE,
	SLOT_NOW,
	SLOT_OWNER,
	SLOT_BROKEN_BY,
	SLOT_ONE,
	SLOT_ACCEPTED, /* the first of ACCEPTED_MAX */
	SLOT_COUNT = SLOT_ACCEPTED + ACCEPTED_MAX
};

struct program; /* a condition and an update, read once for each shape of a write */

/* The program of WRITE's expressions, as expression_write() words them now; ends the simulation where it cannot be
 * understood. SLOTS: WRITE's values, which the request must show too. */
const struct program *program_for(const struct store_write *write, const int64_t *slots);

/* How a lease id of the simulation is numbered. */
int64_t serial_of(const char *lease_id);

bool program_allows(const struct program *program, const struct row *row, const int64_t *slots);
void program_update(const struct program *program, struct row *row, const int64_t *slots);

#endif
