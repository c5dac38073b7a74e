/* Further sessions of the same person, which rely on this keeper's lease.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "base/runtime.h"
#include "guard/log.h"
#include "guard/wire.h"
#include "keeper/guardian.h"

#define STOPS_PER_LEASE 3

/* Half of what this process may open: the other half is for the session's own. */
static size_t clients_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur / 2 > LEASE_CLIENTS_MAX)
		return LEASE_CLIENTS_MAX;
	return (size_t)limit.rlim_cur / 2;
}

void lease_clients_accept(struct guardian *guardian)
{
	int fd = sharing_accept(&guardian->sharing);

	if (fd < 0)
		return;
	/* One that is turned away asks for the lock itself, and is told that it is held. */
	if (guardian->lease_client_count >= clients_max()) {
		close(fd);
		return;
	}
	guardian->lease_clients[guardian->lease_client_count++] = (struct lease_client){ .fd = fd };
}

/* One that asked and was refused, or left in order, needs nothing more.  One that vanishes while it relies on the
 * lease was killed, and what it watched may still run. */
static void remove_lease_client(struct guardian *guardian, size_t number, bool in_order)
{
	struct lease_client *joiner = &guardian->lease_clients[number];

	if (joiner->has_joined) {
		guardian->life->joined--;
		if (!in_order) {
			log_line(LOG_ALERT,
				 "the keeper of a session that shares '%s' was killed: it will not be released",
				 guardian->guard.lock);
			guardian->may_not_release = true;
		}
	}
	close(joiner->fd);
	*joiner = guardian->lease_clients[--guardian->lease_client_count];
}

static bool deny(int fd, enum wire_reason reason, const char *sentence)
{
	struct wire_message message;

	wire_begin(&message, WIRE_DENIED);
	wire_put_number(&message, WIRE_REASON, (int64_t)reason);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	wire_send(fd, &message);
	return false;
}

static bool is_same(const struct guardian *guardian, const struct wire_message *message)
{
	return wire_number(message, WIRE_PERSON_UID) == (int64_t)guardian->session.person_uid &&
	       strcmp(wire_text(message, WIRE_STORE_NAME), guardian->store_name) == 0 &&
	       strcmp(wire_text(message, WIRE_LOCK), guardian->guard.lock) == 0;
}

/* False where it may not join. */
static bool let_join(struct guardian *guardian, struct lease_client *joiner, const struct wire_message *message)
{
	struct wire_message joined;

	if (joiner->has_joined || !is_same(guardian, message))
		return false;
	if (guardian->is_lost)
		return deny(joiner->fd, WIRE_REASON_HELD,
			    "another session of yours holds the lock and is losing it: try again in a while");
	if (guardian->guard.lease_s * MS_PER_S < STOPS_PER_LEASE * wire_number(message, WIRE_STOP_MS))
		return deny(
			joiner->fd, WIRE_REASON_CONFIG,
			"another session of yours holds the lock under a guard whose lease is too short for the "
			"grace and end of this one");
	joiner->has_joined = true;
	guardian->life->joined++;
	wire_begin(&joined, WIRE_JOINED);
	wire_put_number(&joined, WIRE_FENCE, guardian->fence);
	wire_put_number(&joined, WIRE_EXPIRATION_TIME, guardian->expiration_time);
	wire_put_number(&joined, WIRE_DEADLINE_BOOT_NS, guardian->life->deadline_boot_ns);
	log_line(LOG_INFO, "shared: '%s' with session %.40s", guardian->guard.lock,
		 wire_text(message, WIRE_SESSION));
	return wire_send(joiner->fd, &joined);
}

void lease_clients_receive(struct guardian *guardian, size_t number)
{
	struct lease_client *joiner = &guardian->lease_clients[number];
	struct wire_message message;
	enum wire_result result = wire_receive(joiner->fd, &message, NULL);

	if (result == WIRE_NOTHING)
		return;
	if (result == WIRE_GOT && wire_type(&message) == WIRE_LEAVE)
		remove_lease_client(guardian, number, true);
	else if (result != WIRE_GOT || (wire_type(&message) == WIRE_JOIN && !let_join(guardian, joiner, &message)))
		remove_lease_client(guardian, number, false);
}

static void tell(struct guardian *guardian, const struct wire_message *message)
{
	for (size_t i = 0; i < guardian->lease_client_count; i++)
		if (guardian->lease_clients[i].has_joined)
			wire_send(guardian->lease_clients[i].fd, message);
}

void lease_clients_tell_valid(struct guardian *guardian)
{
	struct wire_message message;

	wire_begin(&message, WIRE_VALID);
	wire_put_number(&message, WIRE_DEADLINE_BOOT_NS, guardian->life->deadline_boot_ns);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, guardian->expiration_time);
	tell(guardian, &message);
}

void lease_clients_tell_lost(struct guardian *guardian, bool is_refused, const char *why)
{
	struct wire_message message;

	wire_begin(&message, WIRE_LOST);
	wire_put_number(&message, WIRE_REFUSED, is_refused);
	wire_put_text(&message, WIRE_SENTENCE, why);
	tell(guardian, &message);
}

void lease_clients_close(struct guardian *guardian)
{
	while (guardian->lease_client_count > 0)
		close(guardian->lease_clients[--guardian->lease_client_count].fd);
}
