/* See supervise.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/forked_exit.h"
#include "base/pidfd.h"
#include "proc/descendants.h"
#include "proc/process.h"
#include "run/launcher.h"
#include "run/nesting.h"
#include "run/run_state.h"
#include "run/supervisor.h"
#include "term/report.h"
#include "term/speaker.h"

#define LEASE_PER_STOP 3 /* what awsflock_keepalive() asks for */
/* Over those of the start: up to 13 were seen to be needed at once, and resolvers and TLS may open more files. */
#define DESCRIPTORS_NEEDED 24

/* ---- What is refused before anything is taken ------------------------------------------------------------ */

static int check_lease(const struct supervise_job *job)
{
	int64_t lease_seconds = job->acquire.lease_seconds, least_ms = LEASE_PER_STOP * run_stop_ms(job);
	const char *configured = awsflock_get(job->context, "lease_duration");
	awsflock_error error;

	if (lease_seconds == 0 && configured &&
	    awsflock_parse_duration(configured, &lease_seconds, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (lease_seconds >= (least_ms + 999) / 1000)
		return CLI_OK;
	report_error("a lease of %" PRId64 " s is too short for a command that may take %g s to end (--kill-after, "
		     "and a margin): give it at least %" PRId64 " s (--lease-duration)",
		     lease_seconds, (double)run_stop_ms(job) / 1000, (least_ms + 999) / 1000);
	return CLI_USAGE;
}

static int check_nesting(struct run *run)
{
	const char *store_name;
	awsflock_error error;
	bool nested;

	if (awsflock_store_name(run->job->context, &store_name, &error) != AWSFLOCK_OK)
		return report_failure(&error) == CLI_USAGE ? CLI_USAGE : CLI_RUN_FAILED;
	if (!nesting_check(getenv(NESTING_VARIABLE), store_name, run->job->lock, &nested, &run->marks)) {
		report_error("out of memory");
		return CLI_RUN_FAILED;
	}
	if (!nested)
		return CLI_OK;
	report_error(
		"'%s' is already held by the 'awsflock run' that this one runs inside: it would wait for itself",
		run->job->lock);
	return CLI_RUN_FAILED;
}

/* Not where it is not mounted, or is another process id namespace's (`unshare --pid` without --mount-proc), whose
 * ids mean nothing or somebody else here. */
static bool proc_shows_this_process(void)
{
	char own[24], link[24];
	ssize_t size = readlink("/proc/self", link, sizeof(link));
	int own_size = snprintf(own, sizeof(own), "%d", (int)getpid());

	return size == own_size && memcmp(own, link, (size_t)size) == 0;
}

/* Without /proc the processes that are to be ended could not be found. */
static int check_proc(void)
{
	struct descendants descendants;
	bool readable;

	descendants_init(&descendants, getpid(), 0);
	readable = descendants_scan(&descendants);
	descendants_free(&descendants);
	if (readable && proc_shows_this_process())
		return CLI_OK;
	if (readable)
		report_error(
			"/proc does not show this process, so that a command's processes could not be found and "
			"ended: mount it anew (unshare --mount-proc)");
	else
		report_error("cannot read /proc, which is needed to find and end a command's processes: %s",
			     strerror(errno));
	return CLI_RUN_FAILED;
}

/* A process that has run out of descriptors can neither renew a lease nor find who is to be ended. */
static int check_descriptors(void)
{
	int fds[DESCRIPTORS_NEEDED], count = 0, failure = 0;

	while (count < DESCRIPTORS_NEEDED && failure == 0) {
		fds[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		if (fds[count] >= 0)
			count++;
		else
			failure = errno;
	}
	for (int i = 0; i < count; i++)
		close(fds[i]);
	if (failure == 0)
		return CLI_OK;
	report_error(
		"too few files may be open to supervise a command (%d more, and %d are needed: see ulimit -n): "
		"%s",
		count, DESCRIPTORS_NEEDED, strerror(failure));
	return CLI_RUN_FAILED;
}

/* ---- What both processes share --------------------------------------------------------------------------- */

static bool make_state(struct run *run)
{
	void *page = mmap(NULL, sizeof(*run->state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return false;
	run->state = page;
	atomic_init(&run->state->phase, RUN_TAKING);
	atomic_init(&run->state->deadline_boot_ns, INT64_MAX);
	atomic_init(&run->state->command_exit, -1);
	atomic_init(&run->state->exit_code, -1);
	return true;
}

static bool open_run(struct run *run)
{
	int pair[2];

	run->launcher_pid = getpid();
	run->launcher_pidfd = process_pidfd_open(run->launcher_pid);
	if (run->launcher_pidfd < 0 || !make_state(run))
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	run->launcher_socket = pair[0];
	run->supervisor_socket = pair[1];
	return true;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_run(struct run *run)
{
	close_fd(&run->launcher_pidfd);
	close_fd(&run->launcher_socket);
	close_fd(&run->supervisor_socket);
	if (run->state)
		munmap(run->state, sizeof(*run->state));
	free(run->marks);
}

/* ---- Signals --------------------------------------------------------------------------------------------- */

static void note_ignored(sigset_t *ignored)
{
	sigset_t signals;

	sigemptyset(ignored);
	launcher_signals(&signals);
	for (int number = 1; number < NSIG; number++) {
		struct sigaction action;
		if (sigismember(&signals, number) == 1 && sigaction(number, NULL, &action) == 0 &&
		    action.sa_handler == SIG_IGN)
			sigaddset(ignored, number);
	}
}

/* From here on signals are read, not caught.  An ignored SIGCHLD would make children vanish unseen. */
static void take_signals(struct run *run)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t signals;

	note_ignored(&run->ignored);
	sigemptyset(&by_default.sa_mask);
	run->user_pipe_action = by_default;
	launcher_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &run->user_mask);
	sigaction(SIGCHLD, &by_default, &run->user_child_action);
}

/* All but what the kernel says of a fault in this process itself. */
static void block_all_signals(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&all, faults[i]);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

/* An agent that a credential_process leaves behind is not the command's, and must not be held for, or ended, as one.
 * The local store, which check_nesting() has opened, asks no such program. */
static int keep_helpers_outside(const struct supervise_job *job)
{
	awsflock_error error;

	if (strcmp(awsflock_get(job->context, "store"), "local") == 0)
		return CLI_OK;
	if (awsflock_start_programs_outside(job->context, &error) == AWSFLOCK_OK)
		return CLI_OK;
	report_failure(&error);
	return CLI_RUN_FAILED;
}

/* ---- The two processes ----------------------------------------------------------------------------------- */

static int split(struct run *run)
{
	const char *fault = pidfd_fault();
	pid_t supervisor;

	if (fault) {
		report_error("cannot supervise a command: %s", fault);
		return CLI_RUN_FAILED;
	}
	if (!open_run(run) || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
		report_error("cannot supervise a command: %s", strerror(errno));
		return CLI_RUN_FAILED;
	}
	take_signals(run);
	supervisor = fork();
	if (supervisor < 0) {
		report_error("cannot start a process to hold '%s': %s", run->job->lock, strerror(errno));
		return CLI_RUN_FAILED;
	}
	if (supervisor == 0) {
		block_all_signals();
		close_fd(&run->launcher_socket);
		supervisor_run(run);
		forked_exit(0);
	}
	close_fd(&run->supervisor_socket);
	return launcher_run(run, supervisor);
}

/* Returns where the signal is still ignored, or blocked by something else. */
static void die_by(int signal_number)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL };
	sigset_t one;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* the core dump is the command's */
	sigemptyset(&by_default.sa_mask);
	sigaction(signal_number, &by_default, NULL);
	raise(signal_number);
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

int supervise_run(const struct supervise_job *job)
{
	struct run run = { .job = job, .launcher_pidfd = -1, .launcher_socket = -1, .supervisor_socket = -1 };
	int result = check_lease(job);

	if (result == CLI_OK)
		result = check_proc();
	if (result == CLI_OK)
		result = check_descriptors();
	if (result == CLI_OK)
		result = check_nesting(&run);
	if (result == CLI_OK)
		result = keep_helpers_outside(job);
	if (result == CLI_OK)
		result = split(&run);
	close_run(&run);
	speaker_finish(RUN_LAST_WORDS_MS);
	if (run.dies_by != 0)
		die_by(run.dies_by);
	return result;
}
