/* The talk with awsflock-keeper (see guard/wire.h): what it is told, and what its answers mean here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "door/dialogue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "door/interruptible_wait.h"
#include "door/spawn.h"

#define RELEASE_LIMIT_MS 2000
#define ANSWER_LIMIT_MS (INT64_C(24) * 60 * 60 * 1000) /* more than this is no time but a mistake */
#define NO_ACCESS "The session guard does not work: ask this machine's administrator."

/* ---- Starting one ---- */

static enum dialogue_outcome fail_to_start(const struct notifier *notifier, int code)
{
	const char *fault = code == ENOSYS || code == EPERM ? pidfd_fault() : NULL;

	notify_log(notifier, LOG_CRIT, "cannot start " KEEPER_PATH ": %s", fault ? fault : strerror(code));
	notify_refusal(notifier, NO_ACCESS);
	return code == ENOMEM ? DIALOGUE_MEMORY : DIALOGUE_FAULT;
}

static bool make_session_id(char id[DIALOGUE_SESSION_SIZE])
{
	unsigned char bytes[(DIALOGUE_SESSION_SIZE - 1) / 2];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", (unsigned)bytes[i]);
	return true;
}

/* ---- OPEN ---- */

/* The first line: the key, where there is one.  What it is called by people is for the network half to say: a hash of
 * our own would bring a cryptographic library into sshd. */
static void put_key(const char *info, struct wire_message *message)
{
	char line[WIRE_TEXT_MAX];
	size_t size = info ? strcspn(info, "\n") : 0;
	if (size >= sizeof(line))
		return; /* no kind of key is so long: it stays unnamed */
	snprintf(line, sizeof(line), "%.*s", (int)size, info ? info : "");
	wire_put_text(message, WIRE_KEY, line);
}

static void put_socket(int keeper, struct wire_message *message)
{
	struct stat status;
	if (fstat(keeper, &status) == 0)
		wire_put_number(message, WIRE_HOST_SOCKET, (int64_t)status.st_ino);
}

static void fill_open(const struct request *request, int keeper, struct wire_message *message)
{
	bool is_silent = !request->notifier.notices && !request->notifier.at_terminal;
	int64_t flags = (is_silent ? WIRE_FLAG_SILENT : 0) | (request->notifier.debug ? WIRE_FLAG_DEBUG : 0) |
			(request->is_probe ? WIRE_FLAG_PROBE : 0) | (request->may_move ? WIRE_FLAG_MAY_MOVE : 0);
	wire_begin(message, WIRE_OPEN);
	wire_put_number(message, WIRE_FLAGS, flags);
	wire_put_number(message, WIRE_PERSON_UID, (int64_t)request->person_uid);
	wire_put_text(message, WIRE_PERSON, request->person);
	wire_put_text(message, WIRE_GUARD, request->guard);
	wire_put_text(message, WIRE_CONF, request->conf);
	wire_put_text(message, WIRE_SESSION, request->session);
	wire_put_text(message, WIRE_SERVICE, request->service);
	wire_put_text(message, WIRE_USER, request->user);
	wire_put_text(message, WIRE_RUSER, request->ruser);
	wire_put_text(message, WIRE_RHOST, request->rhost);
	wire_put_text(message, WIRE_TTY, request->tty);
	put_key(request->login_info, message);
	put_socket(keeper, message);
}

/* ---- The answer ---- */

static int64_t answer_limit(const struct wire_message *accepted)
{
	int64_t limit_ms = wire_number(accepted, WIRE_ANSWER_WITHIN_MS);
	return limit_ms < 0 ? 0 : limit_ms > ANSWER_LIMIT_MS ? ANSWER_LIMIT_MS : limit_ms;
}

static bool is_answer(const struct wire_message *message)
{
	unsigned type = wire_type(message);
	return type == WIRE_GRANTED || type == WIRE_DENIED || type == WIRE_ADMITTED || type == WIRE_CLEAR;
}

/* A keeper that says nothing of sense, or nothing at all, lets nobody in. */
static enum dialogue_outcome fail_to_answer(const struct notifier *notifier, enum wire_result result)
{
	const char *how = result == WIRE_NOTHING ? "does not answer in time"
			  : result == WIRE_END   ? "ended without an answer"
						 : "answers what is not to be understood";
	notify_log(notifier, LOG_CRIT, "awsflock-keeper %s", how);
	notify_refusal(notifier, NO_ACCESS);
	return DIALOGUE_FAULT;
}

/* DIALOGUE_GRANTED: *ANSWER is one, to be judged. */
static enum dialogue_outcome await_answer(const struct notifier *notifier, const struct interruptible_wait *wait,
					  int keeper, struct wire_message *answer)
{
	int64_t end_ms = clock_boot_ms() + WIRE_ACCEPT_WITHIN_MS;
	for (;;) {
		int64_t left_ms = end_ms - clock_boot_ms();
		if (!interruptible_wait_for(wait, keeper, left_ms > 0 ? left_ms : 0)) {
			notify_refusal(notifier, "The wait for the lock was interrupted: it is not taken.");
			return DIALOGUE_REFUSED;
		}
		enum wire_result result = wire_wait(keeper, answer, NULL, 0);
		if (result == WIRE_NOTHING && left_ms > 0)
			continue;
		if (result != WIRE_GOT)
			return fail_to_answer(notifier, result);
		if (is_answer(answer))
			return DIALOGUE_GRANTED;
		if (wire_type(answer) == WIRE_ACCEPTED)
			end_ms = clock_boot_ms() + answer_limit(answer);
		else if (wire_type(answer) == WIRE_NOTICE)
			notify_at_terminal(notifier, wire_text(answer, WIRE_SENTENCE));
	}
}

/* ---- Judging it ---- */

static enum dialogue_outcome judge_denied(const struct notifier *notifier, const struct wire_message *answer)
{
	notify_refusal(notifier, wire_text(answer, WIRE_SENTENCE));
	switch (wire_number(answer, WIRE_REASON)) {
	case WIRE_REASON_HELD:
	case WIRE_REASON_UNREACHABLE:
	case WIRE_REASON_ACCESS:
	case WIRE_REASON_TLS:
		return DIALOGUE_REFUSED;
	case WIRE_REASON_MEMORY:
		return DIALOGUE_MEMORY;
	default:
		return DIALOGUE_FAULT;
	}
}

/* The keeper has logged it.  An account line leaves the words, and the entry, to the session line. */
static enum dialogue_outcome judge_admitted(const struct request *request, const struct wire_message *answer)
{
	int64_t because = wire_number(answer, WIRE_BECAUSE);
	if (because == WIRE_BECAUSE_EXEMPT)
		return DIALOGUE_EXEMPT;
	if (because != WIRE_BECAUSE_BREAK_GLASS && because != WIRE_BECAUSE_FAIL_SAFE)
		return fail_to_answer(&request->notifier, WIRE_BAD);
	if (!request->is_probe)
		notify_notice(&request->notifier, wire_text(answer, WIRE_SENTENCE));
	return DIALOGUE_ADMITTED;
}

static enum dialogue_outcome judge(const struct request *request, const struct wire_message *answer)
{
	unsigned type = wire_type(answer);
	if (type == WIRE_GRANTED && !request->is_probe)
		return DIALOGUE_GRANTED;
	if (type == WIRE_DENIED)
		return judge_denied(&request->notifier, answer);
	if (type == WIRE_ADMITTED)
		return judge_admitted(request, answer);
	if (type == WIRE_CLEAR && request->is_probe)
		return DIALOGUE_CLEAR;
	return fail_to_answer(&request->notifier, WIRE_BAD);
}

/* ---- All of it ---- */

/* Closes KEEPER where nothing comes of it: before a signal that was kept back stops the host, or ends it. */
static enum dialogue_outcome hear_answer(const struct request *request, int keeper, struct wire_message *answer)
{
	struct interruptible_wait wait;
	interruptible_wait_begin(&wait);
	enum dialogue_outcome outcome = await_answer(&request->notifier, &wait, keeper, answer);
	bool is_answered = outcome == DIALOGUE_GRANTED;
	if (!is_answered)
		close(keeper);
	interruptible_wait_end(&wait);
	if (!is_answered)
		return outcome;
	outcome = judge(request, answer);
	if (outcome != DIALOGUE_GRANTED)
		close(keeper);
	return outcome;
}

enum dialogue_outcome dialogue_ask(struct request *request, struct wire_message *answer, int *keeper)
{
	const struct notifier *notifier = &request->notifier;
	int fd = -1;
	if (!make_session_id(request->session)) {
		notify_log(notifier, LOG_CRIT, "the system has no randomness to give");
		return DIALOGUE_FAULT;
	}
	int code = spawn_keeper(request->tty_group, &fd);
	if (code != 0)
		return fail_to_start(notifier, code);
	fill_open(request, fd, answer);
	if (!wire_send(fd, answer)) {
		notify_log(notifier, LOG_ERR, "cannot tell awsflock-keeper about the session: %s", strerror(errno));
		notify_refusal(notifier, NO_ACCESS);
		close(fd);
		return DIALOGUE_FAULT;
	}
	enum dialogue_outcome outcome = hear_answer(request, fd, answer);
	if (outcome == DIALOGUE_GRANTED)
		*keeper = fd;
	return outcome;
}

void dialogue_tell_waited(const struct notifier *notifier, const struct wire_message *granted)
{
	char sentence[256];
	int64_t waited_ms = wire_number(granted, WIRE_WAITED_MS);
	if (waited_ms <= 0)
		return;
	snprintf(sentence, sizeof(sentence), "'%.128s' is yours, after %" PRId64 " s.",
		 wire_text(granted, WIRE_LOCK), waited_ms / 1000);
	notify_at_terminal(notifier, sentence);
}

/* ---- Moving ---- */

int dialogue_move(int keeper)
{
	struct wire_message message;
	int self = pidfd_of_self();
	int code = self < 0 ? errno : 0;
	wire_begin(&message, WIRE_MOVED);
	if (code == 0 && !wire_send_passing(keeper, &message, self))
		code = errno;
	if (self >= 0)
		close(self);
	return code;
}

/* ---- RELEASE ---- */

void dialogue_release(const struct notifier *notifier, int keeper)
{
	struct wire_message answer;
	int64_t end_ms = clock_boot_ms() + RELEASE_LIMIT_MS;
	enum wire_result result = wire_send_type(keeper, WIRE_RELEASE) ? WIRE_NOTHING : WIRE_END;
	while (result == WIRE_NOTHING || result == WIRE_GOT) {
		int64_t left_ms = end_ms - clock_boot_ms();
		result = wire_wait(keeper, &answer, NULL, left_ms > 0 ? left_ms : 0);
		unsigned type = result == WIRE_GOT ? wire_type(&answer) : 0;
		if (type == WIRE_RELEASED)
			return;
		if (type == WIRE_LEFTOVERS) {
			notify_at_terminal(notifier, wire_text(&answer, WIRE_SENTENCE));
			return;
		}
		if (type == WIRE_KEPT) {
			if (!wire_number(&answer, WIRE_SHARED))
				notify_notice(notifier, wire_text(&answer, WIRE_SENTENCE));
			return;
		}
		if (left_ms <= 0)
			break;
	}
	notify_log(notifier, LOG_WARNING, "awsflock-keeper %s: the lock may remain held until its lease ends",
		   result == WIRE_END ? "is gone" : "did not say in time that the lock is free");
}
