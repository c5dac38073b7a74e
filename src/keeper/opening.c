/* See opening.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/opening.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"
#include "guard/log.h"
#include "guard/wire.h"
#include "keeper/membership_cgroup.h"
#include "keeper/membership_looks.h"
#include "keeper/membership_person.h"
#include "keeper/people.h"
#include "keeper/run_directory.h"
#include "keeper/sweep.h"
#include "keeper/title.h"
#include "proc/process.h"

/* Beyond the wait itself.  The library answers a wait within six seconds of its end, and one try within fifteen, whatever
 * the store does: this is for a renewer that is stopped or starved. */
#define ANSWER_SPARE_MS 20000
/* The module's own deadline is somewhat later than ours: the answer is to come from here. */
#define MODULE_SPARE_MS 5000
/* Other keepers and a sweep may hold up for so long all that is done before the module hears of its request, which it has
 * to within WIRE_ACCEPT_WITHIN_MS. */
#define PREPARE_WITHIN_NS (4 * NS_PER_S)
#define JOIN_SPARE_MS 5000
#define JOIN_TRIES 3
#define POLL_AGAIN_NS (20 * NS_PER_MS)

/* What came of it so far. */
enum step {
	STEP_ON,
	STEP_GRANTED,
	STEP_ANSWERED, /* the module has its answer, or is gone */
};

/* ---- Answers --------------------------------------------------------------------------------------------- */

/* The state of the lock is for whoever is refused; what the store, the network or a file say is for root alone. */
static void explain_refusal(const struct guardian *guardian, enum wire_reason reason, const char *sentence,
			    char *out, size_t size)
{
	if (reason == WIRE_REASON_HELD)
		snprintf(out, size, "%s", sentence);
	else if (guardian->guard.lock)
		snprintf(out, size, "'%s' could not be taken: the administrator's log says why",
			 guardian->guard.lock);
	else
		snprintf(out, size, "the session guard does not work: the administrator's log says why");
}

static enum step deny_module(struct guardian *guardian, enum wire_reason reason, const char *sentence)
{
	struct wire_message message;
	char explanation[AWSFLOCK_ERROR_MESSAGE_SIZE];

	explain_refusal(guardian, reason, sentence, explanation, sizeof(explanation));
	log_line(LOG_NOTICE, "%s: %s%s", guardian->session.is_probe ? "looked" : "refused",
		 guardian->session.is_probe ? "would be refused: " : "", sentence);
	wire_begin(&message, WIRE_DENIED);
	wire_put_number(&message, WIRE_REASON, (int64_t)reason);
	wire_put_text(&message, WIRE_SENTENCE, explanation);
	wire_send(guardian->session_fd, &message);
	return STEP_ANSWERED;
}

static enum step deny_error(struct guardian *guardian, const awsflock_error *error)
{
	enum wire_reason reason = error->code == AWSFLOCK_MEMORY   ? WIRE_REASON_MEMORY
				  : error->code == AWSFLOCK_CONFIG ? WIRE_REASON_CONFIG
								   : WIRE_REASON_INTERNAL;

	return deny_module(guardian, reason, error->message);
}

static enum step admit_without_lock(struct guardian *guardian, enum wire_because because, const char *why)
{
	static const char format[] = "%s enters without the lock '%s': %s";
	const char *person = guardian->session.person, *lock = guardian->guard.lock;
	struct wire_message message;
	char sentence[AWSFLOCK_ERROR_MESSAGE_SIZE + 64];

	/* An account line lets nobody in: the session line does, and says so. */
	log_line(guardian->session.is_probe       ? LOG_DEBUG
		 : because == WIRE_BECAUSE_EXEMPT ? LOG_INFO
						  : LOG_ALERT,
		 format, person, lock, why);
	if (because == WIRE_BECAUSE_FAIL_SAFE)
		why = "the store cannot be asked, and the administrator's log says why";
	snprintf(sentence, sizeof(sentence), format, person, lock, why);
	wire_begin(&message, WIRE_ADMITTED);
	wire_put_number(&message, WIRE_BECAUSE, (int64_t)because);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	wire_send(guardian->session_fd, &message);
	return STEP_ANSWERED;
}

static enum step answer_clear(struct guardian *guardian)
{
	wire_send_type(guardian->session_fd, WIRE_CLEAR);
	return STEP_ANSWERED;
}

/* ---- The request ----------------------------------------------------------------------------------------- */

static bool receive_open(struct guardian *guardian)
{
	struct wire_message message;
	uid_t sender = (uid_t)-1;

	if (wire_wait(guardian->session_fd, &message, &sender, WIRE_ACCEPT_WITHIN_MS) != WIRE_GOT ||
	    wire_type(&message) != WIRE_OPEN || sender != 0)
		return false;
	return session_init(&guardian->session, &message);
}

static enum step read_guard(struct guardian *guardian)
{
	const struct session *session = &guardian->session;
	struct guard_request request = { .name = session->guard,
					 .path = *session->conf ? session->conf : NULL,
					 .person = session->person,
					 .service = session->service };
	awsflock_error error;

	if (guard_load(&request, &guardian->guard, &error) != AWSFLOCK_OK)
		return deny_error(guardian, &error);
	if (guardian->guard.user_is_makeshift)
		log_line(LOG_NOTICE, "there is no user " GUARD_USER ": the network half runs as nobody");
	return STEP_ON;
}

static enum step admit_exempt(struct guardian *guardian)
{
	const struct guard *guard = &guardian->guard;
	const char *person = guardian->session.person;

	if (guard_list_has(guard->exempt_users, person))
		return admit_without_lock(guardian, WIRE_BECAUSE_EXEMPT, "exempt_users names them");
	if (people_in_groups(person, guard->exempt_groups))
		return admit_without_lock(guardian, WIRE_BECAUSE_EXEMPT, "one of exempt_groups is theirs");
	if (people_in_groups(person, guard->break_glass_group))
		return admit_without_lock(guardian, WIRE_BECAUSE_BREAK_GLASS, "they are of break_glass_group");
	return STEP_ON;
}

static void accept_request(struct guardian *guardian)
{
	struct wire_message message;
	char title[128];

	snprintf(title, sizeof(title), "awsflock-keeper: guardian of %.60s (%.32s)", guardian->guard.lock,
		 guardian->session.person);
	title_set(title);
	wire_begin(&message, WIRE_ACCEPTED);
	wire_put_number(&message, WIRE_ANSWER_WITHIN_MS,
			guardian->guard.wait_ms + ANSWER_SPARE_MS + MODULE_SPARE_MS);
	wire_send(guardian->session_fd, &message);
}

/* ---- Talking to the renewer, or to another keeper --------------------------------------------------------- */

static void pass_on_notice(struct guardian *guardian, const struct wire_message *message)
{
	struct wire_message notice;

	if (wire_type(message) == WIRE_LOG)
		log_line((int)wire_number(message, WIRE_PRIORITY) & LOG_PRIMASK, "%s",
			 wire_text(message, WIRE_SENTENCE));
	if (wire_type(message) != WIRE_NOTICE || guardian->session.is_silent)
		return;
	wire_begin(&notice, WIRE_NOTICE);
	wire_put_text(&notice, WIRE_SENTENCE, wire_text(message, WIRE_SENTENCE));
	wire_send(guardian->session_fd, &notice);
}

/* Nobody waits any more: the module's end of the pair is closed, or the host has ended. */
static bool module_is_gone(const struct guardian *guardian, const struct pollfd *polled)
{
	if (polled[1].revents & (POLLHUP | POLLERR))
		return true;
	if (polled[1].revents & POLLIN) {
		struct wire_message unexpected;
		if (wire_receive(guardian->session_fd, &unexpected, NULL) == WIRE_END)
			return true;
	}
	return polled[2].revents != 0;
}

/* Where it fails, both connections are taken for ready: receiving does not wait. */
static void poll_all(struct pollfd polled[3], int timeout_ms)
{
	if (poll(polled, 3, timeout_ms) >= 0)
		return;
	if (errno != EINTR)
		clock_pause_ns(POLL_AGAIN_NS);
	polled[0].revents = polled[1].revents = POLLIN;
	polled[2].revents = 0;
}

/* The next message on FD that is an answer; others are passed on.  WIRE_NOTHING: the module is gone, or it takes
 * too long. */
static enum wire_result await_answer(struct guardian *guardian, int fd, struct wire_message *message,
				     int64_t within_ms)
{
	int64_t until_ns = clock_boot_ns() + within_ms * NS_PER_MS;

	for (;;) {
		struct pollfd polled[] = { { .fd = fd, .events = POLLIN },
					   { .fd = guardian->session_fd, .events = POLLIN },
					   { .fd = guardian->host_fd, .events = POLLIN } };
		int64_t left_ms = (until_ns - clock_boot_ns()) / NS_PER_MS;
		enum wire_result result;

		if (left_ms <= 0)
			return WIRE_NOTHING;
		poll_all(polled, left_ms > 1000 ? 1000 : (int)left_ms);
		if (module_is_gone(guardian, polled))
			return WIRE_NOTHING;
		if (!polled[0].revents)
			continue;
		result = wire_receive(fd, message, NULL);
		if (result == WIRE_END)
			return WIRE_END;
		if (result != WIRE_GOT)
			continue;
		if (wire_type(message) != WIRE_NOTICE && wire_type(message) != WIRE_LOG && wire_is_known(message))
			return WIRE_GOT;
		pass_on_notice(guardian, message);
	}
}

/* Ctrl-C under sudo, or a host that was ended. */
static bool nobody_waits(const struct guardian *guardian)
{
	struct pollfd polled[] = { { .fd = -1 },
				   { .fd = guardian->session_fd, .events = POLLIN },
				   { .fd = guardian->host_fd, .events = POLLIN } };

	return poll(polled, 3, 0) > 0 && module_is_gone(guardian, polled);
}

/* What to make of an answer that is not the one hoped for. */
static enum step answer_otherwise(struct guardian *guardian, enum wire_result result,
				  const struct wire_message *message)
{
	enum wire_reason reason;

	if (result == WIRE_NOTHING && nobody_waits(guardian))
		return deny_module(guardian, WIRE_REASON_INTERNAL, "nobody waits for the answer any more");
	if (result == WIRE_NOTHING)
		return deny_module(guardian, WIRE_REASON_INTERNAL,
				   "the store has not answered in time; nothing is known of the lock");
	if (result != WIRE_GOT || wire_type(message) != WIRE_DENIED)
		return deny_module(guardian, WIRE_REASON_INTERNAL,
				   "the keeper's network half has ended unexpectedly: see the system's log");
	reason = (enum wire_reason)wire_number(message, WIRE_REASON);
	if (reason == WIRE_REASON_UNREACHABLE && guardian->guard.fail_safe)
		return admit_without_lock(guardian, WIRE_BECAUSE_FAIL_SAFE, wire_text(message, WIRE_SENTENCE));
	return deny_module(guardian, reason, wire_text(message, WIRE_SENTENCE));
}

static enum step start_renewer(struct guardian *guardian)
{
	struct wire_message message;
	enum wire_result result;
	awsflock_error error;

	guardian->renewer.is_debug = guardian->session.is_debug;
	if (renewer_process_start(&guardian->renewer, &guardian->guard, guardian->session.person, &error) !=
	    AWSFLOCK_OK)
		return deny_error(guardian, &error);
	result = await_answer(guardian, guardian->renewer.fd, &message, ANSWER_SPARE_MS);
	if (result != WIRE_GOT || wire_type(&message) != WIRE_STORE)
		return answer_otherwise(guardian, result, &message);
	guardian->store_name = strdup(wire_text(&message, WIRE_STORE_NAME));
	if (!guardian->store_name)
		return deny_module(guardian, WIRE_REASON_MEMORY, "out of memory");
	return STEP_ON;
}

/* ---- Joining --------------------------------------------------------------------------------------------- */

static bool send_join(const struct guardian *guardian, int fd, bool host_alone)
{
	struct wire_message message;

	wire_begin(&message, WIRE_JOIN);
	wire_put_number(&message, WIRE_PERSON_UID, (int64_t)guardian->session.person_uid);
	wire_put_text(&message, WIRE_STORE_NAME, guardian->store_name);
	wire_put_text(&message, WIRE_LOCK, guardian->guard.lock);
	wire_put_number(&message, WIRE_STOP_MS, guard_stop_ms(&guardian->guard));
	wire_put_text(&message, WIRE_SESSION, guardian->session.id);
	wire_put_number(&message, WIRE_ENDS_PERSON, guardian->life->ends_person);
	wire_put_number(&message, WIRE_HOST_PID, process_of_pidfd(guardian->host_fd));
	wire_put_number(&message, WIRE_HOST_SOCKET, guardian->session.host_socket);
	wire_put_number(&message, WIRE_HOST_ALONE, host_alone);
	return wire_send(fd, &message);
}

/* HOST_ALONE: only where that lease is of this session's own host, which has it already: who waits for it is another. */
static enum step join_lease(struct guardian *guardian, int fd, bool host_alone)
{
	struct wire_message message;
	enum wire_result result = WIRE_END;

	if (send_join(guardian, fd, host_alone))
		result = await_answer(guardian, fd, &message,
				      (host_alone ? 0 : guardian->guard.wait_ms) + JOIN_SPARE_MS);
	if (result == WIRE_GOT && wire_type(&message) == WIRE_JOINED) {
		guardian->upstream_fd = fd;
		guardian->fence = wire_number(&message, WIRE_FENCE);
		guardian->expiration_time = wire_number(&message, WIRE_EXPIRATION_TIME);
		guardian->life->deadline_boot_ns =
			guardian_bound_deadline(guardian, wire_number(&message, WIRE_DEADLINE_BOOT_NS));
		renewer_process_close(&guardian->renewer);
		return STEP_GRANTED;
	}
	close(fd);
	if (result == WIRE_GOT)
		return answer_otherwise(guardian, result, &message);
	return STEP_ON;
}

static void init_sharing(struct guardian *guardian, bool is_for_person)
{
	sharing_init(&guardian->sharing, guardian->store_name, guardian->guard.lock, guardian->session.person_uid,
		     is_for_person);
}

/* With another guard of the same host, which has the lock and whose `share` is IS_FOR_PERSON: this one would wait for
 * itself otherwise. */
static enum step share_within_host(struct guardian *guardian, bool is_for_person)
{
	int fd;

	init_sharing(guardian, is_for_person);
	if (sharing_enter(&guardian->sharing, true, &fd) != SHARING_CONNECTED)
		return STEP_ON;
	return join_lease(guardian, fd, true);
}

static enum step share_with_person(struct guardian *guardian)
{
	for (int tries = 0; tries < JOIN_TRIES; tries++) {
		enum step step;
		int fd;
		switch (sharing_enter(&guardian->sharing, guardian->session.is_probe, &fd)) {
		case SHARING_CONNECTED:
			break;
		case SHARING_NONE:
			if (!guardian->session.is_probe)
				log_line(LOG_WARNING, "sessions cannot share a lock: %s: %s", AWSFLOCK_RUN_DIR,
					 strerror(errno));
			return STEP_ON;
		default:
			return STEP_ON;
		}
		if (guardian->session.is_probe) {
			close(fd);
			return answer_clear(guardian);
		}
		step = join_lease(guardian, fd, false);
		if (step != STEP_ON)
			return step;
	}
	return STEP_ON;
}

static enum step share_lease(struct guardian *guardian)
{
	bool is_for_person = guardian->guard.is_for_person;
	enum step step = STEP_ON;

	if (!guardian->session.is_probe) {
		step = share_within_host(guardian, false);
		if (step == STEP_ON && !is_for_person)
			step = share_within_host(guardian, true);
	}
	if (step != STEP_ON)
		return step;
	init_sharing(guardian, is_for_person);
	return is_for_person ? share_with_person(guardian) : STEP_ON;
}

/* ---- Taking the lock ------------------------------------------------------------------------------------- */

static void put_purpose(struct wire_message *message, const char *purpose)
{
	char safe[400];

	text_sanitise(purpose, safe, sizeof(safe));
	wire_put_text(message, WIRE_PURPOSE, safe);
}

static bool send_request(const struct guardian *guardian)
{
	const struct guard *guard = &guardian->guard;
	const struct session *session = &guardian->session;
	struct wire_message message;

	wire_begin(&message, session->is_probe ? WIRE_PROBE : WIRE_ACQUIRE);
	wire_put_text(&message, WIRE_LOCK, guard->lock);
	wire_put_text(&message, WIRE_PERSON, session->person);
	if (!session->is_probe) {
		wire_put_number(&message, WIRE_LEASE_S, guard->lease_s);
		wire_put_number(&message, WIRE_WAIT_MS, guard->wait_ms);
		wire_put_number(&message, WIRE_STOP_MS, guard_stop_ms(guard));
		wire_put_text(&message, WIRE_SERVICE, session->service);
		wire_put_text(&message, WIRE_TTY, session->tty);
		wire_put_text(&message, WIRE_RHOST, session->rhost);
		wire_put_text(&message, WIRE_KEY, session->key);
		put_purpose(&message, guard->purpose);
	}
	return wire_send(guardian->renewer.fd, &message);
}

static enum step request_lock(struct guardian *guardian)
{
	struct wire_message message;
	enum wire_result result = WIRE_END;

	if (send_request(guardian))
		result = await_answer(guardian, guardian->renewer.fd, &message,
				      guardian->guard.wait_ms + ANSWER_SPARE_MS);
	if (result == WIRE_GOT && wire_type(&message) == WIRE_CLEAR)
		return answer_clear(guardian);
	if (result != WIRE_GOT || wire_type(&message) != WIRE_ACQUIRED)
		return answer_otherwise(guardian, result, &message);
	guardian->fence = wire_number(&message, WIRE_FENCE);
	guardian->expiration_time = wire_number(&message, WIRE_EXPIRATION_TIME);
	guardian->life->deadline_boot_ns =
		guardian_bound_deadline(guardian, wire_number(&message, WIRE_DEADLINE_BOOT_NS));
	guardian->waited_ms = wire_number(&message, WIRE_WAITED_MS);
	lease_ids_set(&guardian->lease_ids, wire_text(&message, WIRE_ID));
	if (!guardian->guard.is_for_person)
		sharing_take(&guardian->sharing);
	return STEP_GRANTED;
}

/* ---- All of it ------------------------------------------------------------------------------------------- */

/* sshd and login are started by root, for this session alone; in sudo and su the caller started the host. */
static bool host_is_login_service(const struct guardian *guardian)
{
	pid_t host = process_of_pidfd(guardian->host_fd);

	return !*guardian->session.ruser && host > 0 && process_real_user(host) == 0;
}

static enum step choose_looks(struct guardian *guardian)
{
	static struct membership_looks looks; /* one process, one session */

	if (!membership_looks_init(&looks, guardian->host_fd, host_is_login_service(guardian),
				   guardian->session.id))
		return deny_module(guardian, WIRE_REASON_MEMORY, "out of memory");
	guardian->members = &looks.members;
	return STEP_ON;
}

/* What root runs is the machine's own.  A host that the person has started itself (sudo, su) is part of another session,
 * which does not end with it. */
static bool is_person_to_end(const struct guardian *guardian)
{
	uid_t person = guardian->session.person_uid;

	return guardian->guard.ends_person && person != 0 && !people_have_uid(guardian->guard.user, person) &&
	       process_real_user(process_of_pidfd(guardian->host_fd)) != person;
}

/* The kernel's own answer where it gives one. */
static enum step choose_membership(struct guardian *guardian, int64_t until_ns)
{
	static struct membership_cgroup cgroup;
	char why[128], sentence[sizeof(why) + 64];

	if (membership_cgroup_init(&cgroup, guardian->host_fd, guardian->session.id, guardian->session.person_uid,
				   host_is_login_service(guardian), is_person_to_end(guardian), until_ns, why,
				   sizeof(why))) {
		guardian->members = &cgroup.members;
		if (!guardian->session.is_probe && !sweep_groups(until_ns))
			log_line(LOG_WARNING, "what killed keepers left cannot be found or ended, see %s",
				 AWSFLOCK_RUN_DIR);
		return STEP_ON;
	}
	if (guardian->guard.require_cgroup) {
		snprintf(sentence, sizeof(sentence), "require_cgroup = yes, but %s", why);
		return deny_module(guardian, WIRE_REASON_CONFIG, sentence);
	}
	log_line(LOG_INFO, "the session is watched by looking at all processes: %s", why);
	return choose_looks(guardian);
}

/* What root runs is the machine's own. */
static void prepare_persons_end(struct guardian *guardian)
{
	static struct membership_person everybody;
	uid_t person = guardian->session.person_uid;

	if (person == 0)
		return;
	if (guardian->guard.ends_person && people_have_uid(guardian->guard.user, person)) {
		log_line(LOG_WARNING, "ends = user has no effect: %s has the user ID that the network half gets",
			 guardian->session.person);
		return;
	}
	membership_person_init(&everybody, guardian->members, guardian->host_fd, person);
	guardian->everybody = &everybody.members;
	guardian->life->ends_person = is_person_to_end(guardian);
}

static enum step prepare(struct guardian *guardian, int64_t until_ns)
{
	enum step step;

	if (!guardian_share_memory(guardian))
		return deny_module(guardian, WIRE_REASON_MEMORY, "out of memory");
	step = choose_membership(guardian, until_ns);
	if (step != STEP_ON)
		return step;
	guardian->members->progress = guardian->progress;
	prepare_persons_end(guardian);
	return step;
}

/* From here on all that the host starts is the session's. */
static enum step enclose_host(struct guardian *guardian)
{
	if (guardian->members->ops->begin(guardian->members))
		return STEP_GRANTED;
	return deny_module(guardian, WIRE_REASON_INTERNAL, "the session cannot be put into its control group");
}

void opening_grant(struct guardian *guardian)
{
	struct wire_message message;
	char origin[256], ends[40];

	session_describe_origin(&guardian->session, origin, sizeof(origin));
	text_local_time(guardian->expiration_time, clock_real_seconds(), ends, sizeof(ends));
	log_line(LOG_INFO, "opened: '%s' for %s (%s), fence %" PRId64 ", %s until %s, %s", guardian->guard.lock,
		 guardian->session.person, origin, guardian->fence,
		 guardian->upstream_fd >= 0 ? "shared with an earlier session" : "lease", ends,
		 guardian->members->ops->how);
	wire_begin(&message, WIRE_GRANTED);
	wire_put_text(&message, WIRE_LOCK, guardian->guard.lock);
	wire_put_number(&message, WIRE_FENCE, guardian->fence);
	wire_put_number(&message, WIRE_EXPIRATION_TIME, guardian->expiration_time);
	wire_put_number(&message, WIRE_WAITED_MS, guardian->waited_ms);
	wire_send(guardian->session_fd, &message);
}

bool opening_run(struct guardian *guardian)
{
	int64_t until_ns;
	enum step step;

	if (!wire_want_sender(guardian->session_fd) || !receive_open(guardian))
		return false;
	until_ns = clock_boot_ns() + PREPARE_WITHIN_NS;
	log_open(guardian->session.id);
	log_set_debug(guardian->session.is_debug);
	step = read_guard(guardian);
	if (step == STEP_ON)
		step = admit_exempt(guardian);
	/* One who may wait is let through to the session line, which does it. */
	if (step == STEP_ON && guardian->session.is_probe && guardian->guard.wait_ms > 0)
		step = answer_clear(guardian);
	if (step == STEP_ON)
		step = prepare(guardian, until_ns);
	if (step != STEP_ON)
		return false;
	accept_request(guardian);
	step = start_renewer(guardian);
	if (step == STEP_ON)
		step = share_lease(guardian);
	if (step == STEP_ON)
		step = request_lock(guardian);
	if (step == STEP_GRANTED)
		step = enclose_host(guardian);
	return step == STEP_GRANTED;
}
