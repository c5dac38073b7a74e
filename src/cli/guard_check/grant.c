/* A dry grant: the keeper's network half is started as for a session (its user, its empty environment, its copies
 * of files that only root may read) and checks everything.  SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <syslog.h>

#include "base/buf.h"
#include "base/text.h"
#include "cli/guard_check/guard_check.h"
#include "guard/renewer_process.h"
#include "guard/wire.h"
#include "term/report.h"

#define GRANT "grant"
/* Beyond the store's own retries, for each check. */
#define CHECK_WITHIN_MS 120000

/* ---- What the renewer says, in a guard's words ----------------------------------------------------------- */

/* doctor's own mends speak of options and variables, which a keeper has not. */
static const struct wording {
	const char *check;
	awsflock_verdict verdict;
	const char *name, *mend;
	const char *in_place_of; /* a mend that holds this; others are good for a keeper too */
} wordings[] = {
	{ "config", AWSFLOCK_CHECK_OK, "store", NULL, "" },
	{ "profile", AWSFLOCK_CHECK_FAILED, "profile",
	  "correct credentials_file, config_file or profile in [awsflock]", "" },
	{ "endpoint", AWSFLOCK_CHECK_FAILED, "endpoint", "write region = ... (or endpoint_url) into [awsflock]",
	  "" },
	{ "credentials", AWSFLOCK_CHECK_FAILED, "credentials",
	  "give the instance a role, or write credentials_file = FILE into [awsflock]: root's, mode 0600",
	  "--profile" },
	{ "access", AWSFLOCK_CHECK_FAILED, "access", "have the policy allow this lock: etc/iam/bastion.json does",
	  "awsflock doctor" },
	{ "lock", AWSFLOCK_CHECK_WARNING, GRANT, "nothing, where that is right; or try again when it is free", "" },
	{ "lock", AWSFLOCK_CHECK_FAILED, GRANT, "have the policy allow this lock: etc/iam/bastion.json does",
	  "awsflock doctor" },
	{ "lock", AWSFLOCK_CHECK_OK, GRANT, NULL, "" },
};

static const struct wording *find_wording(const char *check, awsflock_verdict verdict)
{
	for (size_t i = 0; i < sizeof(wordings) / sizeof(wordings[0]); i++)
		if (wordings[i].verdict == verdict && strcmp(wordings[i].check, check) == 0)
			return &wordings[i];
	return NULL;
}

/* Every setting is handed to the renewer as if it were an option. */
static const char origin[] = "(from the command line)";

static size_t starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0 ? strlen(start) : 0;
}

/* Appends TEXT with the files' own names in place of those that the renewer has for its copies. */
static void append_in_guards_words(struct buf *out, const char *text, const struct renewer_process *process)
{
	while (*text != '\0') {
		size_t copy = starts_with(text, "/proc/self/fd/");
		size_t skipped = starts_with(text, origin);
		const char *path = copy > 0 ? renewer_process_original(process, text[copy] - '0') : NULL;
		if (path) {
			buf_puts(out, path);
			text += copy + 1;
		} else if (skipped > 0) {
			buf_puts(out, "(from the configuration)");
			text += skipped;
		} else {
			buf_append(out, text++, 1);
		}
	}
}

static void tell_grant(struct findings *findings, const struct renewer_process *process,
		       const struct wire_message *message)
{
	const char *name = wire_text(message, WIRE_NAME), *mend = wire_text(message, WIRE_MEND);
	int64_t number = wire_number(message, WIRE_VERDICT);
	awsflock_verdict verdict = number == AWSFLOCK_CHECK_OK || number == AWSFLOCK_CHECK_WARNING
					   ? (awsflock_verdict)number
					   : AWSFLOCK_CHECK_FAILED;
	const struct wording *wording = find_wording(name, verdict);
	struct buf finding = BUF_INIT;

	append_in_guards_words(&finding, wire_text(message, WIRE_SENTENCE), process);
	findings_add(findings, wording ? wording->name : name, verdict,
		     wording && wording->mend && strstr(mend, wording->in_place_of) ? wording->mend : mend, "%s",
		     buf_text(&finding));
	buf_free(&finding);
}

/* ---- The renewer ----------------------------------------------------------------------------------------- */

static void tell_failure(struct findings *findings, const char *sentence, const char *mend)
{
	findings_add(findings, GRANT, AWSFLOCK_CHECK_FAILED, mend, "%s", sentence);
}

static void tell_denied(struct findings *findings, const struct renewer_process *process, const char *sentence)
{
	struct buf finding = BUF_INIT;

	append_in_guards_words(&finding, sentence, process);
	tell_failure(findings, buf_text(&finding), "correct what is named");
	buf_free(&finding);
}

static void tell_log(const struct renewer_process *process, const struct wire_message *message)
{
	struct buf line = BUF_INIT;

	append_in_guards_words(&line, wire_text(message, WIRE_SENTENCE), process);
	if (wire_number(message, WIRE_PRIORITY) <= LOG_NOTICE)
		report_notice("%s", buf_text(&line));
	else
		report_debug("%s", buf_text(&line));
	buf_free(&line);
}

static void ask_renewer(struct renewer_process *process, const char *lock)
{
	struct wire_message message;

	wire_begin(&message, WIRE_DIAGNOSE);
	wire_put_text(&message, WIRE_LOCK, lock);
	wire_send(process->fd, &message);
}

/* False once there is nothing more to come. */
static bool take_reply(struct findings *findings, struct renewer_process *process, const struct guard *guard)
{
	struct wire_message message;

	switch (wire_wait(process->fd, &message, NULL, CHECK_WITHIN_MS)) {
	case WIRE_GOT:
		break;
	case WIRE_BAD:
		return true;
	default:
		tell_failure(findings, "the keeper's network half has ended, or answers no more",
			     "look whether awsflock-keeper-renewer of this very release is installed");
		return false;
	}
	switch (wire_type(&message)) {
	case WIRE_STORE:
		ask_renewer(process, guard->lock);
		return true;
	case WIRE_CHECK:
		tell_grant(findings, process, &message);
		return true;
	case WIRE_LOG:
		tell_log(process, &message);
		return true;
	case WIRE_DENIED:
		tell_denied(findings, process, wire_text(&message, WIRE_SENTENCE));
		return false;
	default:
		return wire_type(&message) != WIRE_CLEAR;
	}
}

/* Ctrl-C ends this program, and then the renewer gives back what it has taken before it leaves. */
static awsflock_code start_trial_renewer(struct renewer_process *process, const struct guard *guard,
					 awsflock_error *error)
{
	static char person[] = "root";
	static const int signals[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before[sizeof(signals) / sizeof(signals[0])];
	awsflock_code code;

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &ignore, &before[i]);
	code = renewer_process_start(process, guard, person, error);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &before[i], NULL);
	return code;
}

void guard_check_grant(struct findings *findings, const struct guard *guard)
{
	struct renewer_process process;
	awsflock_error error;
	pid_t pid;

	renewer_process_init(&process);
	if (start_trial_renewer(&process, guard, &error) != AWSFLOCK_OK) {
		tell_failure(findings, error.message, "correct what is named");
		return;
	}
	while (take_reply(findings, &process, guard))
		;
	pid = process.pid;
	renewer_process_close(&process);
	if (process.pid > 0)
		waitpid(pid, NULL, 0);
}
