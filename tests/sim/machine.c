/* A machine's clocks, and what may befall a process at each of its steps.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "observer.h"
#include "world.h"

static struct actor *actor_of(struct runtime *runtime)
{
	return (struct actor *)runtime;
}

/* ---- Clocks -------------------------------------------------------------------------------------------------- */

static int64_t drifted(const struct actor *actor, int64_t ns)
{
	return ns + ns * actor->drift_ppm / 1000000;
}

int64_t machine_boot_ns(const struct actor *actor)
{
	int64_t now_ns = actor->frozen_since_ns >= 0 ? actor->frozen_since_ns : actor->world->now_ns;

	return actor->boot_start_ns + drifted(actor, now_ns - actor->frozen_ns);
}

int64_t machine_real_ns(const struct actor *actor)
{
	return EPOCH_MS * NS_PER_MS + actor->world->now_ns + actor->real_error_ns;
}

int64_t machine_when(const struct actor *actor, int64_t boot_ns)
{
	int64_t ahead_ns;

	if (boot_ns == NEVER)
		return NEVER;
	ahead_ns = boot_ns - machine_boot_ns(actor);
	if (ahead_ns <= 0)
		return actor->world->now_ns;
	/* A little late, so that the clock has come there. */
	return actor->world->now_ns + ahead_ns - ahead_ns / 1000 * actor->drift_ppm / 1000 + ahead_ns / 1000000 + 2;
}

/* ---- Faults at a step ---------------------------------------------------------------------------------------- */

static void draw_next_fault(struct actor *actor)
{
	int between = actor->world->scenario->steps_between;

	actor->steps_to_fault =
		between == 0 || actor->is_python ? 0 : (int)chance_between(&actor->chance, 1, 2 * between);
}

void machine_rest(struct actor *actor, int64_t ns)
{
	int64_t until_ns = actor->world->now_ns + ns;

	actor->paused = true;
	while (actor->world->now_ns < until_ns)
		actor_yield(actor, until_ns);
	actor->paused = false;
}

static void pause_process(struct actor *actor, bool freeze)
{
	struct world *world = actor->world;
	int64_t most_ns =
		chance_hits(&actor->chance, 500) ? 5 * NS_PER_S : world->scenario->lease_most_s * 2 * NS_PER_S;
	int64_t ns = chance_between(&actor->chance, NS_PER_MS, most_ns);

	trace(world, actor->index, "%s for %.3f s", freeze ? "its machine is frozen" : "is stopped",
	      (double)ns / 1e9);
	world->counts.pauses++;
	actor->call.disturbed = true;
	if (freeze)
		actor->frozen_since_ns = world->now_ns;
	machine_rest(actor, ns);
	if (freeze) {
		actor->frozen_ns += ns;
		actor->frozen_since_ns = -1;
	}
	trace(world, actor->index, "goes on");
}

static void die(struct actor *actor)
{
	trace(actor->world, actor->index, "is killed");
	actor->world->counts.crashes++;
	actor->dead = true;
	actor->call.disturbed = true;
	if (!actor->command_line)
		actor->belief.active = false;
}

static void jump(struct actor *actor)
{
	int64_t most_ms = actor->world->scenario->jump_ms;
	int64_t ms = chance_between(&actor->chance, -most_ms, most_ms);

	trace(actor->world, actor->index, "CLOCK_REALTIME jumps by %.3f s", (double)ms / 1e3);
	actor->world->counts.jumps++;
	actor->call.disturbed = true;
	actor->real_error_ns += ms * NS_PER_MS;
}

static void befall(struct actor *actor)
{
	const struct scenario *scenario = actor->world->scenario;
	int whole = scenario->pause + scenario->crash + scenario->jump + scenario->freeze + scenario->cancel;
	int drawn = (int)chance_between(&actor->chance, 0, whole - 1);

	actor->world->counts.faults++;
	draw_next_fault(actor);
	if ((drawn -= scenario->pause) < 0)
		pause_process(actor, false);
	else if ((drawn -= scenario->crash) < 0)
		die(actor);
	else if ((drawn -= scenario->jump) < 0)
		jump(actor);
	else if ((drawn -= scenario->freeze) < 0)
		pause_process(actor, true);
	else if (actor->stop_boot_ns == NEVER)
		actor->stop_boot_ns = machine_boot_ns(actor);
}

void machine_step(struct actor *actor)
{
	struct world *world = actor->world;

	if (world->observing || world->quiet || actor->dead || actor->steps_to_fault == 0)
		return;
	if (--actor->steps_to_fault == 0)
		befall(actor);
}

/* ---- The runtime that the code gets -------------------------------------------------------------------------- */

static int64_t simulated_boot_ns(struct runtime *runtime)
{
	machine_step(actor_of(runtime));
	return machine_boot_ns(actor_of(runtime));
}

static int64_t simulated_real_ns(struct runtime *runtime)
{
	machine_step(actor_of(runtime));
	return machine_real_ns(actor_of(runtime));
}

static bool simulated_sleep_until(struct runtime *runtime, int64_t until_boot_ns)
{
	struct actor *actor = actor_of(runtime);

	for (;;) {
		int64_t until_ns = machine_when(actor, until_boot_ns), stop_ns = NEVER;

		if (runtime_stop_requested(runtime) || actor->dead)
			return false;
		if (machine_boot_ns(actor) >= until_boot_ns)
			return true;
		if (!runtime->stop_ignored)
			stop_ns = machine_when(actor, actor->stop_boot_ns);
		actor_yield(actor, stop_ns < until_ns ? stop_ns : until_ns);
		machine_step(actor);
	}
}

/* A lease id starts with its serial number. */
static bool simulated_random_bytes(struct runtime *runtime, void *bytes, size_t size)
{
	struct actor *actor = actor_of(runtime);
	struct world *world = actor->world;
	unsigned char *out = bytes;
	struct id_record *record;
	int64_t serial;

	machine_step(actor);
	for (size_t i = 0; i < size; i++)
		out[i] = (unsigned char)chance_next(&actor->chance);
	if (size != 16)
		return true;
	if (world->id_count == IDS_MAX) {
		world->exhausted = true;
		actor->dead = true;
		world->id_count--;
	}
	serial = world->id_count++;
	for (int i = 0; i < 4; i++)
		out[i] = (unsigned char)(serial >> (24 - 8 * i));
	record = &world->ids[serial];
	*record = (struct id_record){ .actor = actor->index,
				      .lease = actor->call.lease,
				      .call = actor->call.number,
				      .made_ns = world->now_ns };
	return true;
}

static bool simulated_stop(void *arg)
{
	struct actor *actor = arg;

	return actor->dead || machine_boot_ns(actor) >= actor->stop_boot_ns;
}

static const struct runtime_ops simulated_runtime = {
	.boot_ns = simulated_boot_ns,
	.real_ns = simulated_real_ns,
	.sleep_until = simulated_sleep_until,
	.random_bytes = simulated_random_bytes,
};

void machine_init(struct actor *actor)
{
	const struct scenario *scenario = actor->world->scenario;
	int64_t error_ms = actor->is_python ? scenario->python_error_ms : scenario->clock_error_ms;

	actor->boot_start_ns = chance_between(&actor->chance, 10, 100000) * NS_PER_S;
	actor->frozen_ns = 0;
	actor->frozen_since_ns = -1;
	actor->drift_ppm = (int)chance_between(&actor->chance, -scenario->drift_ppm, scenario->drift_ppm);
	/* Half of the clocks are about right. */
	if (chance_hits(&actor->chance, 500) && error_ms > 20)
		error_ms = 20;
	actor->real_error_ns = chance_between(&actor->chance, -error_ms, error_ms) * NS_PER_MS;
	if (scenario->is_calm)
		actor->real_error_ns = chance_between(&actor->chance, 0, 50) * NS_PER_MS;
	actor->runtime = (struct runtime){
		.ops = &simulated_runtime, .stop = simulated_stop, .stop_arg = actor, .stop_fd = -1
	};
	machine_new_process(actor);
}

void machine_new_process(struct actor *actor)
{
	actor->dead = false;
	actor->runtime.stop_ignored = false;
	actor->stop_boot_ns = NEVER;
	draw_next_fault(actor);
	network_init_store(actor);
}
