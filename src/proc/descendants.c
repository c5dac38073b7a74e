/* See descendants.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proc/descendants.h"

#include <signal.h>
#include <unistd.h>

#include "base/runtime.h"
#include "proc/children.h"

#define POLL_FIRST_MS 2
#define POLL_LONGEST_MS 20

void descendants_init(struct descendants *descendants, pid_t root, pid_t spared)
{
	*descendants = (struct descendants){ .root = root, .spared = spared };
}

void descendants_free(struct descendants *descendants)
{
	process_list_free(&descendants->members);
}

/* ---- Who belongs ----------------------------------------------------------------------------------------- */

static bool is_root_or_spared(const struct descendants *descendants, pid_t pid)
{
	return pid == descendants->root || (descendants->spared && pid == descendants->spared);
}

static bool is_child(const void *arg, const struct process *process)
{
	return is_root_or_spared(arg, process->parent);
}

static bool is_outside(const void *arg, const struct process *process)
{
	return is_root_or_spared(arg, process->pid);
}

static struct selection selection_of(struct descendants *descendants)
{
	return (struct selection){ .belongs = is_child, .is_outside = is_outside, .arg = descendants };
}

bool descendants_scan(struct descendants *descendants)
{
	struct selection selection = selection_of(descendants);

	return selection_scan(&selection, &descendants->members);
}

void descendants_signal(const struct descendants *descendants, int signal, pid_t group)
{
	const struct process_list *members = &descendants->members;

	for (size_t i = 0; i < members->count; i++)
		if (group == 0 || members->processes[i].group == group)
			process_signal(&members->processes[i], signal);
}

/* ---- The end --------------------------------------------------------------------------------------------- */

static void pause_ms(int *interval_ms)
{
	clock_pause_ns(*interval_ms * NS_PER_MS);
	*interval_ms = *interval_ms * 2 < POLL_LONGEST_MS ? *interval_ms * 2 : POLL_LONGEST_MS;
}

static bool none_is_left(struct descendants *descendants)
{
	return descendants_scan(descendants) && descendants->members.count == 0;
}

/* True once none is left. */
static bool wait_until_none(struct descendants *descendants, int64_t until_boot_ns)
{
	int interval_ms = POLL_FIRST_MS;

	while (!none_is_left(descendants)) {
		if (clock_boot_ns() >= until_boot_ns)
			return false;
		pause_ms(&interval_ms);
	}
	return true;
}

static void kill_members(struct descendants *descendants, int64_t until_boot_ns)
{
	struct selection selection = selection_of(descendants);

	/* Without a fixpoint too: this comes again. */
	selection_stop(&selection, &descendants->members);
	descendants_signal(descendants, SIGKILL, 0);
	if (descendants->root == getpid())
		own_children_kill(descendants->spared, until_boot_ns);
}

bool descendants_end(struct descendants *descendants, int64_t kill_boot_ns, int64_t give_up_ns)
{
	int64_t give_up_boot_ns;
	int interval_ms = POLL_FIRST_MS;

	if (descendants_scan(descendants)) {
		descendants_signal(descendants, SIGTERM, 0);
		descendants_signal(descendants, SIGCONT, 0);
	}
	if (wait_until_none(descendants, kill_boot_ns))
		return true;
	give_up_boot_ns = clock_boot_ns() + give_up_ns;
	for (;;) {
		kill_members(descendants, give_up_boot_ns);
		if (none_is_left(descendants))
			return true;
		if (clock_boot_ns() >= give_up_boot_ns)
			return false;
		pause_ms(&interval_ms);
	}
}
