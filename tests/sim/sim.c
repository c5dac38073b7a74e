/* The deterministic simulation: the real code of src/lock/ in a world that is out to get it.
 *
 *   sim [--runs N] [--first-seed S] [--jobs N] [--scenario NAME]   many runs, a line of figures at the end
 *   sim --seed S [--scenario NAME] [--trace]                       one run, told step by step
 *
 * Exit code 0: every promise held.  1: one was broken; its seed and the end of its story are told.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "world.h"

#define TAIL_LINES 60
#define JOBS_MAX 16

struct module_options {
	int64_t runs, first_seed, seed, jobs;
	const struct scenario *scenario; /* NULL: by the seed */
	bool trace, one;
};

/* ---- Arguments
 * ------------------------------------------------------------------------------------------------ */

static int usage(void)
{
	fputs("usage: sim [--runs N] [--first-seed S] [--jobs N] [--scenario NAME] | --seed S [--trace]\n"
	      "scenarios:",
	      stderr);
	for (size_t i = 0; i < scenario_count; i++)
		fprintf(stderr, " '%s'", scenarios[i].name);
	fputc('\n', stderr);
	return 2;
}

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; i < scenario_count; i++) {
		if (strcmp(scenarios[i].name, name) == 0)
			return &scenarios[i];
	}
	return NULL;
}

static bool take_option(struct module_options *options, const char *name, const char *value)
{
	if (strcmp(name, "--runs") == 0)
		return text_parse_int64(value, 1, INT64_MAX / 2, &options->runs);
	if (strcmp(name, "--first-seed") == 0)
		return text_parse_int64(value, 0, INT64_MAX / 2, &options->first_seed);
	if (strcmp(name, "--jobs") == 0)
		return text_parse_int64(value, 1, JOBS_MAX, &options->jobs);
	if (strcmp(name, "--scenario") == 0) {
		options->scenario = find_scenario(value);
		return options->scenario != NULL;
	}
	options->one = true;
	return strcmp(name, "--seed") == 0 && text_parse_int64(value, 0, INT64_MAX / 2, &options->seed);
}

static bool take_options(struct module_options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0)
			options->trace = true;
		else if (i + 1 >= argc || !take_option(options, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return true;
}

/* ---- Runs
 * ----------------------------------------------------------------------------------------------------- */

static const struct scenario *scenario_for(const struct module_options *options, int64_t seed)
{
	return options->scenario ? options->scenario : &scenarios[(size_t)seed % scenario_count];
}

/* Runs SEED again, and shows the last lines of its story. */
static void show_tail(struct world *world, const struct scenario *scenario, int64_t seed)
{
	char *story = NULL, *from;
	size_t size = 0;
	FILE *memory = open_memstream(&story, &size);
	int lines = 0;

	if (!memory)
		return;
	world_run(world, scenario, (uint64_t)seed, memory);
	fclose(memory);
	for (from = story + size; from > story && lines <= TAIL_LINES; from--)
		lines += from[-1] == '\n' ? 1 : 0;
	fputs(lines > TAIL_LINES ? from + 1 : from, stdout);
	free(story);
}

static void tell_violation(struct world *world, const struct scenario *scenario, int64_t seed)
{
	printf("seed %lld, scenario '%s': %s\n", (long long)seed, scenario->name, world->violation);
	show_tail(world, scenario, seed);
	printf("seed %lld, scenario '%s': %s\n", (long long)seed, scenario->name, world->violation);
	printf("to see it again: sim --seed %lld --scenario '%s' --trace\n", (long long)seed, scenario->name);
}

static int run_one(struct world *world, const struct module_options *options)
{
	const struct scenario *scenario = scenario_for(options, options->seed);
	bool held = world_run(world, scenario, (uint64_t)options->seed, options->trace ? stdout : NULL);

	printf("seed %lld, scenario '%s': %s\n", (long long)options->seed, scenario->name,
	       held ? "every promise held" : world->violation);
	return held ? 0 : 1;
}

/* Every JOBS-th seed, from the JOB-th one on. */
static int run_share(struct world *world, const struct module_options *options, int64_t job)
{
	for (int64_t i = job; i < options->runs; i += options->jobs) {
		int64_t seed = options->first_seed + i;
		const struct scenario *scenario = scenario_for(options, seed);

		if (!world_run(world, scenario, (uint64_t)seed, NULL)) {
			tell_violation(world, scenario, seed);
			return 1;
		}
	}
	return 0;
}

/* ---- Several processes
 * ----------------------------------------------------------------------------------------- */

static void add_counts(struct counts *sum, const struct counts *more)
{
	uint64_t *to = (uint64_t *)sum;
	const uint64_t *from = (const uint64_t *)more;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

static int run_in_child(struct world *world, const struct module_options *options, int64_t job, int report_fd)
{
	int code = run_share(world, options, job);

	fflush(stdout);
	if (write(report_fd, &world->counts, sizeof(world->counts)) != (ssize_t)sizeof(world->counts))
		code = 2;
	return code;
}

static int run_jobs(struct world *world, const struct module_options *options)
{
	int report[2], worst = 0, status;
	struct counts counts;

	if (options->jobs == 1)
		return run_share(world, options, 0);
	if (pipe(report) != 0)
		return 2;
	fflush(stdout);
	for (int64_t job = 0; job < options->jobs; job++) {
		pid_t child = fork();

		if (child < 0)
			return 2;
		if (child == 0)
			_exit(run_in_child(world, options, job, report[1]));
	}
	close(report[1]);
	while (read(report[0], &counts, sizeof(counts)) == (ssize_t)sizeof(counts))
		add_counts(&world->counts, &counts);
	close(report[0]);
	while (wait(&status) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;

		worst = code > worst ? code : worst;
	}
	return worst;
}

static void print_figures(const struct counts *counts, const struct module_options *options, double seconds,
			  int code)
{
	printf("simulation: %llu runs (%llu cut short) from seed %lld in %.1f s (%.0f a second), %llu requests, "
	       "%llu grants, "
	       "%llu renewals, %llu releases, %llu refusals, %llu losses; %llu faults, %llu pauses, %llu crashes, "
	       "%llu clock jumps, %llu late copies that took effect, %llu TTL deletions, %llu evictions: %s\n",
	       (unsigned long long)counts->runs, (unsigned long long)counts->cut_short,
	       (long long)options->first_seed, seconds, (double)counts->runs / seconds,
	       (unsigned long long)counts->requests, (unsigned long long)counts->grants,
	       (unsigned long long)counts->renewals, (unsigned long long)counts->releases,
	       (unsigned long long)counts->refusals, (unsigned long long)counts->losses,
	       (unsigned long long)counts->faults, (unsigned long long)counts->pauses,
	       (unsigned long long)counts->crashes, (unsigned long long)counts->jumps,
	       (unsigned long long)counts->late_copies, (unsigned long long)counts->ttl_deletions,
	       (unsigned long long)counts->evictions, code == 0 ? "every promise held" : "A PROMISE WAS BROKEN");
}

int main(int argc, char **argv)
{
	struct module_options options = { .runs = 100000, .first_seed = 1, .jobs = 1 };
	struct world *world = calloc(1, sizeof(*world));
	struct timespec from, to;
	int code;

	if (!world || !take_options(&options, argc, argv))
		return usage();
	world_init(world);
	if (options.one) {
		code = run_one(world, &options);
		world_free(world);
		return code;
	}
	clock_gettime(CLOCK_MONOTONIC, &from);
	code = run_jobs(world, &options);
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_figures(&world->counts, &options,
		      (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9, code);
	world_free(world);
	return code;
}
