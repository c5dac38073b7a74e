/* A contender of the soak and the critical section of others.  Its events go to a history, see history.py, and its
 * work to a resource that knows fences: a file per lock with the highest fence that wrote.
 *
 *   worker loop LOCK HISTORY RESOURCE LEASE_S SEED          acquire, section, release, over and over until SIGTERM
 *   worker section LOCK HISTORY RESOURCE LEASE_S WORK_MS    one section inside `awsflock run`
 *   worker begin|resume|end LOCK HISTORY RESOURCE LEASE_S WORK_MS HOLDER FENCE DEADLINE_NS
 *                                                           a part of a section whose lease is kept by hand
 *   worker doubt LOCK HISTORY                               says that some request's outcome is unknown
 *   worker now                                              CLOCK_BOOTTIME in nanoseconds
 *
 * The parts by hand exit 3 once DEADLINE_NS has passed.  SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "awsflock.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NO_DEADLINE INT64_MAX
#define HOLDER_SIZE 64
#define EXIT_TOO_LATE 3
/* One section in so many is long enough to be renewed, and one tries the resource again after it has ended. */
#define LONG_ONE_IN 400
#define STALE_ONE_IN 16

struct section {
	const char *lock;
	char holder[HOLDER_SIZE];
	uint64_t fence;
	int64_t lease_s, deadline_ns;
	int history_fd, resource_fd;
};

static volatile sig_atomic_t stopping;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void pause_ms(int64_t ms)
{
	struct timespec pause = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * NS_PER_MS) };

	nanosleep(&pause, NULL);
}

static int64_t number(const char *text)
{
	char *end;
	long long value = strtoll(text, &end, 10);

	if (*text == '\0' || *end != '\0' || value < 0) {
		fprintf(stderr, "worker: no number: %s\n", text);
		exit(2);
	}
	return value;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	return fd;
}

/* ---- The history --------------------------------------------------------------------------------------------- */

/* One line in one write, so that whoever is killed leaves whole lines. */
__attribute__((format(printf, 4, 5))) static void note(const struct section *section, int64_t at_ns,
						       const char *kind, const char *format, ...)
{
	char line[512];
	int used =
		snprintf(line, sizeof(line), "%" PRId64 " %s %s %s", at_ns, kind, section->lock, section->holder);
	va_list arguments;

	va_start(arguments, format);
	used += vsnprintf(line + used, sizeof(line) - (size_t)used, format, arguments);
	va_end(arguments);
	line[used++] = '\n';
	if (write(section->history_fd, line, (size_t)used) != used)
		die("history");
}

static void note_begin(const struct section *section, int64_t at_ns, const char *by)
{
	char deadline[40] = "";

	if (section->deadline_ns != NO_DEADLINE)
		snprintf(deadline, sizeof(deadline), " deadline=%" PRId64, section->deadline_ns);
	note(section, at_ns, "begin", " by=%s lease=%" PRId64 " fence=%" PRIu64 "%s", by, section->lease_s,
	     section->fence, deadline);
}

/* ---- The resource -------------------------------------------------------------------------------------------- */

/* Refuses whoever comes with a fence below the highest it has seen.  False: too late to have written. */
static bool write_resource(const struct section *section, bool whenever)
{
	uint64_t highest = 0;
	bool in_time, accepted = false;

	flock(section->resource_fd, LOCK_EX);

	int64_t at_ns = now_ns(); /* after the wait for that */

	in_time = whenever || at_ns < section->deadline_ns;
	if (in_time) {
		if (pread(section->resource_fd, &highest, sizeof(highest), 0) < 0)
			die("resource");
		accepted = section->fence >= highest;
		if (accepted && pwrite(section->resource_fd, &section->fence, sizeof(section->fence), 0) < 0)
			die("resource");
		note(section, at_ns, "write", " fence=%" PRIu64 " accepted=%d", section->fence, accepted);
	}
	flock(section->resource_fd, LOCK_UN);
	return in_time;
}

/* Shows that it lives while it works.  False once it is too late to go on. */
static bool work(const struct section *section, int64_t until_ns, int64_t pace_ms)
{
	for (;;) {
		int64_t at_ns = now_ns();

		if (at_ns >= section->deadline_ns)
			return false;
		note(section, at_ns, "tick", "%s", "");
		if (at_ns >= until_ns)
			return true;
		pause_ms(pace_ms);
	}
}

/* ---- A section inside `awsflock run`, and one by hand
 * --------------------------------------------------------- */

static int section_in_run(struct section *section, int64_t work_ms)
{
	const char *fence = getenv("AWSFLOCK_FENCE");
	int64_t at_ns = now_ns();

	section->fence = (uint64_t)number(fence ? fence : "");
	section->deadline_ns = NO_DEADLINE; /* whoever keeps the lease ends this process in time */
	snprintf(section->holder, sizeof(section->holder), "%d-%" PRId64, (int)getpid(), at_ns);
	note_begin(section, at_ns, "run");
	write_resource(section, false);
	work(section, at_ns + work_ms * NS_PER_MS, 5);
	note(section, now_ns(), "end", "%s", "");
	return 0;
}

static int part_by_hand(struct section *section, const char *part, int64_t work_ms)
{
	int64_t at_ns = now_ns();

	if (at_ns >= section->deadline_ns)
		return EXIT_TOO_LATE;
	if (strcmp(part, "begin") == 0)
		note_begin(section, at_ns, "hand");
	else if (strcmp(part, "resume") == 0)
		note(section, at_ns, "renew", " deadline=%" PRId64, section->deadline_ns);
	if (strcmp(part, "end") == 0)
		note(section, at_ns, "end", "%s", "");
	else if (!write_resource(section, false) || !work(section, at_ns + work_ms * NS_PER_MS, 5))
		return EXIT_TOO_LATE;
	return 0;
}

/* ---- A contender
 * ---------------------------------------------------------------------------------------------- */

static void stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

static bool must_stop(void *arg)
{
	(void)arg;
	return stopping != 0;
}

static awsflock *open_context(void)
{
	awsflock_error error;
	awsflock *context = NULL;

	if (awsflock_new(&context, &error) != AWSFLOCK_OK ||
	    awsflock_load_config(context, NULL, &error) != AWSFLOCK_OK) {
		fprintf(stderr, "worker: %s\n", error.message);
		exit(2);
	}
	awsflock_set_stop(context, must_stop, NULL);
	return context;
}

/* Whatever is not a plain answer about the lock may still take effect. */
static void note_trouble(const struct section *section, awsflock_code code, const awsflock_error *error)
{
	if (error->outcome_unknown || code >= AWSFLOCK_TIMED_OUT)
		note(section, now_ns(), "doubt", "%s", "");
	if (code >= AWSFLOCK_INVALID && code != AWSFLOCK_UNREACHABLE && code != AWSFLOCK_THROTTLED &&
	    code != AWSFLOCK_PROTOCOL)
		fprintf(stderr, "worker: %s\n", error->message);
}

/* A long section renews its lease once.  False where it must not go on. */
static bool work_long(struct section *section, awsflock_lease *lease)
{
	awsflock_error error;
	awsflock_code code;

	if (!work(section, now_ns() + section->lease_s * NS_PER_S / 4, 50))
		return false;
	code = awsflock_renew(lease, 0, NULL, &error);
	if (code != AWSFLOCK_OK) {
		note_trouble(section, code, &error);
		return code != AWSFLOCK_LOST && work(section, now_ns(), 1);
	}
	section->deadline_ns = awsflock_lease_deadline_boot_ns(lease);
	note(section, now_ns(), "renew", " deadline=%" PRId64, section->deadline_ns);
	return work(section, now_ns() + section->lease_s * NS_PER_S / 4, 50);
}

static void hold(struct section *section, awsflock_lease *lease, unsigned short seed[3])
{
	int64_t at_ns = now_ns();

	section->fence = awsflock_lease_fence(lease);
	section->deadline_ns = awsflock_lease_deadline_boot_ns(lease);
	if (at_ns >= section->deadline_ns)
		return;
	note_begin(section, at_ns, "worker");
	if (write_resource(section, false) && work(section, at_ns + nrand48(seed) % 3 * NS_PER_MS, 1) &&
	    nrand48(seed) % LONG_ONE_IN == 0)
		work_long(section, lease);
	note(section, now_ns(), "end", "%s", "");
}

static void contend_once(struct section *section, awsflock *context, unsigned short seed[3])
{
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	awsflock_lease *lease = NULL;
	awsflock_error error;
	awsflock_code code;

	options.lease_seconds = section->lease_s;
	options.wait_ms = 5000;
	code = awsflock_acquire(context, section->lock, &options, &lease, &error);
	if (code != AWSFLOCK_OK) {
		note_trouble(section, code == AWSFLOCK_TIMED_OUT ? AWSFLOCK_HELD : code, &error);
		if (code != AWSFLOCK_TIMED_OUT)
			pause_ms(20);
		return;
	}
	hold(section, lease, seed);
	code = awsflock_release(lease, 0, &error);
	if (code != AWSFLOCK_OK)
		note_trouble(section, code, &error);
	if (nrand48(seed) % STALE_ONE_IN == 0) {
		pause_ms(nrand48(seed) % 40);
		write_resource(section, true);
	}
	awsflock_lease_free(&lease);
}

static int contend(struct section *section, int64_t seed_number)
{
	unsigned short seed[3] = { (unsigned short)seed_number, (unsigned short)(seed_number >> 16), 0x330E };
	struct sigaction action = { .sa_handler = stop };
	awsflock *context = open_context();

	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	for (uint64_t count = 0; !stopping; count++) {
		snprintf(section->holder, sizeof(section->holder), "%d-%" PRIu64, (int)getpid(), count);
		contend_once(section, context, seed);
		pause_ms(nrand48(seed) % 5);
	}
	awsflock_free(&context);
	return 0;
}

/* ---- The program
 * ---------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct section section = { .resource_fd = -1, .deadline_ns = NO_DEADLINE, .holder = "-" };
	const char *mode = argc > 1 ? argv[1] : "";

	if (strcmp(mode, "now") == 0)
		return printf("%" PRId64 "\n", now_ns()) < 0;
	if (argc < 4)
		return 2;
	section.lock = argv[2];
	section.history_fd = open_or_die(argv[3], O_WRONLY | O_APPEND);
	if (strcmp(mode, "doubt") == 0) {
		note(&section, now_ns(), "doubt", "%s", "");
		return 0;
	}
	if (argc < 7)
		return 2;
	section.resource_fd = open_or_die(argv[4], O_RDWR);
	section.lease_s = number(argv[5]);
	if (strcmp(mode, "loop") == 0)
		return contend(&section, number(argv[6]));
	if (strcmp(mode, "section") == 0)
		return section_in_run(&section, number(argv[6]));
	if (argc < 10)
		return 2;
	snprintf(section.holder, sizeof(section.holder), "%s", argv[7]);
	section.fence = (uint64_t)number(argv[8]);
	section.deadline_ns = number(argv[9]);
	return part_by_hand(&section, mode, number(argv[6]));
}
