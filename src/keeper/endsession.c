/* See endsession.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/endsession.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/runtime.h"

/* How often one looks whether anything is left. */
#define LOOK_INTERVAL_NS (50 * NS_PER_MS)
/* After the planned end: a killed process may take a moment to be gone. */
#define GIVE_UP_NS (2 * NS_PER_S)

void ending_begin(struct ending *ending, int64_t now_ns, int64_t end_ms, int64_t until_ns, bool ends_host)
{
	int64_t span_ns = end_ms * NS_PER_MS;
	struct ending planned;

	if (until_ns - now_ns < span_ns)
		span_ns = until_ns > now_ns ? until_ns - now_ns : 0;
	/* The last third is for the kernel: a process with much memory takes a while to go. */
	planned = (struct ending){
		.phase = span_ns > 0 ? ENDING_HANGUP : ENDING_KILL,
		.ends_host = ends_host || ending->ends_host,
		.began_ns = now_ns,
		.terminate_ns = now_ns + span_ns / 3,
		.kill_ns = now_ns + span_ns / 3 * 2,
		.host_ns = now_ns + span_ns / 6 * 5,
		.over_ns = now_ns + span_ns + GIVE_UP_NS,
		.next_ns = now_ns,
	};
	if (ending->phase != ENDING_NOT_BEGUN && !ending_is_over(ending)) {
		if (ending->kill_ns <= planned.kill_ns) {
			ending->ends_host = planned.ends_host;
			return;
		}
		planned.phase = ending->phase; /* what was sent is not sent again */
	}
	*ending = planned;
}

bool ending_is_over(const struct ending *ending)
{
	return ending->phase == ENDING_DONE || ending->phase == ENDING_FAILED;
}

/* ---- The session's own control group --------------------------------------------------------------------- */

/* logind's name for a login's: what else is in it belongs to that login alone. */
static bool is_session_scope(const char *group)
{
	const char *name = strrchr(group, '/');
	size_t size;

	if (!name || strstr(group, "/.."))
		return false;
	size = strlen(++name);
	return strncmp(name, "session-", strlen("session-")) == 0 && size > strlen(".scope") &&
	       strcmp(name + size - strlen(".scope"), ".scope") == 0;
}

static void kill_control_group(const struct watch *watch)
{
	static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char group[PATH_MAX], own[PATH_MAX], path[PATH_MAX + 64];

	if (!watch->host_is_login_service || !watch_host_runs(watch) ||
	    !process_control_group(watch->host.pid, group, sizeof(group)) || !is_session_scope(group))
		return;
	if (!process_control_group(getpid(), own, sizeof(own)) || strcmp(own, group) == 0)
		return;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
		snprintf(path, sizeof(path), "%s%s/cgroup.kill", roots[i], group);
		int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			continue;
		if (write(fd, "1", 1) != 1) {
			/* An older kernel, or gone already: the members are killed one by one as well. */
		}
		close(fd);
		return;
	}
}

/* ---- Steps ----------------------------------------------------------------------------------------------- */

static void signal_all(const struct watch *watch, int signal)
{
	watch_signal(watch, signal);
	watch_signal(watch, SIGCONT); /* a stopped process would not take it */
}

static void kill_all(struct ending *ending, struct watch *watch, bool host_is_done, int64_t now_ns)
{
	/* Without a fixpoint too: this comes again. */
	watch_stop_all(watch);
	watch_signal(watch, SIGKILL);
	if (!ending->ends_host || host_is_done || now_ns < ending->host_ns || !watch_host_runs(watch))
		return;
	kill_control_group(watch);
	syscall(SYS_pidfd_send_signal, watch->host_pidfd, SIGKILL, NULL, 0);
}

static bool is_nothing_left(const struct ending *ending, const struct watch *watch, bool host_is_done)
{
	return watch_count(watch) == 0 && (!ending->ends_host || host_is_done || !watch_host_runs(watch));
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void ending_step(struct ending *ending, struct watch *watch, bool host_is_done, int64_t now_ns)
{
	bool looked, respawns = false;

	if (ending->phase == ENDING_NOT_BEGUN || ending_is_over(ending) || now_ns < ending->next_ns)
		return;
	looked = watch_look(watch);
	if (ending->phase == ENDING_HANGUP) {
		signal_all(watch, SIGHUP);
		ending->phase = ENDING_TERMINATE;
	} else if (ending->phase == ENDING_TERMINATE && now_ns >= ending->terminate_ns) {
		signal_all(watch, SIGTERM);
		ending->phase = ENDING_KILL;
	} else if (ending->phase == ENDING_KILL && now_ns >= ending->kill_ns) {
		kill_all(ending, watch, host_is_done, now_ns);
		respawns = watch_kill_respawning(watch, SIGKILL);
		looked = watch_look(watch);
	}
	if (looked && !respawns && is_nothing_left(ending, watch, host_is_done) && watch_is_empty(watch))
		ending->phase = ENDING_DONE;
	else if (now_ns >= ending->over_ns)
		ending->phase = ENDING_FAILED;
	ending->next_ns = now_ns + (respawns ? 0 : LOOK_INTERVAL_NS);
	if (ending->phase == ENDING_TERMINATE)
		ending->next_ns = earlier(ending->next_ns, ending->terminate_ns);
}
