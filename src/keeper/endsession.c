/* See endsession.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/endsession.h"

#include <signal.h>

#include "base/runtime.h"

/* How often one looks whether anything is left. */
#define LOOK_INTERVAL_NS (50 * NS_PER_MS)
/* After the planned end: a killed process may take a moment to be gone. */
#define OVERDUE_NS (2 * NS_PER_S)
#define OVERDUE_INTERVAL_NS (500 * NS_PER_MS)

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
		.overdue_ns = now_ns + span_ns + OVERDUE_NS,
		.next_ns = now_ns,
	};
	if (ending->phase != ENDING_NOT_BEGUN && ending->phase != ENDING_DONE) {
		if (ending->kill_ns <= planned.kill_ns) {
			ending->ends_host = planned.ends_host;
			return;
		}
		planned.phase = ending->phase; /* what was sent is not sent again */
	}
	*ending = planned;
}

/* ---- Steps ----------------------------------------------------------------------------------------------- */

static bool kill_all(struct ending *ending, struct membership *members, bool host_is_done, int64_t now_ns)
{
	bool again = members->ops->kill(members);

	if (ending->ends_host && !host_is_done && now_ns >= ending->host_ns && members->ops->host_runs(members))
		members->ops->kill_host(members);
	return again;
}

static bool is_nothing_left(const struct ending *ending, struct membership *members, bool host_is_done)
{
	return members->ops->count(members) == 0 &&
	       (!ending->ends_host || host_is_done || !members->ops->host_runs(members));
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t look_interval_ns(const struct ending *ending)
{
	return ending->phase == ENDING_OVERDUE ? OVERDUE_INTERVAL_NS : LOOK_INTERVAL_NS;
}

void ending_step(struct ending *ending, struct membership *members, bool host_is_done, int64_t now_ns)
{
	bool refreshed, again = false;

	if (ending->phase == ENDING_NOT_BEGUN || ending->phase == ENDING_DONE || now_ns < ending->next_ns)
		return;
	refreshed = members->ops->refresh(members, true);
	if (ending->phase == ENDING_HANGUP) {
		members->ops->signal(members, SIGHUP);
		ending->phase = ENDING_TERMINATE;
	} else if (ending->phase == ENDING_TERMINATE && now_ns >= ending->terminate_ns) {
		members->ops->signal(members, SIGTERM);
		ending->phase = ENDING_KILL;
	} else if (ending->phase >= ENDING_KILL && now_ns >= ending->kill_ns) {
		again = kill_all(ending, members, host_is_done, now_ns);
	}
	if (refreshed && !again && is_nothing_left(ending, members, host_is_done) &&
	    members->ops->is_empty(members))
		ending->phase = ENDING_DONE;
	else if (now_ns >= ending->overdue_ns)
		ending->phase = ENDING_OVERDUE;
	ending->next_ns = now_ns + (again ? 0 : look_interval_ns(ending));
	if (ending->phase == ENDING_TERMINATE)
		ending->next_ns = earlier(ending->next_ns, ending->terminate_ns);
}
