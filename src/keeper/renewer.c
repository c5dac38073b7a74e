/* awsflock-keeper-renewer: the network half of the keeper, over awsflock.h alone, without root's powers.
 *
 * Descriptor 3 is the connection to the guardian, see wire.h; 4 to 6 are copies of files that only root may read,
 * which the settings name as /proc/self/fd/N, and 7 shows the guardian's progress.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <syslog.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/lease_end.h"
#include "base/lease_ids.h"
#include "base/text.h"
#include "guard/wire.h"
#include "keeper/confinement.h"
#include "keeper/fingerprint.h"
#include "keeper/privileges.h"
#include "keeper/progress.h"
#include "keeper/spare_memory.h"
#include "keeper/title.h"

#define FD_GUARDIAN 3
#define FD_CREDENTIALS_FILE 4
#define FD_CONFIG_FILE 5
#define FD_PROGRESS 7
/* Between two lines to somebody who waits. */
#define NOTICE_INTERVAL_MS 60000
/* More than a request needs. */
#define CONNECTION_DESCRIPTORS 8
#define GIVE_BACK_PAUSE_NS (2 * NS_PER_S)
#define STALLS_PER_LEASE 3
#define ADOPT_PAUSE_MS 1000
/* A renewal that the one before has sent last may be carried out between two looks. */
#define ADOPT_ROUNDS 3

struct renewer {
	awsflock *context;
	awsflock_lease *lease;
	int64_t stop_ms;
	int64_t next_notice_ms;
	int64_t lease_ns;
	char *writable_directory; /* of a local store; NULL: none */
	bool may_start_programs;  /* one of them gives credentials */
	bool are_files_closed;
	bool is_debug;
	bool tells_ids; /* the lease is held: the guardian has to know its ids */
	struct lease_ids lease_ids;
	char *owner_text;                /* for a lease that is adopted; NULL: as it stands there */
	const struct progress *progress; /* of the guardian; NULL: not shown */
	awsflock_error setting_error;    /* of the first bad setting; code 0: none */
};

/* A renewer lives as long as its session, and there are many: glibc's allocator takes more than it needs by itself. */
static void have_one_arena(void)
{
#ifdef M_ARENA_MAX
	mallopt(M_ARENA_MAX, 1);
#endif
}

/* Many a distribution's libcurl brings GnuTLS along for what nobody asks for here.  As it is loaded it would make tables of
 * 110 KiB, in each renewer; a libcurl that does its TLS by it makes them when it begins. */
static void leave_gnutls_alone(void)
{
	setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);
}

/* ---- What is told ---------------------------------------------------------------------------------------- */

/* libcurl does not say of every failure that descriptors were what it lacked. */
static bool can_open_connections(void)
{
	int fds[CONNECTION_DESCRIPTORS], count = 0;

	while (count < CONNECTION_DESCRIPTORS) {
		fds[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[count] < 0)
			break;
		count++;
	}
	for (int i = 0; i < count; i++)
		close(fds[i]);
	return count == CONNECTION_DESCRIPTORS;
}

static enum wire_reason reason_of(const awsflock_error *error)
{
	switch (error->code) {
	case AWSFLOCK_HELD:
	case AWSFLOCK_TIMED_OUT:
		return WIRE_REASON_HELD;
	case AWSFLOCK_INVALID:
	case AWSFLOCK_CONFIG:
		return WIRE_REASON_CONFIG;
	case AWSFLOCK_CREDENTIALS:
	case AWSFLOCK_ACCESS:
	case AWSFLOCK_CLOCK_SKEW:
		return WIRE_REASON_ACCESS;
	case AWSFLOCK_NO_TABLE:
	case AWSFLOCK_BAD_TABLE:
		return WIRE_REASON_NO_TABLE;
	case AWSFLOCK_TLS:
		return WIRE_REASON_TLS;
	case AWSFLOCK_MEMORY:
		return WIRE_REASON_MEMORY;
	case AWSFLOCK_UNREACHABLE:
	case AWSFLOCK_THROTTLED:
		break;
	default:
		return WIRE_REASON_INTERNAL;
	}
	/* A user of this machine can bring these about: they must not open a guard with fail = safe. */
	switch (error->system_errno) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case EADDRNOTAVAIL:
		return WIRE_REASON_INTERNAL;
	case ENOMEM:
		return WIRE_REASON_MEMORY;
	default:
		return can_open_connections() ? WIRE_REASON_UNREACHABLE : WIRE_REASON_INTERNAL;
	}
}

static void tell_sentence(enum wire_type type, const char *sentence)
{
	struct wire_message message;

	wire_begin(&message, type);
	wire_put_text(&message, WIRE_SENTENCE, sentence);
	wire_send(FD_GUARDIAN, &message);
}

static void tell_denied(const awsflock_error *error)
{
	struct wire_message message;

	wire_begin(&message, WIRE_DENIED);
	wire_put_number(&message, WIRE_REASON, (int64_t)reason_of(error));
	wire_put_text(&message, WIRE_SENTENCE, error->message);
	wire_send(FD_GUARDIAN, &message);
}

static void put_validity(struct wire_message *message, const awsflock_lease *lease)
{
	wire_put_number(message, WIRE_DEADLINE_BOOT_NS, awsflock_lease_deadline_boot_ns(lease));
	wire_put_number(message, WIRE_EXPIRATION_TIME, awsflock_lease_expiration_time(lease));
	wire_put_text(message, WIRE_ID, awsflock_lease_id(lease));
}

static void tell_valid(void *arg, const awsflock_lease *lease)
{
	struct wire_message message;

	(void)arg;
	wire_begin(&message, WIRE_VALID);
	put_validity(&message, lease);
	wire_send(FD_GUARDIAN, &message);
}

static void tell_log(void *arg, awsflock_log_level level, const char *line)
{
	static const int priorities[] = { LOG_WARNING, LOG_NOTICE, LOG_DEBUG };
	struct wire_message message;

	(void)arg;
	wire_begin(&message, WIRE_LOG);
	wire_put_number(&message, WIRE_PRIORITY, priorities[level]);
	wire_put_text(&message, WIRE_SENTENCE, line);
	wire_send(FD_GUARDIAN, &message);
}

/* What nobody reads is not sent: the guardian would wake for it. */
static void pass_log(void *arg, awsflock_log_level level, const char *line)
{
	const struct renewer *renewer = arg;

	if (level != AWSFLOCK_LOG_DEBUG || renewer->is_debug)
		tell_log(NULL, level, line);
}

/* A guardian that was stopped, or is stuck, ends nothing: the lease runs out. */
static bool guardian_is_stalled(const struct renewer *renewer)
{
	return renewer->progress &&
	       clock_boot_ns() - renewer->progress->boot_ns > renewer->lease_ns / STALLS_PER_LEASE;
}

/* The next request may make LEASE_ID the lease's.  None is sent whose id the guardian could not hand over. */
static void expect_id(void *arg, const char *lock, const char *lease_id)
{
	struct renewer *renewer = arg;
	struct wire_message message;

	(void)lock;
	if (!renewer->tells_ids)
		return;
	if (guardian_is_stalled(renewer)) {
		tell_log(NULL, AWSFLOCK_LOG_WARNING,
			 "the guardian makes no progress: its lease is not renewed until it does");
		_exit(1);
	}
	lease_ids_add(&renewer->lease_ids, lease_id);
	wire_begin(&message, WIRE_LEASE_ID);
	wire_put_text(&message, WIRE_ID, lease_id);
	if (!wire_send(FD_GUARDIAN, &message))
		_exit(1);
}

static void put_safely(struct buf *out, const char *before, const char *text)
{
	char safe[160];

	if (!*text)
		return;
	text_sanitise(text, safe, sizeof(safe));
	buf_printf(out, "%s%s", before, safe);
}

/* As the library words it where an acquire is refused. */
static void describe_held(const awsflock_status *status, char *sentence, size_t size)
{
	struct buf out = BUF_INIT;
	int64_t now = clock_real_seconds(), end = lease_end_time(status, now);
	char when[40];

	put_safely(&out, "'", status->lock);
	buf_puts(&out, "' is held by ");
	put_safely(&out, "", *status->user ? status->user : status->owner);
	put_safely(&out, "@", status->host);
	if (status->acquired_time > 0) {
		text_local_time(status->acquired_time, now, when, sizeof(when));
		buf_printf(&out, " since %s", when);
	}
	if (*status->service || *status->rhost) {
		buf_puts(&out, " (");
		put_safely(&out, "", status->service);
		put_safely(&out, *status->service ? " from " : "from ", status->rhost);
		buf_puts(&out, ")");
	}
	text_local_time(end, now, when, sizeof(when));
	buf_printf(&out, ", lease %s %s", end >= now ? "ends" : "ended", when);
	snprintf(sentence, size, "%s", buf_text(&out));
	buf_free(&out);
}

static void tell_waiting(void *arg, const awsflock_status *holder, int64_t waited_ms)
{
	struct renewer *renewer = arg;
	char held[AWSFLOCK_ERROR_MESSAGE_SIZE], sentence[sizeof(held) + 32];

	if (waited_ms < renewer->next_notice_ms)
		return;
	renewer->next_notice_ms = waited_ms + NOTICE_INTERVAL_MS;
	describe_held(holder, held, sizeof(held));
	snprintf(sentence, sizeof(sentence), "waiting: %s", held);
	tell_sentence(WIRE_NOTICE, sentence);
}

/* ---- What is asked --------------------------------------------------------------------------------------- */

static void apply_setting(struct renewer *renewer, const struct wire_message *message)
{
	awsflock_error error;

	if (strcmp(wire_text(message, WIRE_NAME), "local_dir") == 0 && !renewer->writable_directory)
		renewer->writable_directory = strdup(wire_text(message, WIRE_VALUE));
	if (awsflock_set(renewer->context, wire_text(message, WIRE_NAME), wire_text(message, WIRE_VALUE), &error) !=
		    AWSFLOCK_OK &&
	    renewer->setting_error.code == AWSFLOCK_OK)
		renewer->setting_error = error;
}

static bool name_store(struct renewer *renewer)
{
	struct wire_message message;
	awsflock_error error = renewer->setting_error;
	const char *name = NULL;

	if (error.code != AWSFLOCK_OK || awsflock_store_name(renewer->context, &name, &error) != AWSFLOCK_OK) {
		tell_denied(&error);
		return false;
	}
	wire_begin(&message, WIRE_STORE);
	wire_put_text(&message, WIRE_STORE_NAME, name);
	return wire_send(FD_GUARDIAN, &message);
}

/* Another's than the same person's on this very host. */
static bool is_anothers(const awsflock_status *status, const char *person)
{
	struct utsname host;

	return uname(&host) != 0 || strcmp(status->host, host.nodename) != 0 || strcmp(status->user, person) != 0;
}

static void probe_lock(struct renewer *renewer, const struct wire_message *message)
{
	awsflock_status *status = NULL;
	awsflock_error error;

	if (awsflock_inspect(renewer->context, wire_text(message, WIRE_LOCK), &status, &error) != AWSFLOCK_OK) {
		tell_denied(&error);
		return;
	}
	if (status->held && is_anothers(status, wire_text(message, WIRE_PERSON))) {
		char sentence[AWSFLOCK_ERROR_MESSAGE_SIZE];
		describe_held(status, sentence, sizeof(sentence));
		error_set(&error, AWSFLOCK_HELD, "%s", sentence);
		tell_denied(&error);
	} else {
		wire_send_type(FD_GUARDIAN, WIRE_CLEAR);
	}
	awsflock_status_free(&status);
}

static void tell_check(void *arg, const awsflock_check *check)
{
	struct wire_message message;

	(void)arg;
	wire_begin(&message, WIRE_CHECK);
	wire_put_text(&message, WIRE_NAME, check->name);
	wire_put_number(&message, WIRE_VERDICT, (int64_t)check->verdict);
	wire_put_text(&message, WIRE_SENTENCE, check->finding);
	wire_put_text(&message, WIRE_MEND, check->mend);
	wire_send(FD_GUARDIAN, &message);
}

/* What is taken for it is given back even where the guardian leaves in the middle. */
static void diagnose_guard(struct renewer *renewer, const struct wire_message *message)
{
	awsflock_error error;

	awsflock_set_stop_fd(renewer->context, FD_GUARDIAN);
	if (awsflock_diagnose(renewer->context, wire_text(message, WIRE_LOCK), tell_check, NULL, &error) ==
	    AWSFLOCK_OK)
		wire_send_type(FD_GUARDIAN, WIRE_CLEAR);
	else
		tell_denied(&error);
}

static void tell_acquired(const struct renewer *renewer, int64_t waited_ms)
{
	struct wire_message message;

	wire_begin(&message, WIRE_ACQUIRED);
	wire_put_number(&message, WIRE_FENCE, (int64_t)awsflock_lease_fence(renewer->lease));
	put_validity(&message, renewer->lease);
	wire_put_number(&message, WIRE_WAITED_MS, waited_ms);
	wire_send(FD_GUARDIAN, &message);
}

/* The guard's own, and which key the person came with. */
static void describe_purpose(const struct wire_message *message, char *out, size_t size)
{
	const char *purpose = wire_text(message, WIRE_PURPOSE);
	char fingerprint[FINGERPRINT_SIZE], text[512];

	if (fingerprint_of_login(wire_text(message, WIRE_KEY), fingerprint))
		snprintf(text, sizeof(text), "%s%skey %s", purpose, *purpose ? ", " : "", fingerprint);
	else
		snprintf(text, sizeof(text), "%s", purpose);
	text_sanitise(text, out, size);
}

/* Nobody waits for this any more. */
static void give_back_unanswered(struct renewer *renewer)
{
	int64_t until_boot_ns = awsflock_owed_until_boot_ns(renewer->context);
	awsflock_error error;

	awsflock_set_stop_fd(renewer->context, -1);
	while (clock_boot_ns() < until_boot_ns && awsflock_give_back(renewer->context, &error) != AWSFLOCK_OK)
		clock_pause_ns(GIVE_BACK_PAUSE_NS);
}

static void note_terms(struct renewer *renewer, const struct wire_message *message)
{
	renewer->lease_ns = wire_number(message, WIRE_LEASE_S) * NS_PER_S;
	renewer->stop_ms = wire_number(message, WIRE_STOP_MS);
}

static bool acquire(struct renewer *renewer, const struct wire_message *message)
{
	char purpose[512];
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	int64_t began_ms = clock_boot_ms();
	awsflock_error error;

	options.lease_seconds = wire_number(message, WIRE_LEASE_S);
	options.wait_ms = wire_number(message, WIRE_WAIT_MS);
	options.user = wire_text(message, WIRE_PERSON);
	options.service = wire_text(message, WIRE_SERVICE);
	options.tty = wire_text(message, WIRE_TTY);
	options.rhost = wire_text(message, WIRE_RHOST);
	describe_purpose(message, purpose, sizeof(purpose));
	options.purpose = purpose;
	options.waiting = tell_waiting;
	options.waiting_arg = renewer;
	note_terms(renewer, message);
	awsflock_set_stop_fd(renewer->context, FD_GUARDIAN);
	awsflock_set_give_back_later(renewer->context, true);
	if (awsflock_acquire(renewer->context, wire_text(message, WIRE_LOCK), &options, &renewer->lease, &error) !=
	    AWSFLOCK_OK) {
		if (error.outcome_unknown)
			tell_log(NULL, AWSFLOCK_LOG_WARNING,
				 "the lock may remain held without a holder until its lease expires");
		tell_denied(&error);
		give_back_unanswered(renewer);
		return false;
	}
	renewer->tells_ids = true;
	tell_acquired(renewer, renewer->next_notice_ms > 0 ? clock_boot_ms() - began_ms : 0);
	spare_memory_trim_heap(); /* what the first request needed, the others need not */
	return true;
}

static void change_owner(struct renewer *renewer, const struct wire_message *message)
{
	awsflock_error error;

	if (awsflock_renew(renewer->lease, 0, wire_text(message, WIRE_OWNER_TEXT), &error) == AWSFLOCK_OK)
		tell_valid(NULL, renewer->lease);
	else
		tell_log(NULL, AWSFLOCK_LOG_WARNING, error.message);
}

static void give_back(struct renewer *renewer)
{
	awsflock_error error;
	awsflock_code code;

	/* The guardian may leave before the answer has come: that stops nothing. */
	awsflock_set_stop_fd(renewer->context, -1);
	code = awsflock_release(renewer->lease, 0, &error);
	if (code == AWSFLOCK_OK || code == AWSFLOCK_LOST)
		wire_send_type(FD_GUARDIAN, WIRE_RELEASED);
	else
		tell_sentence(WIRE_KEPT, error.message);
}

/* ---- The life of a lease --------------------------------------------------------------------------------- */

/* False once there is nothing more to do. */
SPARE_MEMORY_OWN_FRAME static bool obey_message(struct renewer *renewer)
{
	struct wire_message message;

	switch (wire_receive(FD_GUARDIAN, &message, NULL)) {
	case WIRE_GOT:
		break;
	case WIRE_END:
		return false; /* the guardian is no more: the lease runs out */
	default:
		return true;
	}
	if (wire_type(&message) == WIRE_OWNER)
		change_owner(renewer, &message);
	if (wire_type(&message) != WIRE_RELEASE)
		return true;
	give_back(renewer);
	return false;
}

static void tell_lost(const struct renewer *renewer, const awsflock_error *error)
{
	struct wire_message message;

	wire_begin(&message, WIRE_LOST);
	wire_put_number(&message, WIRE_REFUSED, awsflock_lease_remaining_ms(renewer->lease) == 0);
	wire_put_text(&message, WIRE_SENTENCE, error->message);
	wire_send(FD_GUARDIAN, &message);
}

/* Until the next one it sleeps. */
static void note_renewed(void *arg, const awsflock_lease *lease)
{
	tell_valid(arg, lease);
	spare_memory_trim_heap();
	spare_memory_trim_stack();
}

/* It may still be ours, in an outage: the session is ended, and then it is given back if it can be. */
SPARE_MEMORY_OWN_FRAME static void end_lease(struct renewer *renewer, const awsflock_error *error)
{
	struct wire_message message;
	enum wire_result result;

	tell_lost(renewer, error);
	do
		result = wire_wait(FD_GUARDIAN, &message, NULL, -1);
	while (result == WIRE_BAD || (result == WIRE_GOT && wire_type(&message) != WIRE_RELEASE));
	if (result == WIRE_GOT)
		give_back(renewer);
}

static void keep_lease(struct renewer *renewer)
{
	awsflock_error error;

	spare_memory_trim_stack();
	awsflock_set_renewed_callback(renewer->context, note_renewed, NULL);
	while (awsflock_keepalive(renewer->lease, renewer->stop_ms, &error) == AWSFLOCK_CANCELLED)
		if (!obey_message(renewer))
			return;
	end_lease(renewer, &error);
}

/* ---- A lease that another renewer held -------------------------------------------------------------------- */

static void note_owner(struct renewer *renewer, const struct wire_message *message)
{
	free(renewer->owner_text);
	renewer->owner_text = strdup(wire_text(message, WIRE_OWNER_TEXT));
}

/* Renews the lease under one of the ids that it may have, the newest first. */
static awsflock_code try_adopting(struct renewer *renewer, const char *lock, int64_t lease_s, awsflock_error *error)
{
	const struct lease_ids known = renewer->lease_ids;
	awsflock_code code = AWSFLOCK_LOST;

	for (size_t i = known.count; i > 0 && code == AWSFLOCK_LOST; i--) {
		awsflock_lease_free(&renewer->lease);
		code = awsflock_adopt(renewer->context, lock, known.id[i - 1], &renewer->lease, error);
		if (code == AWSFLOCK_OK)
			code = awsflock_renew(renewer->lease, lease_s, renewer->owner_text, error);
	}
	return code;
}

/* Under whichever of them it stands. */
static void give_back_adopted(struct renewer *renewer, const char *lock)
{
	const struct lease_ids known = renewer->lease_ids;
	awsflock_error error;
	awsflock_code code = AWSFLOCK_LOST;

	awsflock_set_stop_fd(renewer->context, -1);
	for (size_t i = known.count; i > 0 && code == AWSFLOCK_LOST; i--) {
		awsflock_lease_free(&renewer->lease);
		code = awsflock_adopt(renewer->context, lock, known.id[i - 1], &renewer->lease, &error);
		if (code == AWSFLOCK_OK)
			code = awsflock_release(renewer->lease, 0, &error);
	}
	if (code == AWSFLOCK_OK || code == AWSFLOCK_LOST)
		wire_send_type(FD_GUARDIAN, WIRE_RELEASED);
	else
		tell_sentence(WIRE_KEPT, error.message);
}

/* False where the guardian wants no more of it. */
static bool listen_while_adopting(struct renewer *renewer, const char *lock, int64_t timeout_ms)
{
	struct wire_message message;

	switch (wire_wait(FD_GUARDIAN, &message, NULL, timeout_ms)) {
	case WIRE_END:
		return false;
	case WIRE_GOT:
		if (wire_type(&message) == WIRE_OWNER)
			note_owner(renewer, &message);
		if (wire_type(&message) != WIRE_RELEASE)
			return true;
		give_back_adopted(renewer, lock);
		return false;
	default:
		return true;
	}
}

static void tell_not_adopted(const awsflock_error *error)
{
	struct wire_message message;

	wire_begin(&message, WIRE_LOST);
	wire_put_number(&message, WIRE_REFUSED, error->code == AWSFLOCK_LOST);
	wire_put_text(&message, WIRE_SENTENCE, error->message);
	wire_send(FD_GUARDIAN, &message);
}

/* Until the lease is renewed, or known not to be ours, or too near its end.  True where it is held. */
static bool adopt(struct renewer *renewer, const struct wire_message *message)
{
	const char *lock = wire_text(message, WIRE_LOCK);
	int64_t lease_s = wire_number(message, WIRE_LEASE_S);
	awsflock_error error = renewer->setting_error;
	int refusals = 0;

	note_terms(renewer, message);
	renewer->tells_ids = true;
	awsflock_set_stop_fd(renewer->context, FD_GUARDIAN);
	if (error.code == AWSFLOCK_OK)
		error_set(&error, AWSFLOCK_UNREACHABLE, "there was no time left to renew it");
	while (renewer->setting_error.code == AWSFLOCK_OK && refusals < ADOPT_ROUNDS &&
	       clock_boot_ns() < wire_number(message, WIRE_DEADLINE_BOOT_NS) - renewer->stop_ms * NS_PER_MS) {
		awsflock_code code = try_adopting(renewer, lock, lease_s, &error);
		if (code == AWSFLOCK_OK) {
			tell_valid(NULL, renewer->lease);
			return true;
		}
		refusals = code == AWSFLOCK_LOST ? refusals + 1 : 0;
		if (!listen_while_adopting(renewer, lock, ADOPT_PAUSE_MS))
			return false;
	}
	tell_not_adopted(&error);
	while (listen_while_adopting(renewer, lock, -1))
		;
	return false;
}

static bool file_names_program(int fd)
{
	static const char key[] = "credential_process";
	char path[32], line[4096];
	bool is_named = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	file = fopen(path, "re");
	while (file && !is_named && fgets(line, sizeof(line), file))
		is_named = strncmp(line + strspn(line, " \t"), key, sizeof(key) - 1) == 0;
	if (file)
		fclose(file);
	explicit_bzero(line, sizeof(line));
	return is_named;
}

/* A program that gives credentials may need whatever it likes: then its files are not closed. */
static bool confine(struct renewer *renewer, awsflock_error *error)
{
	renewer->may_start_programs = file_names_program(FD_CREDENTIALS_FILE) || file_names_program(FD_CONFIG_FILE);
	if (confinement_filter_calls(renewer->may_start_programs))
		return true;
	error_set_errno(error, AWSFLOCK_INTERNAL, errno, "the renewer cannot be confined, so it does not run");
	return false;
}

/* Once all settings are known. */
static bool close_files(struct renewer *renewer)
{
	awsflock_error error;

	if (renewer->are_files_closed || renewer->may_start_programs ||
	    confinement_close_files(renewer->writable_directory)) {
		renewer->are_files_closed = true;
		return true;
	}
	error_set_errno(&error, AWSFLOCK_INTERNAL, errno,
			"the renewer's files cannot be closed, so it does not run");
	tell_denied(&error);
	return false;
}

/* Of a guardian of a newer release: whoever installed both has mixed them. */
static void tell_unknown(const struct wire_message *message)
{
	awsflock_error error;

	error_set(&error, AWSFLOCK_INTERNAL,
		  "the network half is of an older release than the keeper, and does not know its request %u: "
		  "install both anew",
		  wire_type(message));
	tell_denied(&error);
}

/* Until there is a lease to be kept: true; or nothing more to do. */
SPARE_MEMORY_OWN_FRAME static bool serve_guardian(struct renewer *renewer)
{
	struct wire_message message;
	enum wire_result result;

	while ((result = wire_wait(FD_GUARDIAN, &message, NULL, -1)) != WIRE_END) {
		if (result != WIRE_GOT)
			continue;
		if (wire_type(&message) != WIRE_SETTING && !close_files(renewer))
			return false;
		switch (wire_type(&message)) {
		case WIRE_SETTING:
			apply_setting(renewer, &message);
			break;
		case WIRE_STORE:
			if (!name_store(renewer))
				return false;
			break;
		case WIRE_PROBE:
			probe_lock(renewer, &message);
			return false;
		case WIRE_DIAGNOSE:
			diagnose_guard(renewer, &message);
			return false;
		case WIRE_ACQUIRE:
			return acquire(renewer, &message);
		case WIRE_LEASE_ID:
			lease_ids_add(&renewer->lease_ids, wire_text(&message, WIRE_ID));
			break;
		case WIRE_OWNER:
			note_owner(renewer, &message);
			break;
		case WIRE_ADOPT:
			return adopt(renewer, &message);
		default:
			if (wire_is_known(&message))
				break;
			tell_unknown(&message);
			return false;
		}
	}
	return false;
}

static const char *find_argument(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	return NULL;
}

int main(int argc, char **argv)
{
	struct renewer renewer = { .context = NULL };
	const char *user = find_argument(argc, argv, "--user"), *title = find_argument(argc, argv, "--title"),
		   *debug = find_argument(argc, argv, "--debug");
	awsflock_error error;

	if (geteuid() != 0 || !title)
		return 2; /* awsflock-keeper alone starts it */
	renewer.is_debug = debug && strcmp(debug, "yes") == 0;
	have_one_arena();
	if (privileges_drop(user, &error) != AWSFLOCK_OK || !confine(&renewer, &error) ||
	    awsflock_new(&renewer.context, &error) != AWSFLOCK_OK) {
		tell_denied(&error);
		return 1;
	}
	title_init(argc, argv);
	title_set(title); /* over the arguments, which have served */
	leave_gnutls_alone();
	awsflock_set_log(renewer.context, pass_log, &renewer);
	awsflock_set_lease_id_callback(renewer.context, expect_id, &renewer);
	renewer.progress = progress_open(FD_PROGRESS);
	if (serve_guardian(&renewer))
		keep_lease(&renewer);
	awsflock_lease_free(&renewer.lease);
	awsflock_free(&renewer.context);
	free(renewer.writable_directory);
	free(renewer.owner_text);
	return 0;
}
