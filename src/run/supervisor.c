/* See supervisor.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/runtime.h"
#include "proc/descendants.h"
#include "proc/process.h"
#include "run/command.h"
#include "run/giving_back.h"
#include "run/renewing.h"
#include "term/report.h"
#include "term/speaker.h"

/* The renewing thread tells of a loss itself; after this time more it counts as stuck. */
#define RENEWING_LATE_NS (100 * NS_PER_MS)
/* Processes that end together with the command are not worth a notice. */
#define NOTICE_DELAY_NS (200 * NS_PER_MS)
#define LOOK_INTERVAL_MIN_NS (50 * NS_PER_MS)
#define LOOK_INTERVAL_MAX_NS (1 * NS_PER_S)

struct supervisor {
	struct run *run;
	struct run_state *state;
	awsflock_lease *lease;
	struct renewing renewing;
	struct command command;
	int child_fd; /* SIGCHLD */
	int timer_fd;
	int64_t notice_boot_ns;  /* when to name the leftovers; INT64_MAX: no more */
	int64_t stopped_boot_ns; /* since when the command is stopped; INT64_MAX: it is not */
	bool stop_is_said;
	bool has_children; /* as a subreaper: whatever descends from the command */
	bool launcher_is_gone;
	bool warned; /* the lease is lost, and the command runs on */
};

static void set_phase(struct supervisor *supervisor, enum run_phase phase)
{
	atomic_store(&supervisor->state->phase, phase);
}

/* ---- The lease ------------------------------------------------------------------------------------------- */

static void note_id(void *arg, const char *lock, const char *lease_id)
{
	struct run_state *state = arg;
	unsigned count = atomic_load(&state->id_count);

	(void)lock;
	memcpy(state->ids[count % RUN_IDS], lease_id, strnlen(lease_id, AWSFLOCK_LEASE_ID_SIZE - 1) + 1);
	atomic_store(&state->id_count, count + 1);
}

static void publish_deadline(struct supervisor *supervisor)
{
	atomic_store(&supervisor->state->deadline_boot_ns, awsflock_lease_deadline_boot_ns(supervisor->lease));
}

/* The exit code after the launcher's message, or its end, during the wait. */
static int end_by(struct supervisor *supervisor, int interrupt)
{
	if (interrupt < 0)
		return CLI_RUN_FAILED;
	atomic_store(&supervisor->state->ended_by, interrupt);
	return 128 + interrupt;
}

/* The exit code for a lock that was not taken. */
static int explain_failure(struct supervisor *supervisor, awsflock_code code, const awsflock_error *error)
{
	switch (code) {
	case AWSFLOCK_CANCELLED:
		if (error->outcome_unknown)
			report_failure(error);
		return end_by(supervisor, run_receive(supervisor->run->supervisor_socket));
	case AWSFLOCK_HELD:
	case AWSFLOCK_TIMED_OUT:
		report_failure(error);
		return supervisor->run->job->not_acquired_exit;
	case AWSFLOCK_INVALID:
		return report_failure(error);
	default:
		report_failure(error);
		return CLI_RUN_FAILED;
	}
}

/* Not while the user's shell has the terminal. */
static void show_waiting(void *arg, const awsflock_status *holder, int64_t waited_ms)
{
	const struct supervisor *supervisor = arg;
	const awsflock_acquire_options *options = &supervisor->run->job->acquire;

	if (options->waiting && !atomic_load(&supervisor->state->launcher_is_stopped))
		options->waiting(options->waiting_arg, holder, waited_ms);
}

/* Any message of the launcher, and its end too, ends the wait.  Without the lock there is no lease, and the exit code
 * is what it says: -E may make that 0. */
static int take_lock(struct supervisor *supervisor)
{
	const struct supervise_job *job = supervisor->run->job;
	awsflock_acquire_options options = job->acquire;
	awsflock_error error;
	awsflock_code code;

	options.pid = supervisor->run->launcher_pid; /* the one that signals work on */
	options.waiting = show_waiting;
	options.waiting_arg = supervisor;
	awsflock_set_lease_id_callback(job->context, note_id, supervisor->state);
	awsflock_set_stop_fd(job->context, supervisor->run->supervisor_socket);
	awsflock_set_give_back_later(job->context, true);
	code = awsflock_acquire(job->context, job->lock, &options, &supervisor->lease, &error);
	awsflock_set_stop_fd(job->context, -1);
	report_live_line(NULL);
	if (code != AWSFLOCK_OK) {
		int result = explain_failure(supervisor, code, &error);

		giving_back_start(job->context, job->lock);
		return result;
	}
	publish_deadline(supervisor);
	run_send(supervisor->run->supervisor_socket, RUN_WAKE);
	report_debug("'%s' is held, fence %" PRIu64, job->lock, awsflock_lease_fence(supervisor->lease));
	return CLI_OK;
}

static void give_back(struct supervisor *supervisor)
{
	awsflock_error error;

	set_phase(supervisor, RUN_RELEASING);
	renewing_stop(&supervisor->renewing);
	if (awsflock_release(supervisor->lease, 0, &error) != AWSFLOCK_OK)
		report_failure(&error);
	else
		report_debug("'%s' is released", supervisor->run->job->lock);
}

/* The thread that renews says so, or it should have by now. */
static bool is_lost(const struct supervisor *supervisor, const char **reason)
{
	int64_t last_ns =
		awsflock_lease_deadline_boot_ns(supervisor->lease) - run_stop_ms(supervisor->run->job) * NS_PER_MS;

	if (renewing_has_ended(&supervisor->renewing)) {
		*reason = supervisor->renewing.error.message;
		return true;
	}
	*reason = "the lease could not be renewed in time";
	return clock_boot_ns() >= last_ns + RENEWING_LATE_NS;
}

/* ---- Waiting for something to happen --------------------------------------------------------------------- */

/* The launcher must know each renewal before it would act on the deadline before.  By half of the lease one has
 * normally come; after that it is looked for more often. */
static int64_t next_look_boot_ns(const struct supervisor *supervisor)
{
	int64_t now_ns = clock_boot_ns(), deadline_ns = atomic_load(&supervisor->state->deadline_boot_ns);
	int64_t lease_ns = awsflock_lease_seconds(supervisor->lease) * NS_PER_S;
	int64_t last_ns = deadline_ns - run_stop_ms(supervisor->run->job) * NS_PER_MS + RENEWING_LATE_NS;
	int64_t interval_ns = lease_ns / 20, next_ns = deadline_ns - lease_ns / 2;

	if (interval_ns < LOOK_INTERVAL_MIN_NS)
		interval_ns = LOOK_INTERVAL_MIN_NS;
	if (interval_ns > LOOK_INTERVAL_MAX_NS)
		interval_ns = LOOK_INTERVAL_MAX_NS;
	if (next_ns <= now_ns)
		next_ns = now_ns + interval_ns;
	return next_ns < last_ns ? next_ns : last_ns;
}

/* When a command that is stopped has been so for long enough; INT64_MAX: never, as things stand. */
static int64_t stop_ends_boot_ns(const struct supervisor *supervisor)
{
	int64_t after_ms = supervisor->run->job->stopped_end_after_ms;

	return after_ms == 0 || supervisor->stopped_boot_ns == INT64_MAX
		       ? INT64_MAX
		       : supervisor->stopped_boot_ns + after_ms * NS_PER_MS;
}

static void set_timer(const struct supervisor *supervisor)
{
	int64_t next_ns = supervisor->warned ? INT64_MAX : next_look_boot_ns(supervisor);
	struct itimerspec when = { .it_value = { 0, 0 } };

	if (supervisor->notice_boot_ns < next_ns)
		next_ns = supervisor->notice_boot_ns;
	if (stop_ends_boot_ns(supervisor) < next_ns)
		next_ns = stop_ends_boot_ns(supervisor);
	if (next_ns != INT64_MAX) {
		when.it_value.tv_sec = next_ns / NS_PER_S;
		when.it_value.tv_nsec = next_ns % NS_PER_S;
	}
	timerfd_settime(supervisor->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Nothing is read here but what only wakes: setting a timer anew makes it unreadable. */
static void wait_for_event(struct supervisor *supervisor)
{
	struct signalfd_siginfo child;
	struct pollfd fds[] = {
		{ .fd = supervisor->child_fd, .events = POLLIN },
		{ .fd = supervisor->run->supervisor_socket, .events = POLLIN },
		{ .fd = supervisor->timer_fd, .events = POLLIN },
		{ .fd = supervisor->warned ? -1 : supervisor->renewing.ended_fd, .events = POLLIN },
	};

	set_timer(supervisor);
	poll(fds, sizeof(fds) / sizeof(fds[0]), -1);
	while (read(supervisor->child_fd, &child, sizeof(child)) > 0)
		;
}

/* ---- The command and what descends from it --------------------------------------------------------------- */

static void wake_launcher(const struct supervisor *supervisor)
{
	if (atomic_load(&supervisor->state->launcher_is_stopped))
		process_pidfd_signal(supervisor->run->launcher_pidfd, SIGCONT);
}

/* Whoever sits at the terminal may not think of the lock any more. */
static void command_stopped(struct supervisor *supervisor, int signal_number)
{
	const struct supervise_job *job = supervisor->run->job;

	supervisor->stopped_boot_ns = clock_boot_ns();
	if (!supervisor->stop_is_said && !supervisor->warned && isatty(STDERR_FILENO))
		report_notice("the command is stopped: '%s' remains held %s (see --stopped)", job->lock,
			      job->stopped_end_after_ms ? "for some time" : "until it is continued");
	supervisor->stop_is_said = true;
	run_send(supervisor->run->supervisor_socket, signal_number);
}

static void command_ended(struct supervisor *supervisor, const siginfo_t *info)
{
	bool exited = info->si_code == CLD_EXITED;

	report_debug("process %d has ended by %s %d", (int)supervisor->command.pid, exited ? "exit code" : "signal",
		     info->si_status);
	supervisor->command.pid = 0;
	supervisor->stopped_boot_ns = INT64_MAX;
	atomic_store(&supervisor->state->ended_by, exited ? 0 : info->si_status);
	atomic_store(&supervisor->state->command_exit, exited ? info->si_status : 128 + info->si_status);
}

static void note_child(struct supervisor *supervisor, const siginfo_t *info)
{
	if (info->si_pid != supervisor->command.pid)
		return; /* one that the command left behind */
	switch (info->si_code) {
	case CLD_STOPPED:
		if (atomic_load(&supervisor->state->phase) == RUN_RUNNING)
			command_stopped(supervisor, info->si_status);
		break;
	case CLD_CONTINUED:
		supervisor->stopped_boot_ns = INT64_MAX;
		wake_launcher(supervisor);
		break;
	default:
		command_ended(supervisor, info);
		break;
	}
}

static void reap_children(struct supervisor *supervisor)
{
	for (;;) {
		siginfo_t info = { .si_pid = 0 };
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) != 0) {
			supervisor->has_children = errno != ECHILD;
			return;
		}
		if (info.si_pid == 0)
			return;
		note_child(supervisor, &info);
	}
}

/* The command's process group, as far as it descends from the command: the rest of it is the user's pipeline. */
static void signal_command(struct supervisor *supervisor, int signal_number)
{
	struct descendants descendants;
	struct process command;

	descendants_init(&descendants, getpid(), 0);
	if (process_read(supervisor->command.pid, &command) && descendants_scan(&descendants))
		descendants_signal(&descendants, signal_number, command.group);
	descendants_free(&descendants);
}

static void signal_leftovers(int signal_number)
{
	struct descendants descendants;

	/* A shell makes what it starts with "&" ignore SIGINT: nobody means that now. */
	if (signal_number == SIGINT)
		signal_number = SIGTERM;
	descendants_init(&descendants, getpid(), 0);
	if (descendants_scan(&descendants))
		descendants_signal(&descendants, signal_number, 0);
	descendants_free(&descendants);
}

static void hear_launcher(struct supervisor *supervisor)
{
	int signal_number;

	while ((signal_number = run_receive(supervisor->run->supervisor_socket)) > 0) {
		/* So that every stop before this is told before the answer: the launcher ignores it. */
		if (signal_number == SIGCONT)
			reap_children(supervisor);
		if (supervisor->command.pid)
			signal_command(supervisor, signal_number);
		else
			signal_leftovers(signal_number);
		if (signal_number == SIGCONT)
			run_send(supervisor->run->supervisor_socket, SIGCONT);
	}
	if (signal_number < 0)
		supervisor->launcher_is_gone = true;
}

static bool has_no_children(void *arg)
{
	struct supervisor *supervisor = arg;

	reap_children(supervisor);
	return !supervisor->has_children;
}

/* False, with the reason said, where something is left. */
static bool end_everything(struct supervisor *supervisor)
{
	set_phase(supervisor, RUN_ENDING);
	return run_end_descendants(supervisor->run, 0, run_kill_boot_ns(supervisor->run), has_no_children,
				   supervisor);
}

/* ---- How it ends ----------------------------------------------------------------------------------------- */

/* Nothing of the command runs any more: then an evicted lease is to keep nobody waiting. */
static void free_evicted(struct supervisor *supervisor)
{
	awsflock_error error;

	renewing_stop(&supervisor->renewing);
	if (awsflock_lease_is_evicted(supervisor->lease) &&
	    awsflock_release(supervisor->lease, 0, &error) != AWSFLOCK_OK)
		report_debug("%s", error.message);
}

static int end_without_lease(struct supervisor *supervisor)
{
	if (end_everything(supervisor))
		free_evicted(supervisor);
	return CLI_RUN_LOST;
}

static int end_without_launcher(struct supervisor *supervisor)
{
	report_error("awsflock was killed: ending the command that holds '%s'", supervisor->run->job->lock);
	if (end_everything(supervisor) && !supervisor->warned)
		give_back(supervisor);
	return CLI_RUN_FAILED;
}

static void give_notice(struct supervisor *supervisor)
{
	struct descendants descendants;

	supervisor->notice_boot_ns = INT64_MAX;
	descendants_init(&descendants, getpid(), 0);
	if (descendants_scan(&descendants) && descendants.members.count > 0)
		report_notice("the command has ended and left %zu process%s (first: %d, %s): holding '%s' until "
			      "nothing of it runs (see --leftovers)",
			      descendants.members.count, descendants.members.count == 1 ? "" : "es",
			      (int)descendants.members.processes[0].pid, descendants.members.processes[0].name,
			      supervisor->run->job->lock);
	descendants_free(&descendants);
}

/* True while the lock is to be held for what the command left. */
static bool holds_for_leftovers(struct supervisor *supervisor)
{
	if (!supervisor->has_children || supervisor->warned || supervisor->run->job->leftovers != SUPERVISE_HOLD)
		return false;
	if (atomic_load(&supervisor->state->phase) != RUN_HOLDING) {
		set_phase(supervisor, RUN_HOLDING);
		supervisor->notice_boot_ns = clock_boot_ns() + NOTICE_DELAY_NS;
	} else if (clock_boot_ns() >= supervisor->notice_boot_ns) {
		give_notice(supervisor);
	}
	return true;
}

static int finish(struct supervisor *supervisor)
{
	bool all_ended = true;

	if (supervisor->has_children && supervisor->run->job->leftovers == SUPERVISE_END)
		all_ended = end_everything(supervisor);
	if (all_ended && !supervisor->warned)
		give_back(supervisor);
	else if (all_ended)
		free_evicted(supervisor);
	return atomic_load(&supervisor->state->command_exit);
}

/* Whoever continued it could work on without the lock: so it is ended first. */
static int end_stopped(struct supervisor *supervisor)
{
	report_error("the command was stopped for %g s: ending it, and releasing '%s' (see --stopped)",
		     (double)supervisor->run->job->stopped_end_after_ms / MS_PER_S, supervisor->run->job->lock);
	supervisor->stopped_boot_ns = INT64_MAX;
	if (!end_everything(supervisor))
		return CLI_RUN_FAILED;
	if (!supervisor->warned)
		give_back(supervisor);
	return atomic_load(&supervisor->state->command_exit);
}

/* Says it; true where the command is to be ended. */
static bool must_stop(struct supervisor *supervisor)
{
	const char *reason;

	if (supervisor->warned || !is_lost(supervisor, &reason))
		return false;
	/* First of all: whatever happens to this process from here on, the launcher knows it. */
	atomic_store(&supervisor->state->lost, true);
	run_say_lost(supervisor->run, reason);
	if (supervisor->run->job->on_lost == SUPERVISE_STOP)
		return true;
	supervisor->warned = true;
	return false;
}

/* The deadline comes first after every wait, since that may have been a suspended machine's. */
static int watch_command(struct supervisor *supervisor)
{
	for (;;) {
		wait_for_event(supervisor);
		if (must_stop(supervisor))
			return end_without_lease(supervisor);
		if (!supervisor->warned)
			publish_deadline(supervisor);
		reap_children(supervisor);
		hear_launcher(supervisor);
		if (supervisor->launcher_is_gone)
			return end_without_launcher(supervisor);
		if (clock_boot_ns() >= stop_ends_boot_ns(supervisor))
			return end_stopped(supervisor);
		if (!supervisor->command.pid && !holds_for_leftovers(supervisor))
			return finish(supervisor);
	}
}

/* ---- How it begins --------------------------------------------------------------------------------------- */

static bool open_descriptors(struct supervisor *supervisor)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	supervisor->child_fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	supervisor->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return supervisor->child_fd >= 0 && supervisor->timer_fd >= 0;
}

/* An interrupt that came with the grant: nothing is started any more.  0: none came. */
static int late_interrupt(struct supervisor *supervisor)
{
	int interrupt = run_receive(supervisor->run->supervisor_socket);

	return interrupt == 0 ? 0 : end_by(supervisor, interrupt);
}

static int start_command(struct supervisor *supervisor)
{
	struct run *run = supervisor->run;
	int result = command_start(run, supervisor->lease, &supervisor->command);

	if (result != CLI_OK)
		return result;
	report_debug("'%s' runs as process %d", run->job->argv[0], (int)supervisor->command.pid);
	supervisor->has_children = true;
	set_phase(supervisor, RUN_RUNNING);
	/* Ctrl-Z during the wait: the command begins as a stopped one.  After the phase, since the launcher, when it
	 * is continued, looks at these two in the other order. */
	if (atomic_load(&supervisor->state->launcher_is_stopped))
		signal_command(supervisor, SIGSTOP);
	if (renewing_start(&supervisor->renewing, run->job->context, supervisor->lease, run_stop_ms(run->job)))
		return CLI_OK;
	report_error("cannot start a thread to renew '%s': %s", run->job->lock, strerror(errno));
	end_everything(supervisor);
	return CLI_RUN_FAILED;
}

static int hold_and_run(struct supervisor *supervisor)
{
	int result = take_lock(supervisor);

	if (supervisor->lease) {
		result = late_interrupt(supervisor);
		if (result == 0)
			result = start_command(supervisor);
		if (result == 0)
			return watch_command(supervisor);
	}
	if (supervisor->has_children)
		return result;
	command_discard(&supervisor->command);
	if (supervisor->lease && result != CLI_RUN_LOST)
		give_back(supervisor);
	return result;
}

/* The command's process first: it is to stay in the session that this one leaves, see command.c.  Out here neither the
 * keyboard reaches the supervisor nor whoever signals the launcher's group. */
static bool make_command_and_leave(struct supervisor *supervisor)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0 &&
	       command_prepare(supervisor->run, &supervisor->command) && setsid() >= 0;
}

void supervisor_run(struct run *run)
{
	struct supervisor supervisor = {
		.run = run, .state = run->state, .notice_boot_ns = INT64_MAX, .stopped_boot_ns = INT64_MAX
	};
	int result = CLI_RUN_FAILED;

	speaker_start();
	if (make_command_and_leave(&supervisor) && open_descriptors(&supervisor))
		result = hold_and_run(&supervisor);
	else
		report_error("cannot supervise a command: %s", strerror(errno));
	atomic_store(&run->state->exit_code, result);
	speaker_finish(RUN_LAST_WORDS_MS);
}
