/* See lease_clients.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/lease_clients.h"

#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "base/runtime.h"
#include "guard/wire.h"
#include "proc/process.h"

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

void lease_clients_remove(struct guardian *guardian, size_t number, bool in_order)
{
	struct lease_client *client = &guardian->lease_clients[number];

	if (client->has_joined) {
		guardian->life->joined--;
		if (!in_order) {
			guardian_log(guardian, LOG_ALERT,
				     "the keeper of a session that shares '%s' was killed: it will not be released",
				     guardian->guard.lock);
			guardian->may_not_release = true;
		}
	}
	close(client->fd);
	*client = guardian->lease_clients[--guardian->lease_client_count];
}

static bool deny_client(const struct guardian *guardian, int fd, enum wire_reason reason, const char *sentence)
{
	struct wire_message message;

	wire_begin(&message, WIRE_DENIED);
	wire_put_number(&message, WIRE_REASON, (int64_t)reason);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	guardian_send(guardian, fd, &message);
	return false;
}

static bool is_for_this_lease(const struct guardian *guardian, const struct wire_message *message)
{
	return wire_number(message, WIRE_PERSON_UID) == (int64_t)guardian->session.person_uid &&
	       strcmp(wire_text(message, WIRE_STORE_NAME), guardian->store_name) == 0 &&
	       strcmp(wire_text(message, WIRE_LOCK), guardian->guard.lock) == 0;
}

/* 0 where JOIN does not say it. */
static pid_t host_of(const struct wire_message *message)
{
	int64_t host = wire_number(message, WIRE_HOST_PID);

	return host > 0 && host <= INT_MAX ? (pid_t)host : 0;
}

/* Is HOST the process whose id and socket were told, or a copy that it has forked?  Whoever has been started by one has no
 * such socket, however near it stands. */
static bool is_same_host(pid_t host, pid_t told, int64_t socket)
{
	return host == told || (socket > 0 && process_has_socket(host, (ino_t)socket));
}

/* Does JOIN come from another guard of a host that has this lease? */
static bool is_of_own_host(const struct guardian *guardian, const struct wire_message *message)
{
	pid_t host = host_of(message);

	if (host == 0)
		return false;
	if (is_same_host(host, process_of_pidfd(guardian->host_fd), guardian->session.host_socket))
		return true;
	for (size_t i = 0; i < guardian->lease_client_count; i++) {
		const struct lease_client *client = &guardian->lease_clients[i];
		if (client->has_joined && is_same_host(host, client->host, client->host_socket))
			return true;
	}
	return false;
}

/* share = session, of either one, is for guards of one host alone. */
static bool may_share(const struct guardian *guardian, const struct wire_message *message)
{
	bool within_host = !guardian->guard.is_for_person || wire_number(message, WIRE_HOST_ALONE);

	return is_for_this_lease(guardian, message) && (!within_host || is_of_own_host(guardian, message));
}

/* False where it may not join. */
static bool let_join(struct guardian *guardian, struct lease_client *client, const struct wire_message *message,
		     bool can_still_join)
{
	struct wire_message joined;

	if (client->has_joined || !may_share(guardian, message))
		return false;
	if (guardian->is_lost || !can_still_join || guardian->members == guardian->everybody)
		return deny_client(
			guardian, client->fd, WIRE_REASON_HELD,
			guardian->is_lost
				? "another session of yours holds the lock and is losing it: try again in a while"
				: "another session of yours holds the lock and is being ended: try again in a "
				  "while");
	if (guardian->guard.lease_s * MS_PER_S < STOPS_PER_LEASE * wire_number(message, WIRE_STOP_MS))
		return deny_client(
			guardian, client->fd, WIRE_REASON_CONFIG,
			"another session of yours holds the lock under a guard whose lease is too short for the "
			"grace and end of this one");
	if (wire_number(message, WIRE_ENDS_PERSON))
		guardian->life->ends_person = true;
	client->has_joined = true;
	client->host = host_of(message);
	client->host_socket = wire_number(message, WIRE_HOST_SOCKET);
	guardian->life->joined++;
	wire_begin(&joined, WIRE_JOINED);
	wire_put_number(&joined, WIRE_FENCE, guardian->fence);
	wire_put_number(&joined, WIRE_EXPIRATION_TIME, guardian->expiration_time);
	wire_put_number(&joined, WIRE_DEADLINE_BOOT_NS, guardian->life->deadline_boot_ns);
	guardian_log(guardian, LOG_INFO, "shared: '%s' with session %.40s", guardian->guard.lock,
		     wire_text(message, WIRE_SESSION));
	return guardian_send(guardian, client->fd, &joined);
}

void lease_clients_join(struct guardian *guardian, size_t number, const struct wire_message *message,
			bool can_still_join)
{
	struct lease_client *client = &guardian->lease_clients[number];

	if (!let_join(guardian, client, message, can_still_join))
		lease_clients_remove(guardian, number, false);
}

static void send_to_clients(struct guardian *guardian, const struct wire_message *message)
{
	for (size_t i = 0; i < guardian->lease_client_count; i++)
		if (guardian->lease_clients[i].has_joined)
			guardian_send(guardian, guardian->lease_clients[i].fd, message);
}

void lease_clients_send_valid(struct guardian *guardian)
{
	struct wire_message message;

	wire_begin(&message, WIRE_VALID);
	wire_put_number(&message, WIRE_DEADLINE_BOOT_NS, guardian->life->deadline_boot_ns);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, guardian->expiration_time);
	send_to_clients(guardian, &message);
}

void lease_clients_send_lost(struct guardian *guardian, bool is_refused, const char *why)
{
	struct wire_message message;

	wire_begin(&message, WIRE_LOST);
	wire_put_number(&message, WIRE_REFUSED, is_refused);
	wire_put_text(&message, WIRE_SENTENCE, why);
	send_to_clients(guardian, &message);
}
