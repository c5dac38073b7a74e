/* See loop.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/loop.h"

#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "keeper/lease_clients.h"
#include "keeper/machine.h"
#include "keeper/spare_memory.h"

#define POLL_AGAIN_MS 20
/* Where no timer can be set. */
#define TIMER_AGAIN_MS 100
/* A renewer does not renew for a guardian that has made no progress for a third of the lease: an idle one shows that it
 * is there some times in that. */
#define SHOWINGS_PER_LEASE 6

/* ---- Who says what --------------------------------------------------------------------------------------- */

/* A guardian that is killed with OPENED read and not yet served leaves a standby that would wait for it, and then
 * give the lock back under the session.  So what may be OPENED counts as that until it has been looked at. */
static enum wire_result receive_from_module(struct guardian *guardian, struct wire_message *message, uid_t *sender)
{
	bool is_awaited = guardian->state == GUARDIAN_GRANTED;
	enum wire_result result;

	if (is_awaited)
		guardian->life->is_opened = true;
	result = guardian->world->ops->receive(guardian->world, guardian->session_fd, message, sender);
	if (is_awaited && (result != WIRE_GOT || *sender != 0 || wire_type(message) != WIRE_OPENED))
		guardian->life->is_opened = false;
	return result;
}

static void hear_module(struct guardian *guardian)
{
	struct wire_message message;
	uid_t sender = (uid_t)-1;
	enum wire_result result = receive_from_module(guardian, &message, &sender);

	if (result == WIRE_END)
		machine_event(guardian, EVENT_MODULE_GONE, NULL, 0);
	if (result == WIRE_BAD)
		guardian_log(guardian, LOG_WARNING, "what is no message came from the module");
	if (result != WIRE_GOT)
		return;
	if (sender != 0)
		guardian_log(guardian, LOG_WARNING,
			     "a message of user %u on the session's connection is not believed", (unsigned)sender);
	else if (wire_type(&message) == WIRE_OPENED)
		machine_event(guardian, EVENT_OPENED, NULL, 0);
	else if (wire_type(&message) == WIRE_RELEASE)
		machine_event(guardian, EVENT_CLOSED, NULL, 0);
	else if (wire_type(&message) == WIRE_MOVED)
		machine_event(guardian, EVENT_MOVED, &message, 0);
	else
		guardian_log(guardian, LOG_WARNING, "a message of type %u from the module is passed over",
			     wire_type(&message));
	if (message.passed >= 0)
		close(message.passed);
}

/* It gives up before it begins, and ends: another one is started. */
static void hear_denied(struct guardian *guardian, const struct wire_message *message)
{
	if (guardian->upstream_fd < 0)
		guardian_log(guardian, LOG_WARNING, "%s", wire_text(message, WIRE_SENTENCE));
}

/* A keeper that was joined may be of a newer release, and so may a renewer that was started after an upgrade. */
static void hear_another(struct guardian *guardian, const struct wire_message *message)
{
	if (wire_is_known(message)) {
		if (guardian->upstream_fd < 0)
			machine_event(guardian, EVENT_SOURCE_WRONG, message, 0);
		return;
	}
	if (!guardian->has_passed_over)
		guardian_log(guardian, LOG_INFO, "messages of type %u, of a newer release, are passed over",
			     wire_type(message));
	guardian->has_passed_over = true;
}

static void hear_lease_message(struct guardian *guardian, const struct wire_message *message)
{
	switch (wire_type(message)) {
	case WIRE_LOG:
		guardian_log(guardian, (int)wire_number(message, WIRE_PRIORITY) & LOG_PRIMASK, "%s",
			     wire_text(message, WIRE_SENTENCE));
		break;
	case WIRE_DENIED:
		hear_denied(guardian, message);
		break;
	case WIRE_LEASE_ID:
		lease_ids_add(&guardian->lease_ids, wire_text(message, WIRE_ID));
		break;
	case WIRE_VALID:
		machine_event(guardian, EVENT_VALID, message, 0);
		break;
	case WIRE_LOST:
		machine_event(guardian, EVENT_LOST, message, 0);
		break;
	case WIRE_RELEASED:
		machine_event(guardian, EVENT_RELEASED, message, 0);
		break;
	case WIRE_KEPT:
		machine_event(guardian, EVENT_KEPT, message, 0);
		break;
	default:
		hear_another(guardian, message);
		break;
	}
}

static void hear_lease_source(struct guardian *guardian)
{
	struct wire_message message;
	enum wire_result result =
		guardian->world->ops->receive(guardian->world, guardian_lease_source(guardian), &message, NULL);

	if (result == WIRE_GOT)
		hear_lease_message(guardian, &message);
	else if (result == WIRE_BAD)
		machine_event(guardian, EVENT_SOURCE_WRONG, NULL, 0);
	else if (result == WIRE_END)
		machine_event(guardian, EVENT_SOURCE_GONE, NULL, 0);
}

static void hear_client(struct guardian *guardian, size_t number)
{
	struct wire_message message;
	enum wire_result result =
		guardian->world->ops->receive(guardian->world, guardian->lease_clients[number].fd, &message, NULL);
	bool has_left = result == WIRE_GOT && wire_type(&message) == WIRE_LEAVE;

	if (result == WIRE_NOTHING)
		return;
	if (result == WIRE_GOT && wire_type(&message) == WIRE_JOIN) {
		machine_event(guardian, EVENT_CLIENT_JOINS, &message, number);
		return;
	}
	if (result == WIRE_GOT && !has_left)
		return; /* of a newer release */
	lease_clients_remove(guardian, number, has_left);
	machine_event(guardian, EVENT_CLIENT_GONE, NULL, 0);
}

/* ---- What is listened to --------------------------------------------------------------------------------- */

enum polled {
	POLL_TIMER,
	POLL_LEASE,
	POLL_MODULE,
	POLL_HOST,
	POLL_STANDBY,
	POLL_MEMBERS,
	POLL_LISTENER,
	POLL_LEASE_CLIENTS
};

/* How many descriptors there are in POLLED: those of lease clients come last, and only as many as there are.  poll()
 * refuses more than the limit, of which a caller may have left little. */
static nfds_t list_descriptors(struct pollfd *polled, const struct guardian *guardian)
{
	bool takes_lease_clients = guardian->state < GUARDIAN_RELEASING;
	nfds_t count = POLL_LEASE_CLIENTS + guardian->lease_client_count;

	polled[POLL_TIMER].fd = guardian->timer_fd;
	polled[POLL_LEASE].fd = guardian_lease_source(guardian);
	polled[POLL_MODULE].fd = guardian->session_fd;
	polled[POLL_HOST].fd = guardian->host_is_watched ? guardian->host_fd : -1;
	polled[POLL_STANDBY].fd = guardian->standby_fd;
	polled[POLL_MEMBERS].fd = guardian->members->ops->event_fd(guardian->members);
	polled[POLL_LISTENER].fd = takes_lease_clients ? guardian->sharing.listener : -1;
	for (size_t i = 0; i < guardian->lease_client_count; i++)
		polled[POLL_LEASE_CLIENTS + i].fd = guardian->lease_clients[i].fd;
	for (size_t i = 0; i < count; i++)
		polled[i] = (struct pollfd){ .fd = polled[i].fd, .events = POLLIN };
	polled[POLL_MEMBERS].events = POLLPRI;
	return count;
}

/* Where poll() fails for all, each is asked alone; where that fails too, a connection is taken for ready, since
 * receiving does not wait.  The guardian is never deaf. */
static void poll_one_by_one(struct world *world, struct pollfd *polled, nfds_t count)
{
	clock_pause_ns(POLL_AGAIN_MS * NS_PER_MS);
	for (nfds_t i = 0; i < count; i++) {
		polled[i].revents = 0;
		if (polled[i].fd < 0 || world->ops->poll(world, &polled[i], 1, 0) >= 0)
			continue;
		polled[i].revents = i == POLL_LEASE || i == POLL_MODULE || i >= POLL_LEASE_CLIENTS ? POLLIN : 0;
	}
}

/* What else came in the turn in which it was over means nothing any more. */
static bool is_heard(const struct guardian *guardian, const struct pollfd *polled)
{
	return polled->revents && guardian->state != GUARDIAN_OVER;
}

SPARE_MEMORY_OWN_FRAME static void hear_ready(struct guardian *guardian, const struct pollfd *polled)
{
	uint64_t expirations;

	if (polled[POLL_TIMER].revents && read(guardian->timer_fd, &expirations, sizeof(expirations)) < 0)
		return; /* nothing is lost: what is due is looked up */
	if (polled[POLL_LEASE].revents)
		hear_lease_source(guardian);
	/* Before the host's end: a close just before it is one in order. */
	if (is_heard(guardian, &polled[POLL_MODULE]))
		hear_module(guardian);
	else if (is_heard(guardian, &polled[POLL_HOST]))
		machine_event(guardian, EVENT_HOST_ENDED, NULL, 0);
	if (is_heard(guardian, &polled[POLL_STANDBY]))
		machine_event(guardian, EVENT_STANDBY_GONE, NULL, 0);
	if (is_heard(guardian, &polled[POLL_MEMBERS]))
		machine_event(guardian, EVENT_MEMBERS_CHANGED, NULL, 0);
	/* From the last: one that leaves makes the last one take its place.  Those who come are polled next time. */
	for (size_t i = guardian->lease_client_count; i > 0; i--)
		if (is_heard(guardian, &polled[POLL_LEASE_CLIENTS + i - 1]))
			hear_client(guardian, i - 1);
	if (is_heard(guardian, &polled[POLL_LISTENER]))
		lease_clients_accept(guardian);
}

static int64_t next_turn_ns(const struct guardian *guardian)
{
	int64_t due_ns = machine_next_ns(guardian);
	int64_t shown_ns = guardian_now_ns(guardian) + guardian->guard.lease_s * NS_PER_S / SHOWINGS_PER_LEASE;

	return guardian->renewer.fd >= 0 && shown_ns < due_ns ? shown_ns : due_ns;
}

/* poll()'s own timeout runs on a clock that stands still while the machine sleeps. */
static int set_alarm(const struct guardian *guardian)
{
	int64_t next_ns = next_turn_ns(guardian);

	if (next_ns <= guardian_now_ns(guardian))
		return 0;
	if (next_ns == NEVER)
		return -1;
	return guardian->world->ops->set_timer(guardian->world, guardian->timer_fd, next_ns) ? -1 : TIMER_AGAIN_MS;
}

void loop_turn(struct guardian *guardian)
{
	struct pollfd polled[POLL_LEASE_CLIENTS + LEASE_CLIENTS_MAX];
	struct world *world = guardian->world;
	nfds_t count = list_descriptors(polled, guardian);

	progress_step(guardian->progress);
	guardian->progress->boot_ns = guardian_now_ns(guardian);
	spare_memory_trim_stack();
	if (world->ops->poll(world, polled, count, set_alarm(guardian)) < 0)
		poll_one_by_one(world, polled, count);
	hear_ready(guardian, polled);
	machine_run_timers(guardian);
}

void loop_run(struct guardian *guardian)
{
	while (guardian->state != GUARDIAN_OVER)
		loop_turn(guardian);
}
