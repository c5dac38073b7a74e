/* See sweep_people.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/sweep_people.h"

#include <signal.h>

#include "base/clock.h"
#include "proc/hunt.h"
#include "proc/ownership.h"

#define LOOK_AGAIN_NS (20 * NS_PER_MS)

static bool is_one(const void *arg, const struct process *process)
{
	const struct recorded_people *people = arg;

	return (people->audit_session != PROCESS_NO_AUDIT_SESSION &&
		process_audit_session(process->pid) == people->audit_session) ||
	       (people->person != (uid_t)-1 && process_is_run_by(process->pid, people->person));
}

/* Their children may be another login's, or another user's. */
static bool is_outside(const void *arg, const struct process *process)
{
	return process->pid <= 1 || !is_one(arg, process) || process_is_of_keeper(process);
}

static bool sees_nobody(void *arg)
{
	struct process_list found = { .count = 0 };
	bool is_nobody = selection_scan(arg, &found) && found.count == 0;

	process_list_free(&found);
	return is_nobody;
}

static bool sees_one(void *arg)
{
	const struct process_list nobody = { .count = 0 };

	return hunt_newest(arg, &nobody, 0);
}

/* Stopped before they are killed, they cannot go on starting others. */
static void kill_all(const struct selection *selection)
{
	struct process_list found = { .count = 0 };

	selection_stop(selection, &found); /* without a fixpoint too: this comes again */
	process_list_signal(&found, SIGKILL);
	hunt_newest(selection, &found, SIGKILL);
	process_list_free(&found);
}

bool sweep_people(const struct recorded_people *people, int64_t until_ns, bool *has_met)
{
	struct recorded_people sought = *people;
	struct selection selection = { .belongs = is_one, .is_outside = is_outside, .arg = &sought };

	*has_met = false;
	if (people->audit_session == PROCESS_NO_AUDIT_SESSION && people->person == (uid_t)-1)
		return true;
	while (!hunt_finds_nobody(sees_nobody, sees_one, &selection)) {
		if (*has_met && clock_boot_ns() >= until_ns)
			return false;
		*has_met = true;
		kill_all(&selection);
		clock_pause_ns(LOOK_AGAIN_NS);
	}
	return true;
}
