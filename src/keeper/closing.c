/* From whatever ended a session to the release of its lock.  SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/runtime.h"
#include "base/text.h"
#include "guard/log.h"
#include "guard/wire.h"
#include "keeper/guardian.h"

/* A session's processes have been told to end when it is closed in order: they get this long to be gone before they
 * count as left. */
#define DYING_NS (500 * NS_PER_MS)
#define DYING_LOOK_NS (25 * NS_PER_MS)
/* The lock is free within a second of the last one's end. */
#define HOLDING_LOOK_NS (400 * NS_PER_MS)
#define RELEASE_WITHIN_NS (30 * NS_PER_S)
#define NEVER INT64_MAX

static void answer(struct guardian *guardian, enum wire_type type, const char *sentence)
{
	struct wire_message message;

	if (!guardian->owes_answer || guardian->session_fd < 0)
		return;
	guardian->owes_answer = false;
	wire_begin(&message, type);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	wire_send(guardian->session_fd, &message);
}

/* ---- The last steps -------------------------------------------------------------------------------------- */

static void over(struct guardian *guardian, bool is_free, const char *sentence)
{
	char lasted[40];

	text_duration((clock_boot_ns() - guardian->opened_ns) / NS_PER_S, lasted, sizeof(lasted));
	if (guardian->opened_ns > 0)
		log_line(is_free || guardian->upstream_fd >= 0 ? LOG_INFO : LOG_ALERT, "closed: '%s' after %s: %s",
			 guardian->guard.lock, lasted, sentence);
	else
		log_line(LOG_INFO, "not opened: '%s': %s", guardian->guard.lock, sentence);
	answer(guardian, is_free ? WIRE_RELEASED : WIRE_KEPT, sentence);
	guardian->state = GUARDIAN_OVER;
	guardian->life->is_over = 1;
}

void closing_released(struct guardian *guardian, bool is_free, const char *why)
{
	if (guardian->state == GUARDIAN_RELEASING)
		over(guardian, is_free, is_free ? "released" : why);
}

void closing_release(struct guardian *guardian)
{
	guardian->state_over_ns = NEVER;
	guardian->life->is_gone = 1;
	if (guardian->upstream_fd >= 0) {
		wire_send_type(guardian->upstream_fd, WIRE_LEAVE);
		over(guardian, false, "left to the session that it is shared with");
		return;
	}
	if (guardian->lease_client_count > 0) {
		guardian->state = GUARDIAN_EMPTY;
		answer(guardian, WIRE_KEPT, "another session of the same person shares it");
		return;
	}
	if (guardian->may_not_release) {
		over(guardian, false, "not released: the keeper of a session that shared it was killed");
		return;
	}
	if (guardian->is_refused) {
		over(guardian, true, "it was lost before");
		return;
	}
	if (guardian->renewer.fd < 0 || !wire_send_type(guardian->renewer.fd, WIRE_RELEASE)) {
		over(guardian, false, "not released, as nobody is left to do it: its lease runs out");
		return;
	}
	guardian->state = GUARDIAN_RELEASING;
	guardian->state_over_ns = clock_boot_ns() + RELEASE_WITHIN_NS;
}

/* ---- Ending ---------------------------------------------------------------------------------------------- */

/* A session that keeps every processor busy must not outlive its lease by that. */
static void take_precedence(void)
{
	struct sched_param lowest = { .sched_priority = sched_get_priority_min(SCHED_RR) };

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &lowest) != 0)
		setpriority(PRIO_PROCESS, 0, -20); /* a container may forbid that as well */
}

void closing_begin_end(struct guardian *guardian, const char *why, bool ends_host)
{
	take_precedence();
	log_line(LOG_NOTICE, "ending what is left of the session: %s", why);
	guardian->state = GUARDIAN_ENDING;
	guardian->state_over_ns = NEVER;
	guardian->life->is_ending = 1;
	ending_begin(&guardian->ending, clock_boot_ns(), guardian->guard.end_ms, guardian->life->deadline_boot_ns,
		     ends_host);
}

static void step_ending(struct guardian *guardian, int64_t now_ns)
{
	char left[256];

	/* A loss in the middle of another end makes that one hurry. */
	if (guardian->is_lost && !guardian->guard.only_warns)
		ending_begin(&guardian->ending, now_ns, guardian->guard.end_ms, guardian->life->deadline_boot_ns,
			     false);
	ending_step(&guardian->ending, &guardian->watch, guardian->life->is_closed, now_ns);
	if (guardian->ending.phase == ENDING_DONE) {
		closing_release(guardian);
	} else if (guardian->ending.phase == ENDING_FAILED) {
		watch_describe(&guardian->watch, left, sizeof(left));
		log_line(LOG_ALERT, "cannot be ended: %s; '%s' is not released", left, guardian->guard.lock);
		over(guardian, false, "not released: processes of the session cannot be ended");
	}
}

/* ---- A close in order ------------------------------------------------------------------------------------ */

void closing_close(struct guardian *guardian)
{
	int64_t now_ns = clock_boot_ns();

	guardian->life->is_closed = 1;
	guardian->owes_answer = true;
	switch (guardian->state) {
	case GUARDIAN_GRANTED: /* a later module refused the session */
		closing_release(guardian);
		break;
	case GUARDIAN_OPEN:
		guardian->state = GUARDIAN_CLOSING;
		guardian->state_over_ns = now_ns + DYING_NS;
		guardian->look_ns = now_ns;
		if (guardian->guard.leftovers == LEFTOVERS_RELEASE)
			closing_release(guardian);
		break;
	default:
		break; /* the answer comes with the end */
	}
}

static void hold(struct guardian *guardian)
{
	char left[200], sentence[AWSFLOCK_ERROR_MESSAGE_SIZE];
	struct wire_message message;

	watch_describe(&guardian->watch, left, sizeof(left));
	snprintf(sentence, sizeof(sentence), "'%.300s' stays taken until what the session left has ended: %s",
		 guardian->guard.lock, left);
	log_line(LOG_NOTICE, "closed, but %s", sentence);
	answer(guardian, WIRE_LEFTOVERS, sentence);
	guardian->state = GUARDIAN_HOLDING;
	guardian->state_over_ns = NEVER;
	if (guardian->renewer.fd < 0)
		return;
	snprintf(sentence, sizeof(sentence), "session closed, still running: %s", left);
	wire_begin(&message, WIRE_OWNER);
	wire_put_text(&message, WIRE_OWNER_TEXT, sentence);
	wire_send(guardian->renewer.fd, &message);
}

static void step_closing(struct guardian *guardian, int64_t now_ns)
{
	bool is_complete;

	if (now_ns < guardian->look_ns)
		return;
	if (guardian->is_lost && guardian->guard.only_warns) {
		closing_release(guardian); /* there is nothing to hold */
		return;
	}
	guardian->look_ns = now_ns + (guardian->state == GUARDIAN_CLOSING ? DYING_LOOK_NS : HOLDING_LOOK_NS);
	is_complete = watch_look_quickly(&guardian->watch);
	/* Only a full look can say that nobody is left. */
	if (is_complete && watch_count(&guardian->watch) == 0 && watch_is_empty(&guardian->watch)) {
		closing_release(guardian);
		return;
	}
	if (guardian->state != GUARDIAN_CLOSING || now_ns < guardian->state_over_ns)
		return;
	if (guardian->guard.leftovers == LEFTOVERS_END)
		closing_begin_end(guardian, "leftovers = end", false);
	else
		hold(guardian);
}

/* ---- What is due ----------------------------------------------------------------------------------------- */

void closing_step(struct guardian *guardian, int64_t now_ns)
{
	switch (guardian->state) {
	case GUARDIAN_CLOSING:
	case GUARDIAN_HOLDING:
		step_closing(guardian, now_ns);
		break;
	case GUARDIAN_ENDING:
		step_ending(guardian, now_ns);
		break;
	case GUARDIAN_EMPTY:
		if (guardian->lease_client_count == 0)
			closing_release(guardian);
		break;
	case GUARDIAN_RELEASING:
		if (now_ns >= guardian->state_over_ns)
			over(guardian, false, "not released: the store does not answer");
		break;
	default:
		break;
	}
}

int64_t closing_next_ns(const struct guardian *guardian)
{
	switch (guardian->state) {
	case GUARDIAN_CLOSING:
	case GUARDIAN_HOLDING:
		return guardian->look_ns;
	case GUARDIAN_ENDING:
		return guardian->ending.next_ns;
	default:
		return NEVER;
	}
}
