/* See expression.h.  SPDX-License-Identifier: Apache-2.0 */
#include "expression.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX 16
#define CHANGES_MAX 16
#define SHAPES_PER_KIND 16
#define KINDS (STORE_SETTLE + 1)

enum node_kind {
	NODE_EXISTS,
	NODE_ABSENT,
	NODE_LESS,
	NODE_AT_MOST,
	NODE_EQUAL,
	NODE_IN,
	NODE_AND,
	NODE_OR
};

/* Postfix: AND and OR take what the two before them left. */
struct node {
	enum node_kind kind;
	enum attribute attribute;
	int slot, slot_count;
};

/* attribute = (the fallback's old value, or) slot (+ plus), or gone. */
struct change {
	enum attribute attribute;
	bool removes, keeps_old;
	int slot, plus;
};

struct program {
	struct node nodes[NODES_MAX];
	int node_count;
	struct change changes[CHANGES_MAX];
	int change_count;
	bool deletes;
};

static const char *const attribute_names[ATTRIBUTE_COUNT] = {
	"lock_id",       "lease_id", "lease_duration", "owner",     "expiration_time", "fence",
	"acquired_time", "holder",   "released_time",  "broken_by", "broken_time",
};

void row_set(struct row *row, enum attribute attribute, int64_t value)
{
	row->present |= 1u << attribute;
	row->value[attribute] = value;
}

int64_t serial_of(const char *lease_id)
{
	int64_t serial = 0;

	for (int i = 0; i < 8; i++)
		serial = serial * 16 + (lease_id[i] <= '9' ? lease_id[i] - '0' : lease_id[i] - 'a' + 10);
	return serial;
}

/* ---- Reading an expression ---------------------------------------------------------------------------------- */

struct reader {
	const char *text, *whole;
	struct json_object *request;
	const struct store_write *write;
	const int64_t *slots;
	struct program *program;
};

static void give_up(const struct reader *reader, const char *why)
{
	fprintf(stderr, "the simulation does not understand an expression (%s) at '%s' in '%s'\n", why,
		reader->text, reader->whole);
	exit(2);
}

static void skip_space(struct reader *reader)
{
	while (*reader->text == ' ')
		reader->text++;
}

static bool take(struct reader *reader, const char *word)
{
	skip_space(reader);
	if (strncmp(reader->text, word, strlen(word)) != 0)
		return false;
	reader->text += strlen(word);
	return true;
}

static void expect(struct reader *reader, const char *word)
{
	if (!take(reader, word))
		give_up(reader, word);
}

static void take_name(struct reader *reader, char mark, char name[48])
{
	size_t size = 0;

	skip_space(reader);
	if (*reader->text != mark)
		give_up(reader, "a name or a value");
	do {
		name[size++] = *reader->text++;
	} while (size < 47 && (isalnum((unsigned char)*reader->text) || *reader->text == '_'));
	name[size] = '\0';
}

static enum attribute take_attribute(struct reader *reader)
{
	struct json_object *names = json_object_object_get(reader->request, "ExpressionAttributeNames"), *name;
	char alias[48];

	take_name(reader, '#', alias);
	if (!json_object_object_get_ex(names, alias, &name))
		give_up(reader, "a name without a meaning");
	for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
		if (strcmp(attribute_names[i], json_object_get_string(name)) == 0)
			return (enum attribute)i;
	}
	give_up(reader, "an unknown attribute");
	return LOCK_ID;
}

static int slot_of(struct reader *reader, const char *placeholder)
{
	static const struct {
		const char *name;
		enum slot slot;
	} known[] = {
		{ ":lease_id", SLOT_LEASE_ID },   { ":lease_duration", SLOT_LEASE_DURATION },
		{ ":fence", SLOT_FENCE },         { ":expiration_time", SLOT_EXPIRATION_TIME },
		{ ":acquired_time", SLOT_NOW },   { ":released_time", SLOT_NOW },
		{ ":broken_time", SLOT_NOW },     { ":owner", SLOT_OWNER },
		{ ":broken_by", SLOT_BROKEN_BY }, { ":one", SLOT_ONE },
		{ ":seen", SLOT_ACCEPTED },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, placeholder) == 0)
			return (int)known[i].slot;
	}
	if (strncmp(placeholder, ":accepted", 9) == 0 && isdigit((unsigned char)placeholder[9]))
		return SLOT_ACCEPTED + (int)strtol(placeholder + 9, NULL, 10);
	give_up(reader, "an unknown value");
	return 0;
}

/* The placeholder's slot; its value in the request must be the one that the slot has. */
static int take_slot(struct reader *reader)
{
	struct json_object *values = json_object_object_get(reader->request, "ExpressionAttributeValues");
	struct json_object *value, *member;
	char placeholder[48];
	int slot;
	bool same = true;

	take_name(reader, ':', placeholder);
	slot = slot_of(reader, placeholder);
	if (!json_object_object_get_ex(values, placeholder, &value))
		give_up(reader, "a value that is not given");
	if (json_object_object_get_ex(value, "N", &member))
		same = strtoll(json_object_get_string(member), NULL, 10) == reader->slots[slot];
	else if (slot == SLOT_LEASE_ID || slot >= SLOT_ACCEPTED)
		same = json_object_object_get_ex(value, "S", &member) &&
		       serial_of(json_object_get_string(member)) == reader->slots[slot];
	if (!same)
		give_up(reader, "another value than the write's");
	return slot;
}

static void add_node(struct reader *reader, struct node node)
{
	if (reader->program->node_count == NODES_MAX)
		give_up(reader, "too long");
	reader->program->nodes[reader->program->node_count++] = node;
}

static void take_in(struct reader *reader, struct node *node)
{
	node->kind = NODE_IN;
	expect(reader, "(");
	node->slot = take_slot(reader);
	node->slot_count = 1;
	while (take(reader, ",")) {
		if (take_slot(reader) != node->slot + node->slot_count)
			give_up(reader, "a list out of order");
		node->slot_count++;
	}
	expect(reader, ")");
}

static void take_any(struct reader *reader);

static void take_leaf(struct reader *reader)
{
	struct node node = { 0 };

	bool absent = take(reader, "attribute_not_exists(");

	if (absent || take(reader, "attribute_exists(")) {
		node.kind = absent ? NODE_ABSENT : NODE_EXISTS;
		node.attribute = take_attribute(reader);
		expect(reader, ")");
	} else if (take(reader, "(")) {
		take_any(reader);
		expect(reader, ")");
		return;
	} else {
		node.attribute = take_attribute(reader);
		if (take(reader, "IN")) {
			take_in(reader, &node);
		} else {
			node.kind = take(reader, "<=") ? NODE_AT_MOST : take(reader, "<") ? NODE_LESS : NODE_EQUAL;
			if (node.kind == NODE_EQUAL)
				expect(reader, "=");
			node.slot = take_slot(reader);
		}
	}
	add_node(reader, node);
}

static void take_all(struct reader *reader)
{
	take_leaf(reader);
	while (take(reader, "AND ")) {
		take_leaf(reader);
		add_node(reader, (struct node){ .kind = NODE_AND });
	}
}

static void take_any(struct reader *reader)
{
	take_all(reader);
	while (take(reader, "OR ")) {
		take_all(reader);
		add_node(reader, (struct node){ .kind = NODE_OR });
	}
}

static void take_change(struct reader *reader)
{
	struct change change = { .plus = -1 };

	change.attribute = take_attribute(reader);
	expect(reader, "=");
	if (take(reader, "if_not_exists(")) {
		if (take_attribute(reader) != change.attribute)
			give_up(reader, "another attribute's old value");
		expect(reader, ",");
		change.keeps_old = true;
		change.slot = take_slot(reader);
		expect(reader, ")");
	} else {
		change.slot = take_slot(reader);
	}
	if (take(reader, "+"))
		change.plus = take_slot(reader);
	reader->program->changes[reader->program->change_count++] = change;
}

static void take_update(struct reader *reader)
{
	if (take(reader, "SET ")) {
		do {
			take_change(reader);
		} while (take(reader, ","));
	}
	if (take(reader, "REMOVE ")) {
		do {
			reader->program->changes[reader->program->change_count++] =
				(struct change){ .attribute = take_attribute(reader), .removes = true };
		} while (take(reader, ","));
	}
}

static void read_expression(struct reader *reader, const char *member, void (*take_it)(struct reader *))
{
	struct json_object *expression;

	if (!json_object_object_get_ex(reader->request, member, &expression))
		return;
	reader->text = reader->whole = json_object_get_string(expression);
	take_it(reader);
	skip_space(reader);
	if (*reader->text != '\0')
		give_up(reader, "more than was expected");
}

static struct program *read_program(const struct store_write *write, const int64_t *slots)
{
	struct program *program = calloc(1, sizeof(*program));
	struct reader reader = { .write = write, .slots = slots, .program = program };

	reader.request = expression_write("sim", write);
	if (!program || !reader.request)
		abort();
	program->deletes = write->kind == STORE_DELETE;
	read_expression(&reader, "ConditionExpression", take_any);
	read_expression(&reader, "UpdateExpression", take_update);
	json_object_put(reader.request);
	return program;
}

const struct program *program_for(const struct store_write *write, const int64_t *slots)
{
	static struct program *programs[KINDS][SHAPES_PER_KIND][ACCEPTED_MAX + 1];
	int shape = (write->owner ? 1 : 0) + (write->fence ? 2 : 0) + (write->broken_by ? 4 : 0) +
		    (write->only_if_longer ? 8 : 0);
	struct program **program = &programs[write->kind][shape][write->accepted_count];

	if (!*program)
		*program = read_program(write, slots);
	return *program;
}

/* ---- Carrying it out ---------------------------------------------------------------------------------------- */

static bool is_in(int64_t value, const int64_t *slots, const struct node *node)
{
	for (int i = 0; i < node->slot_count; i++) {
		if (slots[node->slot + i] == value)
			return true;
	}
	return false;
}

static bool leaf_holds(const struct node *node, const struct row *row, const int64_t *slots)
{
	bool has = row_has(row, node->attribute);
	int64_t value = row->value[node->attribute];

	switch (node->kind) {
	case NODE_EXISTS:
		return has;
	case NODE_ABSENT:
		return !has;
	case NODE_LESS:
		return has && value < slots[node->slot];
	case NODE_AT_MOST:
		return has && value <= slots[node->slot];
	case NODE_EQUAL:
		return has && value == slots[node->slot];
	default:
		return has && is_in(value, slots, node);
	}
}

bool program_allows(const struct program *program, const struct row *row, const int64_t *slots)
{
	bool stack[NODES_MAX] = { false };
	int depth = 0;

	for (int i = 0; i < program->node_count; i++) {
		const struct node *node = &program->nodes[i];

		if (node->kind == NODE_AND || node->kind == NODE_OR) {
			depth--;
			stack[depth - 1] = node->kind == NODE_AND ? stack[depth - 1] && stack[depth]
								  : stack[depth - 1] || stack[depth];
		} else {
			stack[depth++] = leaf_holds(node, row, slots);
		}
	}
	return depth == 0 || stack[0];
}

void program_update(const struct program *program, struct row *row, const int64_t *slots)
{
	struct row old = *row;

	if (program->deletes) {
		*row = (struct row){ 0 };
		return;
	}
	row_set(row, LOCK_ID, 0);
	for (int i = 0; i < program->change_count; i++) {
		const struct change *change = &program->changes[i];
		int64_t value;

		if (change->removes) {
			row->present &= ~(1u << change->attribute);
			continue;
		}
		value = change->keeps_old && row_has(&old, change->attribute) ? old.value[change->attribute]
									      : slots[change->slot];
		if (change->plus >= 0)
			value += slots[change->plus];
		row_set(row, change->attribute, value);
	}
}
