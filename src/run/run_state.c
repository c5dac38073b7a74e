/* See run_state.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/run_state.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/runtime.h"
#include "proc/descendants.h"
#include "term/report.h"
#include "term/speaker.h"

#define MISSED_PAUSE_MS 5

int64_t run_kill_boot_ns(const struct run *run)
{
	int64_t promised_ns = clock_boot_ns() + run->job->kill_after_ms * NS_PER_MS;
	int64_t latest_ns = atomic_load(&run->state->deadline_boot_ns) - RUN_LAST_KILL_MS * NS_PER_MS;

	return promised_ns < latest_ns ? promised_ns : latest_ns;
}

bool run_send(int socket, int signal_number)
{
	unsigned char byte = (unsigned char)signal_number;

	return send(socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

int run_receive(int socket)
{
	unsigned char byte = 0;
	ssize_t size = recv(socket, &byte, 1, MSG_DONTWAIT);

	if (size == 1)
		return byte;
	return size < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void note_written(const struct run *run)
{
	if (speaker_has_written_all())
		atomic_store(&run->state->loss_is_written, true);
}

bool run_say_lost(const struct run *run, const char *reason)
{
	if (atomic_exchange(&run->state->loss_is_said, true))
		return false;
	report_error("LOCK LOST: %s; %s", reason,
		     run->job->on_lost == SUPERVISE_STOP ? "ending the command"
							 : "the command goes on without it (--on-lost=warn)");
	note_written(run);
	return true;
}

void run_say_lost_anew(const struct run *run, const char *reason)
{
	if (atomic_load(&run->state->loss_is_written))
		return;
	report_error("LOCK LOST: %s", reason);
	note_written(run);
}

/* What could not be ended, and what that means for the lock. */
static void say_left(const struct run *run, const struct descendants *descendants)
{
	if (descendants->members.count == 0) {
		report_error("some processes of the command could not be found and ended; '%s' is not released, "
			     "its lease will expire",
			     run->job->lock);
		return;
	}
	report_error("%zu process%s of the command could not be ended (first: %d, %s); '%s' is not released, its "
		     "lease will expire",
		     descendants->members.count, descendants->members.count == 1 ? "" : "es",
		     (int)descendants->members.processes[0].pid, descendants->members.processes[0].name,
		     run->job->lock);
}

bool run_end_descendants(const struct run *run, pid_t spared, int64_t kill_boot_ns, run_is_empty_fn *is_empty,
			 void *arg)
{
	int64_t now_ns = clock_boot_ns();
	int64_t give_up_boot_ns = (kill_boot_ns > now_ns ? kill_boot_ns : now_ns) + RUN_GIVE_UP_NS;
	struct descendants descendants;
	bool ended;

	descendants_init(&descendants, getpid(), spared);
	for (;;) {
		ended = descendants_end(&descendants, kill_boot_ns, RUN_GIVE_UP_NS);
		if (!ended || !is_empty || is_empty(arg))
			break;
		/* A look at /proc is not one moment: who starts another process and ends can be missed. */
		ended = false;
		if (clock_boot_ns() >= give_up_boot_ns)
			break;
		clock_pause_ns(MISSED_PAUSE_MS * NS_PER_MS);
	}
	if (!ended)
		say_left(run, &descendants);
	descendants_free(&descendants);
	return ended;
}
