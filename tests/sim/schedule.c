/* One thread runs it all: whoever's turn comes next in the world's time.  SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "observer.h"
#include "world.h"

#define STACK_SIZE ((size_t)96 * 1024)
/* A run that lasts longer in its own time is brought to its end. */
#define RUN_MOST_NS (3600 * NS_PER_S)

/* ---- Coroutines ---------------------------------------------------------------------------------------------- */

void actor_yield(struct actor *actor, int64_t wake_ns)
{
	actor->wake_ns = wake_ns;
	swapcontext(&actor->context, &actor->world->scheduler);
}

/* makecontext() passes ints only. */
static void begin(unsigned high, unsigned low)
{
	struct actor *actor = (struct actor *)(((uintptr_t)high << 32) | (uintptr_t)low);

	actor->script(actor);
	actor->finished = true;
	for (;;)
		actor_yield(actor, NEVER);
}

static void start(struct actor *actor, void (*script)(struct actor *actor), int64_t wake_ns)
{
	uintptr_t address = (uintptr_t)actor;

	actor->script = script;
	actor->finished = false;
	actor->wake_ns = wake_ns;
	getcontext(&actor->context);
	actor->context.uc_stack.ss_sp = actor->stack;
	actor->context.uc_stack.ss_size = STACK_SIZE;
	actor->context.uc_link = NULL;
	makecontext(&actor->context, (void (*)(void))begin, 2, (unsigned)(address >> 32), (unsigned)address);
	actor->world->running++;
}

static void resume(struct actor *actor)
{
	struct world *world = actor->world;

	world->counts.steps++;
	swapcontext(&world->scheduler, &actor->context);
	if (actor->finished) {
		actor->wake_ns = NEVER;
		world->running--;
	}
	observe_step(actor);
}

/* ---- Messages ------------------------------------------------------------------------------------------------ */

void world_send(struct world *world, const struct message *message)
{
	if (world->message_count == MESSAGES_MAX) {
		world->exhausted = true;
		return;
	}
	world->messages[world->message_count++] = *message;
}

static void take_off(struct world *world, int index)
{
	world->message_count--;
	if (index != world->message_count)
		world->messages[index] = world->messages[world->message_count];
}

static void deliver(struct world *world, int index)
{
	struct message *message = &world->messages[index];
	struct actor *actor = &world->actors[message->request.actor];

	if (!message->coming_back) {
		table_handle(world, message);
		if (message->effect == EFFECT_SILENCE || message->attempt == 0) {
			take_off(world, index);
			return;
		}
		message->coming_back = true;
		message->at_ns = world->now_ns + message->back_ns;
		return;
	}
	if (actor->attempt == message->attempt && !actor->answered && !actor->finished) {
		actor->inbox = *message;
		actor->answered = true;
		if (!actor->paused)
			actor->wake_ns = world->now_ns;
	}
	take_off(world, index);
}

/* ---- Time ---------------------------------------------------------------------------------------------------- */

/* Lets the next thing happen; false where there is none. */
static bool advance(struct world *world)
{
	int64_t at_ns = world->ttl_ns;
	int actor = NOBODY, message = NOBODY;

	for (int i = 0; i < world->actor_count; i++) {
		if (world->actors[i].wake_ns < at_ns) {
			at_ns = world->actors[i].wake_ns;
			actor = i;
		}
	}
	for (int i = 0; i < world->message_count; i++) {
		if (world->messages[i].at_ns < at_ns) {
			at_ns = world->messages[i].at_ns;
			message = i;
		}
	}
	if (at_ns == NEVER)
		return false;
	if (at_ns > world->now_ns)
		world->now_ns = at_ns;
	if (message != NOBODY)
		deliver(world, message);
	else if (actor != NOBODY)
		resume(&world->actors[actor]);
	else
		table_expire(world);
	return true;
}

static void run_until_all_are_done(struct world *world)
{
	while (world->running > 0 && !world->violated) {
		if (!advance(world)) {
			violated(world, "the simulation itself", "everybody waits for ever");
			return;
		}
		if (!world->quiet && (world->now_ns > RUN_MOST_NS || world->exhausted)) {
			world->quiet = true;
			for (int i = 0; i < world->actor_count; i++)
				world->actors[i].dead = true;
		}
	}
}

/* What is still under way arrives; then everything has to end by itself. */
static void run_to_the_end(struct world *world)
{
	int64_t over_ms;

	world->quiet = true;
	while (world->message_count > 0 && !world->violated && advance(world))
		;
	over_ms = row_over_ms(&world->row);
	if (row_is_live(&world->row) && over_ms + 3000 > server_ms(world))
		world->now_ns = (over_ms + 3000 - EPOCH_MS) * NS_PER_MS;
	start(&world->actors[0], client_last_script, world->now_ns);
	run_until_all_are_done(world);
}

/* ---- A run --------------------------------------------------------------------------------------------------- */

void world_init(struct world *world)
{
	memset(world, 0, sizeof(*world));
	for (int i = 0; i < ACTORS_MAX; i++) {
		world->actors[i].stack = aligned_alloc(64, STACK_SIZE);
		if (!world->actors[i].stack)
			abort();
	}
}

void world_free(struct world *world)
{
	for (int i = 0; i < ACTORS_MAX; i++)
		free(world->actors[i].stack);
	free(world);
}

static void reset_actor(struct world *world, int index)
{
	const struct scenario *scenario = world->scenario;
	struct actor *actor = &world->actors[index];

	actor->world = world;
	actor->index = index;
	actor->is_python = index >= scenario->clients;
	actor->chance.state = chance_next(&world->chance);
	actor->command_line = !actor->is_python && chance_hits(&actor->chance, scenario->command_line);
	actor->paused = false;
	actor->attempt = 0;
	actor->answered = true;
	actor->call = (struct call){ .kind = CALL_NONE };
	actor->belief = (struct belief){ .active = false };
	machine_init(actor);
	start(actor, actor->is_python ? python_script : client_script,
	      chance_between(&actor->chance, 0, 3 * NS_PER_S));
}

static void reset(struct world *world, const struct scenario *scenario, uint64_t seed, FILE *trace_to)
{
	world->scenario = scenario;
	world->seed = seed;
	world->trace = trace_to;
	world->chance.state = seed * UINT64_C(0xD1342543DE82EF95) + 1;
	world->now_ns = 0;
	world->observing = world->quiet = world->exhausted = world->violated = false;
	world->running = world->message_count = 0;
	world->row = world->row_before = (struct row){ 0 };
	world->row_changed_ns = 0;
	world->changes = world->fence_losses = 0;
	world->ttl_ns = NEVER;
	world->id_count = 1;
	world->lease_count = world->call_count = 1;
	world->actor_count = scenario->clients + scenario->peers;
	for (int i = 0; i < world->actor_count; i++)
		reset_actor(world, i);
}

bool world_run(struct world *world, const struct scenario *scenario, uint64_t seed, FILE *trace_to)
{
	reset(world, scenario, seed, trace_to);
	world->counts.runs++;
	run_until_all_are_done(world);
	if (!world->violated && !world->exhausted)
		run_to_the_end(world);
	world->counts.cut_short += world->exhausted ? 1 : 0;
	return !world->violated;
}
