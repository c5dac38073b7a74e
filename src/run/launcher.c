/* See launcher.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/launcher.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/runtime.h"
#include "proc/descendants.h"
#include "term/report.h"
#include "term/speaker.h"

/* A supervisor that is well acts at deadline - kill_after - RUN_STOP_MARGIN_MS.  This much later it counts as
 * stalled. */
#define STALLED_AFTER_MS INT64_C(200)
/* If it stalls while it ends the command, the rest is done this long before the deadline. */
#define LAST_RESORT_MS INT64_C(150)

#define LEASE_RUNS_OUT "the lease runs out: the awsflock process that renews it does not run"
/* The reason has gone with the supervisor, and with a lease that another has taken. */
#define LEASE_IS_LOST "the lease is lost, and the awsflock process that renewed it has ended"

struct launcher {
	struct run *run;
	struct run_state *state;
	pid_t supervisor;
	bool supervisor_ended;
	int supervisor_status; /* as of waitpid() */
	bool socket_ended;
	sigset_t typed;     /* signals that came from the keyboard */
	int continues_sent; /* and not answered: stops that are told now were before them */
	int signal_fd;
	int timer_fd;
};

void launcher_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2,
				       SIGCONT, SIGTSTP, SIGTTOU, SIGCHLD, SIGPIPE, SIGXFSZ };

	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
}

static enum run_phase phase_of(const struct launcher *launcher)
{
	return (enum run_phase)atomic_load(&launcher->state->phase);
}

/* ---- Doing what the supervisor did not ------------------------------------------------------------------- */

static void reap_supervisor(struct launcher *launcher, int flags)
{
	if (!launcher->supervisor_ended &&
	    waitpid(launcher->supervisor, &launcher->supervisor_status, flags) == launcher->supervisor)
		launcher->supervisor_ended = true;
}

/* Whether nothing descends from this process any more: as a subreaper it inherits all there is. */
static bool has_no_children(void *arg)
{
	(void)arg;
	for (;;) {
		pid_t child = waitpid(-1, NULL, WNOHANG);
		if (child < 0)
			return errno == ECHILD;
		if (child == 0)
			return false;
	}
}

/* False, with the reason said, where something is left. */
static bool end_descendants(struct launcher *launcher, int64_t kill_boot_ns)
{
	if (launcher->supervisor_ended)
		return run_end_descendants(launcher->run, 0, kill_boot_ns, has_no_children, NULL);
	return run_end_descendants(launcher->run, launcher->supervisor, kill_boot_ns, NULL, NULL);
}

/* The lock's lease id, if it is one that the supervisor sent. */
static bool find_our_id(struct launcher *launcher, char id[AWSFLOCK_LEASE_ID_SIZE], awsflock_error *error)
{
	unsigned count = atomic_load(&launcher->state->id_count);
	awsflock_status *status;
	bool found = false;

	if (awsflock_inspect(launcher->run->job->context, launcher->run->job->lock, &status, error) != AWSFLOCK_OK)
		return false;
	for (unsigned i = 0; i < count && i < RUN_IDS && !found; i++) {
		found = strcmp(launcher->state->ids[i], status->lease_id) == 0;
		if (found)
			memcpy(id, launcher->state->ids[i], AWSFLOCK_LEASE_ID_SIZE);
	}
	awsflock_status_free(&status);
	return found;
}

/* In this process's copy of the context, which has made no request so far.  False where the lock turns out not to be
 * ours. */
static bool release_by_id(struct launcher *launcher)
{
	awsflock *context = launcher->run->job->context;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_lease *lease = NULL;
	char id[AWSFLOCK_LEASE_ID_SIZE];

	if (!find_our_id(launcher, id, &error)) {
		if (error.code != AWSFLOCK_OK)
			report_error("'%s' cannot be released, its lease will expire: %s", launcher->run->job->lock,
				     error.message);
		return error.code != AWSFLOCK_OK;
	}
	if (awsflock_adopt(context, launcher->run->job->lock, id, &lease, &error) != AWSFLOCK_OK ||
	    awsflock_release(lease, 0, &error) != AWSFLOCK_OK)
		report_failure(&error);
	else
		report_notice("'%s' is released", launcher->run->job->lock);
	awsflock_lease_free(&lease);
	return true;
}

static const char *describe_end(const struct launcher *launcher)
{
	return WIFSIGNALED(launcher->supervisor_status) ? strsignal(WTERMSIG(launcher->supervisor_status))
							: "it exited";
}

static int command_exit_or(const struct launcher *launcher, int otherwise)
{
	int code = atomic_load(&launcher->state->command_exit);

	return code >= 0 ? code : otherwise;
}

/* The supervisor has ended before its time.  PR_SET_PDEATHSIG has killed the command with it, but nothing else. */
static int take_over(struct launcher *launcher)
{
	const struct supervise_job *job = launcher->run->job;
	enum run_phase phase = phase_of(launcher);
	bool released_anyway = phase == RUN_RELEASING && job->leftovers == SUPERVISE_RELEASE;
	bool is_lost, ended;

	if (phase == RUN_TAKING || phase == RUN_RELEASING)
		report_error("the awsflock process that holds '%s' ended too early (%s)", job->lock,
			     describe_end(launcher));
	else
		report_error("the awsflock process that holds '%s' ended too early (%s): ending the command",
			     job->lock, describe_end(launcher));
	ended = released_anyway || end_descendants(launcher, run_kill_boot_ns(launcher->run));
	is_lost = atomic_load(&launcher->state->lost) ||
		  clock_boot_ns() >= atomic_load(&launcher->state->deadline_boot_ns);
	if (!is_lost && ended && !release_by_id(launcher))
		is_lost = phase != RUN_TAKING && phase != RUN_RELEASING;
	if (is_lost) {
		/* What the supervisor said of it may have gone with it. */
		run_say_lost_anew(launcher->run, LEASE_IS_LOST);
		return CLI_RUN_LOST;
	}
	return phase == RUN_RELEASING ? command_exit_or(launcher, CLI_RUN_FAILED) : CLI_RUN_FAILED;
}

/* ---- The deadline ---------------------------------------------------------------------------------------- */

/* When to act where the supervisor does not; INT64_MAX: not as things stand. */
static int64_t alarm_boot_ns(const struct launcher *launcher)
{
	int64_t deadline_ns = atomic_load(&launcher->state->deadline_boot_ns);
	enum run_phase phase = phase_of(launcher);

	/* With an exit code the supervisor has done all its work, and at most waits for stderr to take its
	 * lines. */
	if (deadline_ns == INT64_MAX || atomic_load(&launcher->state->exit_code) >= 0)
		return INT64_MAX;
	if (launcher->run->job->on_lost == SUPERVISE_WARN && atomic_load(&launcher->state->loss_is_said))
		return INT64_MAX;
	if (phase == RUN_ENDING || phase == RUN_RELEASING)
		return deadline_ns - LAST_RESORT_MS * NS_PER_MS;
	return deadline_ns - (run_stop_ms(launcher->run->job) - STALLED_AFTER_MS) * NS_PER_MS;
}

static void set_timer(const struct launcher *launcher)
{
	int64_t alarm_ns = alarm_boot_ns(launcher);
	struct itimerspec when = { .it_value = { 0, 0 } };

	if (alarm_ns != INT64_MAX && alarm_ns > 0) {
		when.it_value.tv_sec = alarm_ns / NS_PER_S;
		when.it_value.tv_nsec = alarm_ns % NS_PER_S;
	}
	timerfd_settime(launcher->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void kill_supervisor(struct launcher *launcher)
{
	kill(launcher->supervisor, SIGKILL);
	reap_supervisor(launcher, 0);
}

/* The supervisor stalls, and the lease runs out.  It is left alone until the command has had its time: with it the
 * command would be killed. */
static int end_in_time(struct launcher *launcher)
{
	bool is_said_here = run_say_lost(launcher->run, LEASE_RUNS_OUT);

	atomic_store(&launcher->state->lost, true);
	end_descendants(launcher, run_kill_boot_ns(launcher->run));
	kill_supervisor(launcher);
	if (!is_said_here)
		run_say_lost_anew(launcher->run, LEASE_RUNS_OUT);
	end_descendants(launcher, clock_boot_ns());
	return CLI_RUN_LOST;
}

/* Nothing runs any more that needs the lock, but the release takes longer than the lease. */
static int give_up_release(struct launcher *launcher)
{
	report_error("'%s' could not be released before its lease ran out", launcher->run->job->lock);
	kill_supervisor(launcher);
	return command_exit_or(launcher, CLI_RUN_FAILED);
}

/* True where the deadline is near and the launcher has something to do about it. */
static bool must_act(struct launcher *launcher)
{
	if (clock_boot_ns() < alarm_boot_ns(launcher))
		return false;
	if (launcher->run->job->on_lost == SUPERVISE_STOP || phase_of(launcher) == RUN_RELEASING)
		return true;
	run_say_lost(launcher->run, LEASE_RUNS_OUT);
	return false;
}

/* ---- Signals and job control ----------------------------------------------------------------------------- */

/* Stops as the command did, so that the shell sees a stopped job.  Where there is no shell to continue it (an
 * orphaned process group), the kernel drops the keyboard's stop signals, and this returns at once. */
static void stop_self(struct launcher *launcher, int signal_number)
{
	struct sigaction by_default = { .sa_handler = SIG_DFL }, before = by_default;
	sigset_t one;

	sigemptyset(&by_default.sa_mask);
	sigemptyset(&one);
	sigaddset(&one, signal_number);
	atomic_store(&launcher->state->launcher_is_stopped, true);
	sigaction(signal_number, &by_default, &before);
	raise(signal_number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	sigprocmask(SIG_BLOCK, &one, NULL);
	sigaction(signal_number, &before, NULL);
	atomic_store(&launcher->state->launcher_is_stopped, false);
}

/* Whether the launcher's stop tells anybody anything: a shell with job control has put it into a process group of its
 * own.  Elsewhere, in a script above all, nobody would continue it, and it could not act at the deadline. */
static bool parent_controls_jobs(void)
{
	pid_t parent = getppid();

	return getpgid(parent) != getpgrp() && getsid(parent) == getsid(0);
}

/* Sent by the keyboard, that is, to the whole process group, and so to the command too. */
static bool is_from_keyboard(const struct signalfd_siginfo *info)
{
	return info->ssi_code == SI_KERNEL &&
	       (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT || info->ssi_signo == SIGTSTP);
}

static void note_typed(struct launcher *launcher, const struct signalfd_siginfo *info)
{
	if (is_from_keyboard(info))
		sigaddset(&launcher->typed, (int)info->ssi_signo);
}

static void send_signal(struct launcher *launcher, int signal_number)
{
	if (run_send(launcher->run->launcher_socket, signal_number) && signal_number == SIGCONT)
		launcher->continues_sent++;
}

static void pass_on(struct launcher *launcher, const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;
	enum run_phase phase = phase_of(launcher);

	if (phase == RUN_RUNNING) {
		if (!is_from_keyboard(info))
			send_signal(launcher, number);
	} else if (number == SIGTSTP) {
		if (sigismember(&launcher->run->ignored, number) == 0)
			stop_self(launcher, number); /* no command is there to stop first */
	} else if (phase == RUN_HOLDING) {
		send_signal(launcher, number);
	} else if (phase == RUN_TAKING && number != SIGCONT) {
		/* Ends the wait, unless it would not have ended the launcher. */
		if (sigismember(&launcher->run->ignored, number) == 0)
			send_signal(launcher, number);
	}
}

/* What a write of this process's own to stderr can raise. */
static bool is_of_a_write(const struct signalfd_siginfo *info)
{
	return info->ssi_signo == SIGTTOU || info->ssi_signo == SIGPIPE || info->ssi_signo == SIGXFSZ;
}

static void handle_signals(struct launcher *launcher)
{
	struct signalfd_siginfo info;

	while (read(launcher->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		note_typed(launcher, &info);
		if (info.ssi_signo == SIGCHLD)
			reap_supervisor(launcher, WNOHANG);
		else if (!is_of_a_write(&info))
			pass_on(launcher, &info);
	}
}

/* After a stop the SIGCONT that ended it is looked at before more messages are: they may be older. */
static void hear_supervisor(struct launcher *launcher)
{
	int signal_number;

	while ((signal_number = run_receive(launcher->run->launcher_socket)) > 0) {
		if (signal_number == SIGCONT) {
			launcher->continues_sent--;
		} else if (launcher->continues_sent == 0 && phase_of(launcher) == RUN_RUNNING &&
			   parent_controls_jobs()) {
			stop_self(launcher, signal_number);
			return;
		}
	}
	if (signal_number < 0)
		launcher->socket_ended = true;
}

/* Shells end a script or a loop at Ctrl-C only where what they wait for dies by the signal: an exit code of 130
 * could be that of a program that makes other use of Ctrl-C (Cracauer, "Proper handling of SIGINT/SIGQUIT").  So
 * where it was typed, and has ended the command or the wait for the lock, it ends the launcher too.  Everywhere else
 * the exit code tells 128 + signal. */
static int signal_to_die_by(struct launcher *launcher, int result)
{
	int number = atomic_load(&launcher->state->ended_by);
	struct signalfd_siginfo info;

	/* What ended the command may not have been looked at yet. */
	while (read(launcher->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		note_typed(launcher, &info);
	if ((number != SIGINT && number != SIGQUIT) || result != 128 + number)
		return 0;
	return sigismember(&launcher->typed, number) == 1 ? number : 0;
}

static void wait_for_event(struct launcher *launcher)
{
	struct pollfd fds[] = {
		{ .fd = launcher->signal_fd, .events = POLLIN },
		{ .fd = launcher->socket_ended ? -1 : launcher->run->launcher_socket, .events = POLLIN },
		{ .fd = launcher->timer_fd, .events = POLLIN },
	};

	set_timer(launcher);
	poll(fds, sizeof(fds) / sizeof(fds[0]), -1);
}

static bool open_descriptors(struct launcher *launcher)
{
	sigset_t signals;

	launcher_signals(&signals);
	launcher->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	launcher->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	return launcher->signal_fd >= 0 && launcher->timer_fd >= 0;
}

/* The deadline comes first after every wait, since that may have been a stopped process's. */
static int watch_supervisor(struct launcher *launcher)
{
	for (;;) {
		if (!launcher->supervisor_ended)
			wait_for_event(launcher);
		reap_supervisor(launcher, WNOHANG);
		if (launcher->supervisor_ended) {
			int code = atomic_load(&launcher->state->exit_code);
			return code >= 0 ? code : take_over(launcher);
		}
		if (must_act(launcher))
			return phase_of(launcher) == RUN_RELEASING ? give_up_release(launcher)
								   : end_in_time(launcher);
		handle_signals(launcher);
		hear_supervisor(launcher);
	}
}

int launcher_run(struct run *run, pid_t supervisor)
{
	struct launcher launcher = { .run = run, .state = run->state, .supervisor = supervisor };
	int result = CLI_RUN_FAILED;

	speaker_start();
	sigemptyset(&launcher.typed);
	if (open_descriptors(&launcher)) {
		result = watch_supervisor(&launcher);
		run->dies_by = signal_to_die_by(&launcher, result);
	} else {
		report_error("cannot supervise a command: %s", strerror(errno));
		kill_supervisor(&launcher);
		end_descendants(&launcher, clock_boot_ns());
	}
	if (launcher.signal_fd >= 0)
		close(launcher.signal_fd);
	if (launcher.timer_fd >= 0)
		close(launcher.timer_fd);
	return result;
}
