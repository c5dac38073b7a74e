/* The talk with awsflock-keeper (see guard/wire.h): what it is told, and what its answers mean here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "dialogue.h"

#include <errno.h>
#include <grp.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/pidfd.h"
#include "interruptible_wait.h"
#include "spawn.h"

#define RELEASE_LIMIT_MS 2000
#define ANSWER_LIMIT_MS (INT64_C(24) * 60 * 60 * 1000) /* more than this is no time but a mistake */
#define NO_ACCESS "The session guard does not work: ask this machine's administrator."

/* ---- Starting one ---- */

static gid_t terminal_group(pam_handle_t *pamh)
{
	const struct group *group = pam_modutil_getgrnam(pamh, "tty");
	return group ? group->gr_gid : 0;
}

static int fail_to_start(const struct notifier *notifier, int code)
{
	const char *fault = code == ENOSYS || code == EPERM ? pidfd_fault() : NULL;

	notify_log(notifier, LOG_CRIT, "cannot start " KEEPER_PATH ": %s", fault ? fault : strerror(code));
	notify_refusal(notifier, NO_ACCESS);
	return code == ENOMEM ? PAM_BUF_ERR : PAM_SERVICE_ERR;
}

bool dialogue_make_session_id(char id[DIALOGUE_SESSION_SIZE])
{
	unsigned char bytes[(DIALOGUE_SESSION_SIZE - 1) / 2];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(id + 2 * i, 3, "%02x", (unsigned)bytes[i]);
	return true;
}

/* ---- OPEN ---- */

static const char *item(pam_handle_t *pamh, int kind)
{
	const void *text = NULL;
	return pam_get_item(pamh, kind, &text) == PAM_SUCCESS ? text : NULL;
}

/* One line for each method that let the person in; a key comes first.  What it is called by people is for the network
 * half to say: a hash of this module's own would bring a cryptographic library into sshd. */
static void put_key(pam_handle_t *pamh, struct wire_message *message)
{
	const char *info = pam_getenv(pamh, "SSH_AUTH_INFO_0");
	char line[WIRE_TEXT_MAX];
	size_t size = info ? strcspn(info, "\n") : 0;
	if (size >= sizeof(line))
		return; /* no kind of key is so long: it stays unnamed */
	snprintf(line, sizeof(line), "%.*s", (int)size, info ? info : "");
	wire_put_text(message, WIRE_KEY, line);
}

static void fill_open(const struct request *request, struct wire_message *message)
{
	pam_handle_t *pamh = request->notifier.pamh;
	bool is_silent = !request->notifier.notices && !request->notifier.at_terminal;
	int64_t flags = (is_silent ? WIRE_FLAG_SILENT : 0) | (request->notifier.debug ? WIRE_FLAG_DEBUG : 0) |
			(request->is_probe ? WIRE_FLAG_PROBE : 0);
	wire_begin(message, WIRE_OPEN);
	wire_put_number(message, WIRE_FLAGS, flags);
	wire_put_number(message, WIRE_PERSON_UID, (int64_t)request->person->uid);
	wire_put_text(message, WIRE_PERSON, request->person->name);
	wire_put_text(message, WIRE_GUARD, request->options->guard);
	wire_put_text(message, WIRE_CONF, request->options->conf);
	wire_put_text(message, WIRE_SESSION, request->session);
	wire_put_text(message, WIRE_SERVICE, item(pamh, PAM_SERVICE));
	wire_put_text(message, WIRE_USER, item(pamh, PAM_USER));
	wire_put_text(message, WIRE_RUSER, item(pamh, PAM_RUSER));
	wire_put_text(message, WIRE_RHOST, item(pamh, PAM_RHOST));
	wire_put_text(message, WIRE_TTY, item(pamh, PAM_TTY));
	put_key(pamh, message);
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
static int fail_to_answer(const struct notifier *notifier, enum wire_result result)
{
	const char *how = result == WIRE_NOTHING ? "does not answer in time"
			  : result == WIRE_END   ? "ended without an answer"
						 : "answers what is not to be understood";
	notify_log(notifier, LOG_CRIT, "awsflock-keeper %s", how);
	notify_refusal(notifier, NO_ACCESS);
	return PAM_SERVICE_ERR;
}

static int await_answer(const struct notifier *notifier, const struct interruptible_wait *wait, int keeper,
			struct wire_message *answer)
{
	int64_t end_ms = clock_boot_ms() + WIRE_ACCEPT_WITHIN_MS;
	for (;;) {
		int64_t left_ms = end_ms - clock_boot_ms();
		if (!interruptible_wait_for(wait, keeper, left_ms > 0 ? left_ms : 0)) {
			notify_refusal(notifier, "The wait for the lock was interrupted: it is not taken.");
			return PAM_PERM_DENIED;
		}
		enum wire_result result = wire_wait(keeper, answer, NULL, 0);
		if (result == WIRE_NOTHING && left_ms > 0)
			continue;
		if (result != WIRE_GOT)
			return fail_to_answer(notifier, result);
		if (is_answer(answer))
			return PAM_SUCCESS;
		if (wire_type(answer) == WIRE_ACCEPTED)
			end_ms = clock_boot_ms() + answer_limit(answer);
		else if (wire_type(answer) == WIRE_NOTICE)
			notify_waiting(notifier, wire_text(answer, WIRE_SENTENCE));
	}
}

int dialogue_ask(const struct request *request, struct wire_message *answer, int *keeper)
{
	const struct notifier *notifier = &request->notifier;
	struct interruptible_wait wait;
	int fd = -1;
	int code = spawn_keeper(terminal_group(notifier->pamh), &fd);
	if (code != 0)
		return fail_to_start(notifier, code);
	fill_open(request, answer);
	if (!wire_send(fd, answer)) {
		notify_log(notifier, LOG_ERR, "cannot tell awsflock-keeper about the session: %s", strerror(errno));
		notify_refusal(notifier, NO_ACCESS);
		code = PAM_SERVICE_ERR;
	} else {
		interruptible_wait_begin(&wait);
		code = await_answer(notifier, &wait, fd, answer);
		/* Before a signal that was kept back stops the host, or ends it. */
		if (code != PAM_SUCCESS) {
			close(fd);
			fd = -1;
		}
		interruptible_wait_end(&wait);
	}
	if (code == PAM_SUCCESS)
		*keeper = fd;
	else if (fd >= 0)
		close(fd);
	return code;
}

/* ---- Judging it ---- */

static int judge_denied(const struct notifier *notifier, const struct wire_message *answer)
{
	notify_refusal(notifier, wire_text(answer, WIRE_SENTENCE));
	switch (wire_number(answer, WIRE_REASON)) {
	case WIRE_REASON_HELD:
	case WIRE_REASON_UNREACHABLE:
	case WIRE_REASON_ACCESS:
	case WIRE_REASON_TLS:
		return PAM_PERM_DENIED;
	case WIRE_REASON_MEMORY:
		return PAM_BUF_ERR;
	default:
		return PAM_SERVICE_ERR;
	}
}

/* The keeper has logged it.  An account line leaves the words, and the entry, to the session line. */
static int judge_admitted(const struct request *request, const struct wire_message *answer)
{
	int64_t because = wire_number(answer, WIRE_BECAUSE);
	const char *sentence = wire_text(answer, WIRE_SENTENCE);
	if (because == WIRE_BECAUSE_EXEMPT)
		return PAM_IGNORE;
	if (because != WIRE_BECAUSE_BREAK_GLASS && because != WIRE_BECAUSE_FAIL_SAFE)
		return fail_to_answer(&request->notifier, WIRE_BAD);
	if (request->is_probe)
		return PAM_IGNORE;
	notify_notice(&request->notifier, sentence);
	return PAM_SUCCESS;
}

int dialogue_judge(const struct request *request, const struct wire_message *answer)
{
	unsigned type = wire_type(answer);
	if (type == WIRE_DENIED)
		return judge_denied(&request->notifier, answer);
	if (type == WIRE_ADMITTED)
		return judge_admitted(request, answer);
	if (type == WIRE_CLEAR && request->is_probe)
		return PAM_IGNORE;
	return fail_to_answer(&request->notifier, WIRE_BAD);
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
		if (type == WIRE_LEFTOVERS || type == WIRE_KEPT) {
			notify_notice(notifier, wire_text(&answer, WIRE_SENTENCE));
			return;
		}
		if (left_ms <= 0)
			break;
	}
	notify_log(notifier, LOG_WARNING, "awsflock-keeper %s: the lock may remain held until its lease ends",
		   result == WIRE_END ? "is gone" : "did not say in time that the lock is free");
}
