/* awsflock break: an administrator evicts who holds a lock.  SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lease_end.h"
#include "base/text.h"
#include "base/text_check.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

#define NAME_SIZE 256
#define ANSWER_SIZE 16

static const struct cli_option options[] = {
	{ OPTION_LEASE_ID, "lease-id", 0, "ID", false, NULL,
	  "the lease to evict, as status shows it: no question is asked" },
	{ OPTION_YES, "yes", 'y', NULL, false, NULL, "on a terminal: do not ask" },
	{ OPTION_NOW, "now", 0, NULL, false, NULL, "free the lock at once, although its holder may not know yet" },
	OPTION_TABLE_END,
};

/* Who breaks it, for the record: "user@host". */
static void find_myself(char *out, size_t size)
{
	const struct passwd *entry = getpwuid(getuid());
	char host[NAME_SIZE] = "unknown";

	if (gethostname(host, sizeof(host)) != 0)
		strcpy(host, "unknown");
	host[sizeof(host) - 1] = '\0';
	if (entry)
		snprintf(out, size, "%s@%s", entry->pw_name, host);
	else
		snprintf(out, size, "uid %lu@%s", (unsigned long)getuid(), host);
}

static void show_holder(const awsflock_status *status)
{
	struct buf line = BUF_INIT;

	output_append_status_line(&line, status, clock_real_seconds());
	report_notice("%s", buf_text(&line));
	buf_free(&line);
}

/* Reads a line without stdio, whose buffering would hide an interruption.  False at the end of the input. */
static bool read_answer(char answer[ANSWER_SIZE])
{
	size_t used = 0;
	char byte;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, &byte, 1);
		if (got < 0 && errno == EINTR && interrupt_signal() == 0)
			continue;
		if (got <= 0)
			return false;
		if (byte == '\n')
			break;
		if (used + 1 < ANSWER_SIZE)
			answer[used++] = byte;
	}
	answer[used] = '\0';
	return true;
}

static int ask_confirmation(const awsflock_status *status, bool now)
{
	static const char at_once[] = "Free the lock at once, whether or not its holder has stopped? (yes/no) ";
	static const char in_time[] = "Evict this holder? (yes/no) ";
	char answer[ANSWER_SIZE];

	if (report_level() < 0) { /* whom one evicts is part of the question */
		report_set_level(0);
		show_holder(status);
		report_set_level(-1);
	}
	fputs(now ? at_once : in_time, stderr);
	if (!read_answer(answer)) {
		fputc('\n', stderr);
		return interrupt_signal() != 0 ? CLI_INTERRUPTED : CLI_FAILED;
	}
	if (strcasecmp(answer, "yes") == 0)
		return CLI_OK;
	report_error("nothing was changed");
	return CLI_FAILED;
}

static void tell_broken(const awsflock_status *status, bool now)
{
	struct buf line = BUF_INIT;
	int64_t seconds = clock_real_seconds(), end = lease_end_time(status, seconds);
	char when[64];

	buf_puts(&line, "the lease of ");
	output_append_holder(&line, status);
	buf_puts(&line, " is broken: '");
	output_append_clean(&line, status->lock);
	if (now || end <= seconds) {
		buf_puts(&line, now ? "' is free" : "' becomes free any moment");
	} else {
		text_local_time(end, seconds, when, sizeof(when));
		buf_printf(&line, "' becomes free soon after %s", when);
	}
	report_notice("%s", buf_text(&line));
	buf_free(&line);
}

static int print_broken(const awsflock_status *status, const char *by, bool now)
{
	struct json_object *object = json_object_new_object();

	if (object && (!json_add_text(object, "lock_id", status->lock) ||
		       !json_add_text(object, "lease_id", status->lease_id) ||
		       !json_add_text(object, "owner", status->owner) || !json_add_text(object, "broken_by", by) ||
		       !json_add_bool(object, "free", now))) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

/* Without a question, only who knows whom they evict may do it. */
static int refuse_without_terminal(const struct cli_call *call)
{
	return options_usage(call->command,
			     option_given(call, OPTION_YES)
				     ? "--yes is for a terminal, which standard input is not: name the "
				       "lease with --lease-id instead"
				     : "standard input is not a terminal: name the lease with --lease-id");
}

static int break_lease(struct cli_call *call, const awsflock_status *status)
{
	bool now = option_given(call, OPTION_NOW);
	awsflock_error error = { .code = AWSFLOCK_OK };
	char by[2 * NAME_SIZE];
	int result;

	show_holder(status);
	if (!option_given(call, OPTION_LEASE_ID) && !isatty(STDIN_FILENO))
		return refuse_without_terminal(call);
	if (!option_given(call, OPTION_LEASE_ID) && !option_given(call, OPTION_YES)) {
		result = ask_confirmation(status, now);
		if (result != CLI_OK)
			return result;
	}
	find_myself(by, sizeof(by));
	if (awsflock_break(call->context, status->lock, status->lease_id, by, now ? AWSFLOCK_BREAK_NOW : 0,
			   &error) != AWSFLOCK_OK)
		return report_failure(&error);
	tell_broken(status, now);
	return call->json ? print_broken(status, by, now) : CLI_OK;
}

static int inspect_and_break(struct cli_call *call)
{
	const char *lease_id = option_text(call, OPTION_LEASE_ID);
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_status *status = NULL;
	int result;

	if (awsflock_inspect(call->context, call->arguments[0], &status, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (!status->held) {
		report_error("'%s' is free: there is nothing to break", call->arguments[0]);
		result = CLI_NOT_HELD;
	} else if (lease_id && strcasecmp(lease_id, status->lease_id) != 0) {
		show_holder(status);
		report_error("lease %s does not hold '%s': nothing was changed", lease_id, call->arguments[0]);
		result = CLI_NOT_HELD;
	} else {
		result = break_lease(call, status);
	}
	awsflock_status_free(&status);
	return result;
}

static int break_lock(struct cli_call *call)
{
	const char *lease_id = option_text(call, OPTION_LEASE_ID);
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (lease_id && text_check_lease_id(lease_id, &error) != AWSFLOCK_OK)
		return options_usage(call->command, "--lease-id: %s", error.message);
	if (call->json && !output_ready())
		return CLI_FAILED;
	return inspect_and_break(call);
}

const struct cli_command cmd_break = {
	.name = "break",
	.arguments = "LOCK",
	.least_arguments = 1,
	.most_arguments = 1,
	.summary = "evict who holds a lock",
	.details =
		"The lock becomes free when the evicted lease would have ended, so that its holder has stopped by\n"
		"then; with --now at once, and then only the fence protects.  Who broke it is recorded.\n",
	.options = options,
	.run = break_lock,
};
