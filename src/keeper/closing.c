/* See closing.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/closing.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>

#include "awsflock.h"
#include "base/clock.h"
#include "base/text.h"

/* A session's processes have been told to end when it is closed in order: they get this long to be gone before they
 * count as left. */
#define DYING_NS (500 * NS_PER_MS)
#define DYING_LOOK_NS (25 * NS_PER_MS)
/* The lock is free within a second of the last one's end. */
#define HOLDING_LOOK_NS (400 * NS_PER_MS)
/* Where the kernel says so at once. */
#define HOLDING_LOOK_TOLD_NS (10 * NS_PER_S)
#define RELEASE_WITHIN_NS (30 * NS_PER_S)
#define LEFT_TO_ANOTHER "left to the session that it is shared with"

static void send_answer(struct guardian *guardian, const struct wire_message *answer)
{
	if (!guardian->owes_answer || guardian->session_fd < 0)
		return;
	guardian->owes_answer = false;
	guardian_send(guardian, guardian->session_fd, answer);
}

static void answer_close(struct guardian *guardian, enum wire_type type, const char *sentence)
{
	struct wire_message answer;

	wire_begin(&answer, type);
	wire_put_text(&answer, WIRE_SENTENCE, sentence);
	send_answer(guardian, &answer);
}

static void answer_shared(struct guardian *guardian, const char *sentence)
{
	struct wire_message answer;

	wire_begin(&answer, WIRE_KEPT);
	wire_put_text(&answer, WIRE_SENTENCE, sentence);
	wire_put_number(&answer, WIRE_SHARED, 1);
	send_answer(guardian, &answer);
}

static bool is_nobody_left(struct guardian *guardian)
{
	struct membership *members = guardian->members;

	/* Only a full look can say that nobody is left. */
	return guardian_refresh_members(guardian, false) && members->ops->count(members) == 0 &&
	       members->ops->is_empty(members);
}

/* ---- The last steps -------------------------------------------------------------------------------------- */

enum guardian_state closing_over(struct guardian *guardian, bool is_free, const char *sentence)
{
	char lasted[40];

	text_duration((guardian_now_ns(guardian) - guardian->opened_ns) / NS_PER_S, lasted, sizeof(lasted));
	if (guardian->opened_ns > 0)
		guardian_log(guardian, is_free || guardian->upstream_fd >= 0 ? LOG_INFO : LOG_ALERT,
			     "closed: '%s' after %s: %s", guardian->guard.lock, lasted, sentence);
	else
		guardian_log(guardian, LOG_INFO, "not opened: '%s': %s", guardian->guard.lock, sentence);
	answer_close(guardian, is_free ? WIRE_RELEASED : WIRE_KEPT, sentence);
	guardian->life->is_over = true;
	return GUARDIAN_OVER;
}

/* From here on the module cannot say OPENED any more, and so its session does not open: the host may have been stopped
 * until this moment, and what would come while the keeper ends nobody would read.  True where it has come already, or
 * cannot be read now. */
static bool opened_meanwhile(struct guardian *guardian)
{
	struct world *world = guardian->world;
	struct wire_message message;
	enum wire_result result;
	uid_t sender = (uid_t)-1;

	if (guardian->life->is_opened || guardian->owes_answer || guardian->session_fd < 0 ||
	    shutdown(guardian->session_fd, SHUT_RD) != 0)
		return false;
	do
		result = world->ops->receive(world, guardian->session_fd, &message, &sender);
	while (result == WIRE_BAD || (result == WIRE_GOT && (sender != 0 || wire_type(&message) != WIRE_OPENED)));
	return result != WIRE_END;
}

/* The lock is still held. */
static enum guardian_state end_unexpected(struct guardian *guardian)
{
	guardian->opened_ns = guardian_now_ns(guardian);
	guardian->life->opened_ns = guardian->opened_ns;
	guardian->life->is_opened = true;
	return closing_begin_end(guardian, "it was opened when nobody expected it any more", true);
}

/* Is all that the person runs to end with this session?  While others rely on the lease it ends with the last of them; once
 * it is lost, with each. */
static bool ends_person(const struct guardian *guardian)
{
	const struct guardian_life *life = guardian->life;

	if (!guardian->everybody || !life->ends_person || !life->is_opened)
		return false;
	if (guardian->is_lost)
		return !guardian->guard.only_warns;
	return guardian->upstream_fd < 0 && life->joined == 0;
}

/* The session is over.  Does its person still run something that has to end before the lock is given back? */
static bool person_still_runs(struct guardian *guardian)
{
	if (!ends_person(guardian) || guardian->lease_client_count > 0 || guardian->members == guardian->everybody)
		return false;
	guardian->members = guardian->everybody;
	return !is_nobody_left(guardian);
}

enum guardian_state closing_release(struct guardian *guardian)
{
	if (opened_meanwhile(guardian))
		return end_unexpected(guardian);
	if (person_still_runs(guardian))
		return closing_begin_end(guardian, "ends = user", false);
	guardian->life->is_gone = true;
	if (guardian->upstream_fd >= 0) {
		guardian_send_type(guardian, guardian->upstream_fd, WIRE_LEAVE);
		answer_shared(guardian, LEFT_TO_ANOTHER);
		return closing_over(guardian, false, LEFT_TO_ANOTHER);
	}
	if (guardian->lease_client_count > 0) {
		answer_shared(guardian, "another session of the same person shares it");
		return GUARDIAN_EMPTY;
	}
	if (guardian->may_not_release)
		return closing_over(guardian, false,
				    "not released: the keeper of a session that shared it was killed");
	if (guardian->is_refused)
		return closing_over(guardian, true, "it was lost before");
	if (guardian->renewer.fd < 0 || !guardian_send_type(guardian, guardian->renewer.fd, WIRE_RELEASE))
		return closing_over(guardian, false,
				    "not released, as nobody is left to do it: its lease runs out");
	guardian_set_timer(guardian, TIMER_STATE, guardian_now_ns(guardian) + RELEASE_WITHIN_NS);
	return GUARDIAN_RELEASING;
}

/* ---- Ending ---------------------------------------------------------------------------------------------- */

enum guardian_state closing_begin_end(struct guardian *guardian, const char *why, bool ends_host)
{
	int64_t now_ns = guardian_now_ns(guardian);

	guardian->world->ops->take_precedence(guardian->world);
	if (ends_person(guardian))
		guardian->members = guardian->everybody;
	guardian_log(guardian, LOG_NOTICE, "ending what is left of the session%s: %s",
		     guardian->members == guardian->everybody ? ", and all that its person runs" : "", why);
	guardian->life->is_ending = true;
	guardian->life->is_gone = false;
	ending_begin(&guardian->ending, now_ns, guardian->guard.end_ms, guardian->life->deadline_boot_ns,
		     ends_host);
	guardian_set_timer(guardian, TIMER_STEP, now_ns);
	return GUARDIAN_ENDING;
}

/* The lock stays held for as long as somebody is there who could still do something: this goes on. */
static void tell_overdue(struct guardian *guardian)
{
	char left[256], sentence[AWSFLOCK_ERROR_MESSAGE_SIZE];

	guardian->members->ops->describe(guardian->members, left, sizeof(left));
	guardian_log(guardian, LOG_ALERT, "cannot be ended so far: %s; '%s' is not released", left,
		     guardian->guard.lock);
	snprintf(sentence, sizeof(sentence), "not released: processes of the session cannot be ended: %s", left);
	answer_close(guardian, WIRE_KEPT, sentence);
}

enum guardian_state closing_step_end(struct guardian *guardian)
{
	struct ending *ending = &guardian->ending;
	int64_t now_ns = guardian_now_ns(guardian);
	bool was_overdue = ending->phase == ENDING_OVERDUE;

	/* A loss in the middle of another end makes that one hurry. */
	if (guardian->is_lost && !guardian->guard.only_warns)
		ending_begin(ending, now_ns, guardian->guard.end_ms, guardian->life->deadline_boot_ns, false);
	guardian->members->until_ns = 0; /* this is what the lease's end asks for */
	ending_step(ending, guardian->members, guardian->life->is_closed, now_ns);
	if (ending->phase == ENDING_DONE)
		return closing_release(guardian);
	if (ending->phase == ENDING_OVERDUE && !was_overdue)
		tell_overdue(guardian);
	guardian_set_timer(guardian, TIMER_STEP, ending->next_ns);
	return GUARDIAN_ENDING;
}

/* ---- A close in order ------------------------------------------------------------------------------------ */

enum guardian_state closing_close(struct guardian *guardian)
{
	int64_t now_ns = guardian_now_ns(guardian);

	if (guardian->guard.leftovers == LEFTOVERS_RELEASE)
		return closing_release(guardian);
	guardian_set_timer(guardian, TIMER_LOOK, now_ns);
	guardian_set_timer(guardian, TIMER_STATE, now_ns + DYING_NS);
	return GUARDIAN_CLOSING;
}

static int64_t holding_interval_ns(const struct guardian *guardian)
{
	return guardian->members->ops->event_fd(guardian->members) >= 0 ? HOLDING_LOOK_TOLD_NS : HOLDING_LOOK_NS;
}

/* A process's name is its own to choose, and here that is no matter: whoever goes by one of these is ended, so that
 * nobody outlives the lock by it. */
static bool goes_by_a_name(void *arg, const struct process *process)
{
	const char *list = arg, *name;
	size_t size;

	while (guard_list_next(&list, &name, &size)) {
		if (size >= sizeof(process->name))
			size = sizeof(process->name) - 1;
		if (strlen(process->name) == size && memcmp(process->name, name, size) == 0)
			return true;
	}
	return false;
}

static bool is_only_to_end_left(const struct guardian *guardian)
{
	const struct membership *members = guardian->members;
	char *names = guardian->guard.leftovers_end;

	return *names != '\0' && members->ops->count(members) > 0 &&
	       members->ops->each(members, goes_by_a_name, names);
}

static enum guardian_state end_agents(struct guardian *guardian)
{
	return closing_begin_end(guardian, "nothing is left but what leftovers_end names", false);
}

enum guardian_state closing_look(struct guardian *guardian)
{
	int64_t interval_ns = guardian->state == GUARDIAN_CLOSING ? DYING_LOOK_NS : holding_interval_ns(guardian);

	if (guardian->is_lost && guardian->guard.only_warns)
		return closing_release(guardian); /* there is nothing to hold */
	if (is_nobody_left(guardian))
		return closing_release(guardian);
	if (guardian->state == GUARDIAN_HOLDING && is_only_to_end_left(guardian))
		return end_agents(guardian);
	guardian_set_timer(guardian, TIMER_LOOK, guardian_now_ns(guardian) + interval_ns);
	return guardian->state;
}

static enum guardian_state hold_lock(struct guardian *guardian)
{
	char left[200], sentence[AWSFLOCK_ERROR_MESSAGE_SIZE];
	struct wire_message message;

	guardian->members->ops->describe(guardian->members, left, sizeof(left));
	snprintf(sentence, sizeof(sentence), "'%.300s' remains held until what the session left has ended: %s",
		 guardian->guard.lock, left);
	guardian_log(guardian, LOG_NOTICE, "closed, but %s", sentence);
	answer_close(guardian, WIRE_LEFTOVERS, sentence);
	guardian_set_timer(guardian, TIMER_LOOK, guardian_now_ns(guardian) + holding_interval_ns(guardian));
	snprintf(guardian->owner_text, sizeof(guardian->owner_text), "session closed, still running: %s", left);
	if (guardian->renewer.fd < 0)
		return GUARDIAN_HOLDING; /* the next one is told */
	wire_begin(&message, WIRE_OWNER);
	wire_put_text(&message, WIRE_OWNER_TEXT, guardian->owner_text);
	guardian_send(guardian, guardian->renewer.fd, &message);
	return GUARDIAN_HOLDING;
}

enum guardian_state closing_settle(struct guardian *guardian)
{
	if (is_nobody_left(guardian))
		return closing_release(guardian);
	if (guardian->guard.leftovers == LEFTOVERS_END)
		return closing_begin_end(guardian, "leftovers = end", false);
	if (is_only_to_end_left(guardian))
		return end_agents(guardian);
	return hold_lock(guardian);
}
