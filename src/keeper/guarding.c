/* See guarding.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/guarding.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/clock.h"
#include "keeper/closing.h"
#include "keeper/lease_clients.h"
#include "keeper/standby.h"
#include "proc/process.h"

/* How often the session's new processes are looked for: those whose parents end between two looks must be known by
 * their audit session or their mark.  More often at first, when a session starts what it is for. */
#define LOOK_FIRST_NS (10 * NS_PER_MS)
#define LOOK_INTERVAL_NS (1 * NS_PER_S)
/* Where the kernel says who comes and goes: for what is beside the members, such as a wiped /run. */
#define LOOK_INTERVAL_TOLD_NS (20 * NS_PER_S)
/* At most one part in so many of a processor's time: a look at thousands takes long. */
#define LOOK_REST_FACTOR 5
/* A line reaches the far end of an ssh connection before its process is signalled. */
#define SHOW_LINE_NS (300 * NS_PER_MS)
/* The renewer gives up at the same moment, and knows better why. */
#define FIRST_WORD_NS (100 * NS_PER_MS)
#define NEXT_STANDBY_NS (1 * NS_PER_S)
#define NEXT_RENEWER_NS (1 * NS_PER_S)

enum guardian_state guarding_note(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return guardian->state;
}

/* ---- The lease ------------------------------------------------------------------------------------------- */

static void expect_renewal(struct guardian *guardian)
{
	guardian_set_timer(guardian, TIMER_RENEWAL,
			   guardian->life->deadline_boot_ns - guard_stop_ms(&guardian->guard) * NS_PER_MS +
				   FIRST_WORD_NS);
}

enum guardian_state guarding_valid(struct guardian *guardian, const struct occurrence *occurrence)
{
	if (guardian->is_lost)
		return guardian->state; /* what was announced on the terminals comes */
	guardian->life->deadline_boot_ns =
		guardian_bound_deadline(guardian, wire_number(occurrence->message, WIRE_DEADLINE_BOOT_NS));
	guardian->expiration_time = wire_number(occurrence->message, WIRE_EXPIRATION_TIME);
	lease_ids_set(&guardian->lease_ids, wire_text(occurrence->message, WIRE_ID));
	renewer_process_refresh(&guardian->renewer);
	lease_clients_send_valid(guardian);
	expect_renewal(guardian);
	return guardian->state;
}

static void warn_people(struct guardian *guardian, int64_t end_ns, const char *why)
{
	char line[AWSFLOCK_ERROR_MESSAGE_SIZE];
	const char *lock = guardian->guard.lock;
	int64_t left_s = (end_ns - guardian_now_ns(guardian)) / NS_PER_S;

	if (guardian->guard.only_warns)
		snprintf(line, sizeof(line), "awsflock: the lock '%.200s' is lost: %.600s.", lock, why);
	else if (left_s > 0)
		snprintf(line, sizeof(line),
			 "awsflock: the lock '%.200s' is being lost: %.600s. This session ends in %lld s.", lock,
			 why, (long long)left_s);
	else
		snprintf(line, sizeof(line), "awsflock: the lock '%.200s' is lost: %.600s. This session ends now.",
			 lock, why);
	guardian->members->ops->notify(guardian->members, guardian->session.tty, line);
}

/* The lease is lost, or will be at its deadline. */
static enum guardian_state lose_lease(struct guardian *guardian, enum guardian_state from, bool is_refused,
				      const char *why)
{
	int64_t now_ns = guardian_now_ns(guardian);
	int64_t in_time_ns = guardian->life->deadline_boot_ns - guardian->guard.end_ms * NS_PER_MS;
	int64_t end_ns = is_refused ? now_ns + SHOW_LINE_NS : in_time_ns;

	if (guardian->is_lost && (guardian->is_refused || !is_refused))
		return from;
	guardian->is_lost = true;
	guardian->is_refused = is_refused;
	guardian_set_timer(guardian, TIMER_RENEWAL, NEVER);
	guardian_set_timer(guardian, TIMER_END, guardian->guard.only_warns ? NEVER : end_ns);
	guardian_log(guardian, LOG_ERR, "lost: '%s': %s", guardian->guard.lock, why);
	lease_clients_send_lost(guardian, is_refused, why);
	switch (from) {
	case GUARDIAN_GRANTED:
	case GUARDIAN_EMPTY:
		return closing_release(guardian);
	case GUARDIAN_ENDING:
		guardian_set_timer(guardian, TIMER_STEP, now_ns); /* it has to hurry */
		return from;
	case GUARDIAN_RELEASING:
		return from;
	default:
		warn_people(guardian, end_ns, why);
		return from;
	}
}

enum guardian_state guarding_lost(struct guardian *guardian, const struct occurrence *occurrence)
{
	return lose_lease(guardian, guardian->state, wire_number(occurrence->message, WIRE_REFUSED) != 0,
			  wire_text(occurrence->message, WIRE_SENTENCE));
}

/* No word came in time: the renewer is stuck, or dead, or cannot reach the table and does not say so. */
enum guardian_state guarding_unrenewed(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return lose_lease(guardian, guardian->state, guardian_now_ns(guardian) >= guardian->life->deadline_boot_ns,
			  "no renewal has been confirmed in time");
}

enum guardian_state guarding_end_due(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_begin_end(guardian, "the lock is lost", !guardian->life->is_closed);
}

/* The lease is good for as long as it was. */
static void leave_source(struct guardian *guardian)
{
	if (guardian->upstream_fd >= 0) {
		close(guardian->upstream_fd);
		guardian->upstream_fd = -1;
		/* As if it were held: the lock is not ours to give back, and its holder's keeper is gone. */
		return;
	}
	renewer_process_close(&guardian->renewer);
}

enum guardian_state guarding_source_gone(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	if (guardian->upstream_fd >= 0)
		guardian_log(guardian, LOG_ALERT, "the keeper that this session shares '%s' with is gone",
			     guardian->guard.lock);
	else if (!guardian->is_lost)
		guardian_log(guardian, LOG_ALERT, "the network half of '%s' is gone: another is started",
			     guardian->guard.lock);
	if (guardian->upstream_fd < 0 && !guardian->is_lost)
		guardian_set_timer(guardian, TIMER_RENEWER, guardian->next_renewer_ns);
	leave_source(guardian);
	return guardian->state;
}

static void send_adopt(struct guardian *guardian)
{
	struct wire_message message;

	for (size_t i = 0; i < guardian->lease_ids.count; i++) {
		wire_begin(&message, WIRE_LEASE_ID);
		wire_put_text(&message, WIRE_ID, guardian->lease_ids.id[i]);
		guardian_send(guardian, guardian->renewer.fd, &message);
	}
	if (*guardian->owner_text) {
		wire_begin(&message, WIRE_OWNER);
		wire_put_text(&message, WIRE_OWNER_TEXT, guardian->owner_text);
		guardian_send(guardian, guardian->renewer.fd, &message);
	}
	wire_begin(&message, WIRE_ADOPT);
	wire_put_text(&message, WIRE_LOCK, guardian->guard.lock);
	wire_put_number(&message, WIRE_LEASE_S, guardian->guard.lease_s);
	wire_put_number(&message, WIRE_STOP_MS, guard_stop_ms(&guardian->guard));
	wire_put_number(&message, WIRE_DEADLINE_BOOT_NS, guardian->life->deadline_boot_ns);
	guardian_send(guardian, guardian->renewer.fd, &message);
}

/* Another process of its user may have killed it.  What it may have sent last, the next one is told. */
enum guardian_state guarding_start_renewer(struct guardian *guardian, const struct occurrence *occurrence)
{
	int64_t now_ns = guardian_now_ns(guardian);
	awsflock_error error;

	(void)occurrence;
	if (guardian->is_lost || guardian->renewer.fd >= 0)
		return guardian->state;
	guardian->next_renewer_ns = now_ns + NEXT_RENEWER_NS;
	if (guardian->world->ops->restart_renewer(guardian->world, guardian, &error) != AWSFLOCK_OK) {
		guardian_log(guardian, LOG_WARNING, "%s", error.message);
		guardian_set_timer(guardian, TIMER_RENEWER, guardian->next_renewer_ns);
		return guardian->state;
	}
	send_adopt(guardian);
	/* The standby has a copy of the connection to the other one: the next standby is a copy of this process as it
	 * is now. */
	process_pidfd_signal(guardian->standby_fd, SIGKILL);
	return guardian->state;
}

enum guardian_state guarding_source_gone_releasing(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	leave_source(guardian);
	return closing_over(guardian, false, "the network half has ended");
}

enum guardian_state guarding_source_wrong(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	leave_source(guardian);
	if (guardian->state == GUARDIAN_RELEASING)
		return closing_over(guardian, false, "the network half has sent what it must not");
	return lose_lease(guardian, guardian->state, false, "who renews it has sent what it must not");
}

enum guardian_state guarding_released(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_over(guardian, true, "released");
}

enum guardian_state guarding_kept(struct guardian *guardian, const struct occurrence *occurrence)
{
	return closing_over(guardian, false, wire_text(occurrence->message, WIRE_SENTENCE));
}

enum guardian_state guarding_release_timeout(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_over(guardian, false, "not released: the store does not answer");
}

/* ---- The standby ----------------------------------------------------------------------------------------- */

/* What the guardian's end leaves behind, as the lease's loss: with the grace, where there is time for it. */
static enum guardian_state take_over(struct guardian *guardian)
{
	int64_t now_ns = guardian_now_ns(guardian), after_grace_ns;
	enum guardian_state next;

	for (int timer = 0; timer < TIMER_COUNT; timer++)
		guardian_set_timer(guardian, (enum guardian_timer)timer, NEVER);
	guardian_log(guardian, LOG_ALERT,
		     "the guardian of '%s' was killed or stopped: its standby ends the session",
		     guardian->guard.lock);
	if (guardian->life->joined > 0)
		guardian->may_not_release = true;
	sharing_leave(&guardian->sharing);
	guardian_set_timer(guardian, TIMER_STANDBY, now_ns);
	if (!guardian->life->is_opened) {
		expect_renewal(guardian);
		guardian_set_timer(guardian, TIMER_STATE, now_ns + WIRE_OPENED_WITHIN_MS * NS_PER_MS);
		return GUARDIAN_GRANTED;
	}
	guardian->opened_ns = guardian->life->opened_ns;
	if (guardian->life->is_ending || guardian->life->is_closed)
		return closing_begin_end(guardian, "its guardian was killed or stopped",
					 !guardian->life->is_closed);
	guardian_set_timer(guardian, TIMER_LOOK, now_ns);
	next = lose_lease(guardian, GUARDIAN_OPEN, false, "the process that guards it was killed or stopped");
	after_grace_ns = now_ns + guardian->guard.grace_ms * NS_PER_MS;
	if (after_grace_ns < guardian->timers[TIMER_END] && !guardian->guard.only_warns)
		guardian_set_timer(guardian, TIMER_END, after_grace_ns);
	return next;
}

enum guardian_state guarding_start_standby(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	switch (standby_start(guardian)) {
	case STANDBY_TAKES_OVER:
		return take_over(guardian);
	case STANDBY_IMPOSSIBLE:
		guardian_log(guardian, LOG_WARNING, "no standby can be started now");
		guardian_set_timer(guardian, TIMER_STANDBY, guardian_now_ns(guardian) + NEXT_STANDBY_NS);
		break;
	default:
		break;
	}
	return guardian->state;
}

enum guardian_state guarding_standby_gone(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	if (guardian->standby_fd >= 0) {
		waitpid(guardian->standby_pid, NULL, WNOHANG);
		close(guardian->standby_fd);
		guardian->standby_fd = -1;
	}
	guardian_set_timer(guardian, TIMER_STANDBY, guardian_now_ns(guardian) + NEXT_STANDBY_NS);
	guardian_log(guardian, LOG_WARNING, "the standby has ended: another is started");
	return guardian->state;
}

/* ---- The module and its host ----------------------------------------------------------------------------- */

enum guardian_state guarding_granted(struct guardian *guardian, const struct occurrence *occurrence)
{
	int64_t now_ns = guardian_now_ns(guardian);

	(void)occurrence;
	guardian_refresh_members(guardian, false);
	expect_renewal(guardian);
	guardian_set_timer(guardian, TIMER_STATE, now_ns + WIRE_OPENED_WITHIN_MS * NS_PER_MS);
	guardian_set_timer(guardian, TIMER_STANDBY, now_ns);
	return GUARDIAN_GRANTED;
}

enum guardian_state guarding_unopened(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_release(guardian);
}

enum guardian_state guarding_opened(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	guardian->opened_ns = guardian_now_ns(guardian);
	guardian->life->opened_ns = guardian->opened_ns;
	guardian->life->is_opened = true;
	guardian_set_timer(guardian, TIMER_LOOK, guardian->opened_ns);
	return GUARDIAN_OPEN;
}

/* The session runs, and the lock is on its way to somebody else: nothing of it may be left. */
enum guardian_state guarding_opened_too_late(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_opened(guardian, occurrence);
	guardian->is_lost = guardian->is_refused = true;
	leave_source(guardian);
	guardian_log(guardian, LOG_ALERT, "the session was opened after '%s' had been given back",
		     guardian->guard.lock);
	return closing_begin_end(guardian, "the lock is not held", true);
}

static void note_close(struct guardian *guardian)
{
	guardian->members->ops->host_closes(guardian->members);
	guardian->life->is_closed = true;
	guardian->owes_answer = true;
}

enum guardian_state guarding_closed(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	note_close(guardian);
	return closing_close(guardian);
}

/* A later module refused the session. */
enum guardian_state guarding_closed_unopened(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	note_close(guardian);
	return closing_release(guardian);
}

/* The answer comes with the end. */
enum guardian_state guarding_closed_meanwhile(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	note_close(guardian);
	return guardian->state;
}

/* The host's own end counts, not that of the connection. */
enum guardian_state guarding_module_gone(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	if (guardian->session_fd >= 0)
		close(guardian->session_fd);
	guardian->session_fd = -1;
	return guardian->state;
}

enum guardian_state guarding_module_gone_unopened(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_module_gone(guardian, occurrence);
	return closing_release(guardian);
}

enum guardian_state guarding_host_ended(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	guardian->host_is_watched = false;
	return guardian->state;
}

enum guardian_state guarding_host_ended_unopened(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_host_ended(guardian, occurrence);
	return closing_release(guardian);
}

static enum guardian_state end_without_host(struct guardian *guardian)
{
	return closing_begin_end(guardian, "its host ended without closing it", false);
}

enum guardian_state guarding_host_ended_open(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_host_ended(guardian, occurrence);
	if (!guardian->session.may_move || guardian->session_fd < 0)
		return end_without_host(guardian);
	guardian_set_timer(guardian, TIMER_STATE, guardian_now_ns(guardian) + WIRE_MOVED_WITHIN_MS * NS_PER_MS);
	return GUARDIAN_MOVING;
}

enum guardian_state guarding_module_gone_moving(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_module_gone(guardian, occurrence);
	return end_without_host(guardian);
}

enum guardian_state guarding_not_moved(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return end_without_host(guardian);
}

/* `sudo -b`: its parent ends, the child runs the command and closes the session. */
enum guardian_state guarding_moved(struct guardian *guardian, const struct occurrence *occurrence)
{
	int next = occurrence->message->passed;

	if (next < 0 || dup3(next, guardian->host_fd, O_CLOEXEC) < 0) {
		guardian_log(guardian, LOG_WARNING, "the host does not say where it has moved to");
		return guardian->state;
	}
	guardian->host_is_watched = true;
	guardian_log(guardian, LOG_INFO, "moved: the session goes on in the background");
	guardian->members->ops->host_moves(guardian->members);
	/* It knows the earlier host: the next standby is a copy of this process as it is now. */
	process_pidfd_signal(guardian->standby_fd, SIGKILL);
	return GUARDIAN_OPEN;
}

/* ---- Lease clients --------------------------------------------------------------------------------------- */

enum guardian_state guarding_client_joins(struct guardian *guardian, const struct occurrence *occurrence)
{
	lease_clients_join(guardian, occurrence->client, occurrence->message, true);
	return guardian->state;
}

enum guardian_state guarding_client_too_late(struct guardian *guardian, const struct occurrence *occurrence)
{
	lease_clients_join(guardian, occurrence->client, occurrence->message, false);
	return guardian->state;
}

enum guardian_state guarding_client_gone_empty(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return guardian->lease_client_count == 0 ? closing_release(guardian) : guardian->state;
}

/* One that is turned away may have been all that was left. */
enum guardian_state guarding_client_joins_empty(struct guardian *guardian, const struct occurrence *occurrence)
{
	guarding_client_joins(guardian, occurrence);
	return guarding_client_gone_empty(guardian, occurrence);
}

/* ---- Who is there ---------------------------------------------------------------------------------------- */

enum guardian_state guarding_look(struct guardian *guardian, const struct occurrence *occurrence)
{
	int64_t now_ns = guardian_now_ns(guardian), interval_ns = now_ns - guardian->opened_ns;
	bool is_told = guardian->members->ops->event_fd(guardian->members) >= 0;
	int64_t longest_ns = is_told ? LOOK_INTERVAL_TOLD_NS : LOOK_INTERVAL_NS, took_ns;

	(void)occurrence;
	if (interval_ns < LOOK_FIRST_NS)
		interval_ns = LOOK_FIRST_NS;
	else if (interval_ns > longest_ns)
		interval_ns = longest_ns;
	guardian_refresh_members(guardian, false);
	took_ns = guardian_now_ns(guardian) - now_ns;
	if (interval_ns < LOOK_REST_FACTOR * took_ns)
		interval_ns = LOOK_REST_FACTOR * took_ns;
	guardian_set_timer(guardian, TIMER_LOOK, now_ns + interval_ns);
	sharing_restore(&guardian->sharing);
	return guardian->state;
}

enum guardian_state guarding_members_changed(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	guardian_refresh_members(guardian, false);
	return guardian->state;
}

enum guardian_state guarding_look_closing(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_look(guardian);
}

enum guardian_state guarding_settle(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_settle(guardian);
}

enum guardian_state guarding_step_end(struct guardian *guardian, const struct occurrence *occurrence)
{
	(void)occurrence;
	return closing_step_end(guardian);
}
