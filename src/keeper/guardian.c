/* An open session: who says what, and when what is due.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/guardian.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/runtime.h"
#include "guard/log.h"
#include "guard/wire.h"
#include "keeper/terminals.h"

/* How often the session's new processes are looked for: those whose parents end between two looks must be known by
 * their audit session or their mark.  More often at first, when a session starts what it is for. */
#define LOOK_FIRST_NS (10 * NS_PER_MS)
#define LOOK_INTERVAL_NS (1 * NS_PER_S)
/* A line reaches the far end of an ssh connection before its process is signalled. */
#define SHOW_LINE_NS (300 * NS_PER_MS)
/* The renewer gives up at the same moment, and knows better why. */
#define FIRST_WORD_NS (100 * NS_PER_MS)
#define NEXT_STANDBY_NS (1 * NS_PER_S)
#define POLL_AGAIN_MS 20
#define NEVER INT64_MAX

void guardian_init(struct guardian *guardian, int session_fd, int host_fd)
{
	*guardian = (struct guardian){ .session_fd = session_fd,
				       .host_fd = host_fd,
				       .timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK),
				       .upstream_fd = -1,
				       .sharing = { .listener = -1 },
				       .standby_fd = -1,
				       .host_is_watched = true,
				       .end_at_ns = NEVER,
				       .look_ns = NEVER,
				       .state_over_ns = NEVER };
	renewer_process_init(&guardian->renewer);
}

void guardian_free(struct guardian *guardian)
{
	if (guardian->life) {
		guardian->life->is_over = 1;
		munmap(guardian->life, sizeof(*guardian->life));
	}
	if (guardian->standby_fd >= 0) {
		close(guardian->standby_fd);
		waitpid(guardian->standby_pid, NULL, WNOHANG);
	}
	lease_clients_close(guardian);
	sharing_leave(&guardian->sharing);
	renewer_process_close(&guardian->renewer);
	if (guardian->upstream_fd >= 0)
		close(guardian->upstream_fd);
	if (guardian->timer_fd >= 0)
		close(guardian->timer_fd);
	watch_free(&guardian->watch);
	guard_free(&guardian->guard);
	session_free(&guardian->session);
	free(guardian->store_name);
}

/* ---- The lease ------------------------------------------------------------------------------------------- */

void guardian_extend(struct guardian *guardian, int64_t deadline_boot_ns, int64_t expiration_time)
{
	if (guardian->is_lost)
		return; /* what was announced on the terminals comes */
	guardian->life->deadline_boot_ns = deadline_boot_ns;
	guardian->expiration_time = expiration_time;
	renewer_process_refresh(&guardian->renewer);
	lease_clients_tell_valid(guardian);
}

static void warn(struct guardian *guardian, const char *why)
{
	char line[AWSFLOCK_ERROR_MESSAGE_SIZE];
	int64_t left_s = (guardian->end_at_ns - clock_boot_ns()) / NS_PER_S;

	if (guardian->guard.only_warns)
		snprintf(line, sizeof(line), "awsflock: the lock '%.200s' is lost: %.600s.", guardian->guard.lock,
			 why);
	else if (left_s > 0)
		snprintf(line, sizeof(line),
			 "awsflock: the lock '%.200s' is being lost: %.600s. This session ends in %lld s.",
			 guardian->guard.lock, why, (long long)left_s);
	else
		snprintf(line, sizeof(line), "awsflock: the lock '%.200s' is lost: %.600s. This session ends now.",
			 guardian->guard.lock, why);
	watch_look(&guardian->watch);
	terminals_write(&guardian->watch, guardian->session.tty, line);
}

void guardian_lost(struct guardian *guardian, bool is_refused, const char *why)
{
	int64_t now_ns = clock_boot_ns();
	int64_t in_time_ns = guardian->life->deadline_boot_ns - guardian->guard.end_ms * NS_PER_MS;

	if (guardian->is_lost && (guardian->is_refused || !is_refused))
		return;
	guardian->is_lost = true;
	guardian->is_refused = is_refused;
	guardian->end_at_ns = is_refused ? now_ns + SHOW_LINE_NS : in_time_ns;
	log_line(LOG_ERR, "lost: '%s': %s", guardian->guard.lock, why);
	lease_clients_tell_lost(guardian, is_refused, why);
	if (guardian->state == GUARDIAN_GRANTED || guardian->state == GUARDIAN_EMPTY) {
		closing_release(guardian);
		return;
	}
	if (guardian->state < GUARDIAN_ENDING)
		warn(guardian, why);
	if (guardian->guard.only_warns)
		guardian->end_at_ns = NEVER;
}

/* No word came in time: the renewer is stuck, or dead, or cannot reach the table and does not say so. */
static void check_deadline(struct guardian *guardian, int64_t now_ns)
{
	int64_t stop_ns = guard_stop_ms(&guardian->guard) * NS_PER_MS;

	if (!guardian->is_lost && now_ns >= guardian->life->deadline_boot_ns - stop_ns + FIRST_WORD_NS)
		guardian_lost(guardian, now_ns >= guardian->life->deadline_boot_ns,
			      "no renewal has been confirmed in time");
	if (guardian->is_lost && guardian->state < GUARDIAN_ENDING && now_ns >= guardian->end_at_ns)
		closing_begin_end(guardian, "the lock is lost", !guardian->life->is_closed);
}

/* ---- Who says what --------------------------------------------------------------------------------------- */

static void session_opened(struct guardian *guardian)
{
	guardian->state = GUARDIAN_OPEN;
	guardian->state_over_ns = NEVER;
	guardian->opened_ns = clock_boot_ns();
	guardian->look_ns = guardian->opened_ns;
	guardian->life->opened_ns = guardian->opened_ns;
	guardian->life->is_opened = 1;
}

/* Before it was opened the lock is given back; afterwards the host's own end counts, not that of the connection. */
static void module_gone(struct guardian *guardian)
{
	close(guardian->session_fd);
	guardian->session_fd = -1;
	if (guardian->state == GUARDIAN_GRANTED)
		closing_release(guardian);
}

static void hear_module(struct guardian *guardian)
{
	struct wire_message message;
	uid_t sender = (uid_t)-1;

	switch (wire_receive(guardian->session_fd, &message, &sender)) {
	case WIRE_GOT:
		break;
	case WIRE_END:
		module_gone(guardian);
		return;
	default:
		return;
	}
	if (sender != 0)
		log_line(LOG_WARNING, "a message of user %u on the session's connection is not believed",
			 (unsigned)sender);
	else if (wire_type(&message) == WIRE_OPENED && guardian->state == GUARDIAN_GRANTED)
		session_opened(guardian);
	else if (wire_type(&message) == WIRE_RELEASE)
		closing_close(guardian);
}

static void hear_host_end(struct guardian *guardian)
{
	guardian->host_is_watched = false;
	if (guardian->state == GUARDIAN_GRANTED)
		closing_release(guardian);
	else if (guardian->state == GUARDIAN_OPEN)
		closing_begin_end(guardian, "its host ended without closing it", false);
}

static void hear_lease(struct guardian *guardian, const struct wire_message *message)
{
	const char *sentence = wire_text(message, WIRE_SENTENCE);

	switch (wire_type(message)) {
	case WIRE_VALID:
		guardian_extend(guardian, wire_number(message, WIRE_DEADLINE_BOOT_NS),
				wire_number(message, WIRE_EXPIRATION_TIME));
		break;
	case WIRE_LOST:
		guardian_lost(guardian, wire_number(message, WIRE_REFUSED) != 0, sentence);
		break;
	case WIRE_LOG:
		log_line((int)wire_number(message, WIRE_PRIORITY) & LOG_PRIMASK, "%s", sentence);
		break;
	case WIRE_RELEASED:
		closing_released(guardian, true, "");
		break;
	case WIRE_KEPT:
		closing_released(guardian, false, sentence);
		break;
	default:
		break;
	}
}

/* The renewer, or the keeper that was joined.  The lease is good for as long as it was. */
static void lease_source_gone(struct guardian *guardian)
{
	if (guardian->upstream_fd >= 0) {
		log_line(LOG_ALERT, "the keeper that this session shares '%s' with is gone", guardian->guard.lock);
		close(guardian->upstream_fd);
		guardian->upstream_fd = -1;
		return;
	}
	renewer_process_close(&guardian->renewer);
	if (guardian->state == GUARDIAN_RELEASING)
		closing_released(guardian, false, "the network half has ended");
	else if (!guardian->is_lost)
		log_line(LOG_ALERT, "the network half of '%s' is gone: nothing renews it", guardian->guard.lock);
}

static int lease_source(const struct guardian *guardian)
{
	return guardian->upstream_fd >= 0 ? guardian->upstream_fd : guardian->renewer.fd;
}

static void hear_lease_source(struct guardian *guardian)
{
	struct wire_message message;
	enum wire_result result = wire_receive(lease_source(guardian), &message, NULL);

	if (result == WIRE_GOT)
		hear_lease(guardian, &message);
	else if (result == WIRE_END)
		lease_source_gone(guardian);
}

static void standby_gone(struct guardian *guardian)
{
	waitpid(guardian->standby_pid, NULL, WNOHANG);
	close(guardian->standby_fd);
	guardian->standby_fd = -1;
	guardian->standby_ns = clock_boot_ns() + NEXT_STANDBY_NS;
	log_line(LOG_WARNING, "the standby has ended: another is started");
}

/* ---- What is due ----------------------------------------------------------------------------------------- */

static void look(struct guardian *guardian, int64_t now_ns)
{
	int64_t interval_ns = now_ns - guardian->opened_ns;

	if (interval_ns < LOOK_FIRST_NS)
		interval_ns = LOOK_FIRST_NS;
	else if (interval_ns > LOOK_INTERVAL_NS)
		interval_ns = LOOK_INTERVAL_NS;
	guardian->look_ns = now_ns + interval_ns;
	watch_look_quickly(&guardian->watch);
	sharing_restore(&guardian->sharing);
}

static void do_what_is_due(struct guardian *guardian)
{
	int64_t now_ns = clock_boot_ns();

	if (guardian->state < GUARDIAN_RELEASING)
		check_deadline(guardian, now_ns);
	if (guardian->state == GUARDIAN_OPEN && now_ns >= guardian->look_ns)
		look(guardian, now_ns);
	if (guardian->state == GUARDIAN_GRANTED && now_ns >= guardian->state_over_ns)
		closing_release(guardian);
	closing_step(guardian, now_ns);
	if (guardian->standby_fd < 0 && guardian->state < GUARDIAN_RELEASING && now_ns >= guardian->standby_ns)
		standby_start(guardian);
}

static void earliest(int64_t *next_ns, int64_t candidate_ns)
{
	if (candidate_ns < *next_ns)
		*next_ns = candidate_ns;
}

static int64_t next_due_ns(const struct guardian *guardian)
{
	int64_t next_ns = guardian->state_over_ns;

	if (guardian->state < GUARDIAN_RELEASING && !guardian->is_lost)
		earliest(&next_ns, guardian->life->deadline_boot_ns - guard_stop_ms(&guardian->guard) * NS_PER_MS +
					   FIRST_WORD_NS);
	if (guardian->state < GUARDIAN_ENDING && guardian->is_lost)
		earliest(&next_ns, guardian->end_at_ns);
	if (guardian->state == GUARDIAN_OPEN)
		earliest(&next_ns, guardian->look_ns);
	if (guardian->standby_fd < 0 && guardian->state < GUARDIAN_RELEASING)
		earliest(&next_ns, guardian->standby_ns);
	earliest(&next_ns, closing_next_ns(guardian));
	return next_ns;
}

/* poll()'s own timeout runs on a clock that stands still while the machine sleeps. */
static int arm(const struct guardian *guardian)
{
	int64_t next_ns = next_due_ns(guardian), now_ns = clock_boot_ns();
	struct itimerspec alarm = { .it_value = { 0, 0 } };

	if (next_ns <= now_ns)
		return 0;
	if (next_ns == NEVER)
		return -1;
	alarm.it_value.tv_sec = (time_t)(next_ns / NS_PER_S);
	alarm.it_value.tv_nsec = (long)(next_ns % NS_PER_S);
	return timerfd_settime(guardian->timer_fd, TFD_TIMER_ABSTIME, &alarm, NULL) == 0 ? -1 : 100;
}

/* ---- The loop -------------------------------------------------------------------------------------------- */

enum polled {
	POLL_TIMER,
	POLL_LEASE,
	POLL_MODULE,
	POLL_HOST,
	POLL_STANDBY,
	POLL_LISTENER,
	POLL_LEASE_CLIENTS
};

/* How many descriptors there are in POLLED: those of lease clients come last, and only as many as there are.  poll()
 * refuses more than the limit, of which a caller may have left little. */
static nfds_t listen_to(struct pollfd *polled, const struct guardian *guardian)
{
	bool takes_lease_clients = guardian->state < GUARDIAN_RELEASING;
	nfds_t count = POLL_LEASE_CLIENTS + guardian->lease_client_count;

	polled[POLL_TIMER].fd = guardian->timer_fd;
	polled[POLL_LEASE].fd = lease_source(guardian);
	polled[POLL_MODULE].fd = guardian->session_fd;
	polled[POLL_HOST].fd = guardian->host_is_watched ? guardian->host_fd : -1;
	polled[POLL_STANDBY].fd = guardian->standby_fd;
	polled[POLL_LISTENER].fd = takes_lease_clients ? guardian->sharing.listener : -1;
	for (size_t i = 0; i < guardian->lease_client_count; i++)
		polled[POLL_LEASE_CLIENTS + i].fd = guardian->lease_clients[i].fd;
	for (size_t i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = polled[i].fd, .events = POLLIN };
	return count;
}

/* Where poll() fails for all, each is asked alone; where that fails too, a connection is taken for ready, since
 * receiving does not wait.  The guardian is never deaf. */
static void poll_one_by_one(struct pollfd *polled, nfds_t count)
{
	poll(NULL, 0, POLL_AGAIN_MS);
	for (nfds_t i = 0; i < count; i++) {
		polled[i].revents = 0;
		if (polled[i].fd < 0 || poll(&polled[i], 1, 0) >= 0)
			continue;
		polled[i].revents = i == POLL_LEASE || i == POLL_MODULE || i >= POLL_LEASE_CLIENTS ? POLLIN : 0;
	}
}

static void hear(struct guardian *guardian, const struct pollfd *polled)
{
	uint64_t expirations;

	if (polled[POLL_TIMER].revents && read(guardian->timer_fd, &expirations, sizeof(expirations)) < 0)
		return; /* nothing is lost: what is due is looked up */
	if (polled[POLL_LEASE].revents)
		hear_lease_source(guardian);
	/* Before the host's end: a close just before it is one in order. */
	if (polled[POLL_MODULE].revents)
		hear_module(guardian);
	else if (polled[POLL_HOST].revents)
		hear_host_end(guardian);
	if (polled[POLL_STANDBY].revents)
		standby_gone(guardian);
	/* From the last: one that leaves makes the last one take its place.  Those who come are polled next time. */
	for (size_t i = guardian->lease_client_count; i > 0; i--)
		if (polled[POLL_LEASE_CLIENTS + i - 1].revents)
			lease_clients_receive(guardian, i - 1);
	if (polled[POLL_LISTENER].revents)
		lease_clients_accept(guardian);
}

void guardian_run(struct guardian *guardian)
{
	struct pollfd polled[POLL_LEASE_CLIENTS + LEASE_CLIENTS_MAX];

	watch_look_quickly(&guardian->watch);
	if (!standby_start(guardian))
		opening_grant(guardian);
	while (guardian->state != GUARDIAN_OVER) {
		nfds_t count = listen_to(polled, guardian);
		if (poll(polled, count, arm(guardian)) < 0)
			poll_one_by_one(polled, count);
		hear(guardian, polled);
		if (guardian->state != GUARDIAN_OVER)
			do_what_is_due(guardian);
	}
}
