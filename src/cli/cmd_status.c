/* awsflock status: who holds a lock, once or for as long as one looks.  SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "hold/lease_use.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"
#include "term/terminal.h"

#define POLL_MS_DEFAULT 2000
#define POLL_MS_LEAST 250

static const struct cli_option options[] = {
	{ OPTION_EXIT_CODE, "exit-code", 0, NULL, false, NULL,
	  "exit with 0 if the lock is free, with 3 if it is held" },
	{ OPTION_WATCH, "watch", 0, NULL, false, NULL, "go on looking until interrupted" },
	{ OPTION_LEASE_FILE, "lease-file", 0, "FILE", false, NULL,
	  "the lock of FILE: exit with 0 if its lease holds it, with 3 if not" },
	OPTION_TABLE_END,
};

static int print_status(const struct cli_call *call, const awsflock_status *status)
{
	struct buf text = BUF_INIT;
	int result;

	if (call->json)
		return json_result(json_from_status(status));
	output_append_status_block(&text, status, clock_real_seconds());
	result = output_text(&text);
	buf_free(&text);
	return result;
}

static int show_once(struct cli_call *call)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_status *status = NULL;
	int result;

	if (awsflock_inspect(call->context, call->arguments[0], &status, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	result = print_status(call, status);
	if (result == CLI_OK && status->held && option_given(call, OPTION_EXIT_CODE))
		result = CLI_NOT_HELD;
	awsflock_status_free(&status);
	return result;
}

struct watch {
	struct cli_call *call;
	bool redraw;      /* stdout is a terminal that can */
	struct buf drawn; /* the last block, as it stands there */
	struct buf seen;  /* what the last status was told by, but the time that passes */
	bool unreachable; /* said already */
};

/* What makes two looks differ.  A renewal changes the lease's id and its end, which is no news; only where there is no
 * fence does nothing else tell one grant from the next.  A free lock is free, also once what it was is cleaned up. */
static void append_state(struct buf *out, const awsflock_status *status)
{
	if (!status->held) {
		buf_puts(out, "free");
		return;
	}
	buf_printf(out, "%d %llu %s %lld %s ", status->remaining_seconds < 0, (unsigned long long)status->fence,
		   status->fence == 0 ? status->lease_id : "", (long long)status->broken_time, status->broken_by);
	output_append_holder(out, status);
}

static bool is_change(struct watch *watch, const awsflock_status *status)
{
	struct buf state = BUF_INIT;
	bool change;

	append_state(&state, status);
	change = !watch->seen.data || strcmp(buf_text(&state), buf_text(&watch->seen)) != 0;
	buf_free(&watch->seen);
	watch->seen = state;
	return change;
}

/* Appends BLOCK with each line fitted, since a broken one would spoil the count of lines. */
static void append_fitted_lines(struct buf *out, char *block, size_t width)
{
	char *rest = block;

	for (char *end = strchr(rest, '\n'); end; end = strchr(rest, '\n')) {
		*end = '\0';
		terminal_append_fitted(out, rest, width - 1);
		buf_puts(out, "\n");
		rest = end + 1;
	}
}

/* How many rows the last block takes now: a terminal that was made narrower has broken its lines. */
static size_t drawn_rows(const struct watch *watch, size_t width)
{
	char *copy = strdup(buf_text(&watch->drawn)), *rest = copy;
	size_t rows = 0;

	for (char *end = copy ? strchr(rest, '\n') : NULL; end; end = strchr(rest, '\n')) {
		*end = '\0';
		rows += terminal_rows(rest, width);
		rest = end + 1;
	}
	free(copy);
	return rows;
}

static bool redraw(struct watch *watch, const awsflock_status *status)
{
	size_t width = terminal_width(STDOUT_FILENO), rows = drawn_rows(watch, width);
	struct buf block = BUF_INIT, out = BUF_INIT;
	bool written = false;

	output_append_status_block(&block, status, clock_real_seconds());
	buf_free(&watch->drawn);
	if (block.data)
		append_fitted_lines(&watch->drawn, block.data, width);
	if (rows > 0) /* up, and erase to the end of the screen */
		buf_printf(&out, "\033[%zuA\r\033[J", rows);
	buf_puts(&out, buf_text(&watch->drawn));
	if (!block.failed && !out.failed && !watch->drawn.failed)
		written = output_write(buf_text(&out));
	buf_free(&block);
	buf_free(&out);
	return written;
}

static bool add_line(struct watch *watch, const awsflock_status *status)
{
	struct buf line = BUF_INIT;
	int64_t now = clock_real_seconds();
	char time_text[64];
	bool written;

	if (watch->call->json) {
		struct json_object *object = json_from_status(status);
		if (!json_append(&line, object))
			line.failed = true;
		json_object_put(object);
	} else {
		text_local_time(now, 0, time_text, sizeof(time_text));
		buf_printf(&line, "%s ", time_text);
		output_append_status_line(&line, status, now);
		buf_puts(&line, "\n");
	}
	written = !line.failed && output_write(buf_text(&line));
	buf_free(&line);
	return written;
}

static int show_look(struct watch *watch, const awsflock_status *status)
{
	bool change = is_change(watch, status), written = true;

	watch->unreachable = false;
	if (watch->redraw)
		written = redraw(watch, status);
	else if (change)
		written = add_line(watch, status);
	if (written)
		return CLI_OK;
	report_error("cannot write to standard output");
	return CLI_FAILED;
}

/* An answer that may come the next time does not end the watch; it is said once. */
static int show_failure(struct watch *watch, const awsflock_error *error)
{
	if (error->code != AWSFLOCK_UNREACHABLE && error->code != AWSFLOCK_THROTTLED)
		return error->code == AWSFLOCK_CANCELLED ? CLI_INTERRUPTED : report_failure(error);
	if (!watch->unreachable) {
		report_error("%s", error->message);
		buf_free(&watch->drawn);
	}
	watch->unreachable = true;
	return CLI_OK;
}

static int look_at_lock(struct watch *watch)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_status *status = NULL;
	int result;

	if (awsflock_inspect(watch->call->context, watch->call->arguments[0], &status, &error) != AWSFLOCK_OK)
		return show_failure(watch, &error);
	result = show_look(watch, status);
	awsflock_status_free(&status);
	return result;
}

static int watch_lock(struct cli_call *call)
{
	struct watch watch = { .call = call };
	const char *interval = awsflock_get(call->context, "poll_interval");
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t interval_ms = POLL_MS_DEFAULT;
	int result;

	if (interval && duration_parse_ms(interval, &interval_ms, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	if (interval_ms < POLL_MS_LEAST)
		interval_ms = POLL_MS_LEAST;
	watch.redraw = !call->json && isatty(STDOUT_FILENO) && report_wants_live();
	do {
		result = look_at_lock(&watch);
	} while (result == CLI_OK && interrupt_sleep_ms(interval_ms));
	buf_free(&watch.seen);
	buf_free(&watch.drawn);
	return result == CLI_OK ? CLI_INTERRUPTED : result;
}

/* Renewals may have come between the file and the look, so it is the fence that tells, where there is one. */
static bool is_held_by(const struct lease_record *record, const awsflock_status *status)
{
	if (!status->held || status->broken_by[0] != '\0')
		return false;
	if (record->fence != 0 && status->fence != 0)
		return (uint64_t)record->fence == status->fence;
	for (size_t i = 0; i < record->id_count; i++) {
		if (strcmp(record->ids[i], status->lease_id) == 0)
			return true;
	}
	return false;
}

/* Says why the lease of the file is not to be relied on; CLI_OK: it is. */
static int judge_lease(const struct lease_use *use, const awsflock_status *status)
{
	const struct lease_record *record = &use->record;
	awsflock_error error;

	if (lease_use_judge(use, &error) != AWSFLOCK_OK)
		report_error("%s", error.message);
	else if (!is_held_by(record, status))
		report_error("the lease of %s does not hold '%s' any more", use->file.path, record->lock);
	else if (use->holder == HOLDER_GONE)
		report_error("process %lld, which renewed the lease of '%s', has ended: the lease runs out",
			     (long long)record->pid, record->lock);
	else
		return CLI_OK;
	return CLI_NOT_HELD;
}

/* Nobody who wants to renew or release by the file has to wait for this. */
static awsflock_code read_file(struct cli_call *call, const char *path, struct lease_use *use,
			       awsflock_error *error)
{
	awsflock_code code = lease_use_open(use, path, false, error);

	lease_use_close(use);
	if (code == AWSFLOCK_OK && use->empty)
		return lease_use_judge(use, error);
	return code == AWSFLOCK_OK ? lease_use_check_store(use, call->context, error) : code;
}

static int show_lease(struct cli_call *call, const char *path)
{
	struct lease_use use;
	awsflock_status *status = NULL;
	awsflock_error error;
	int result;

	if (option_given(call, OPTION_WATCH) || option_given(call, OPTION_EXIT_CODE))
		return options_usage(call->command,
				     "--lease-file cannot be used together with --watch or --exit-code");
	if (read_file(call, path, &use, &error) != AWSFLOCK_OK ||
	    awsflock_inspect(call->context, use.record.lock, &status, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	result = print_status(call, status);
	if (result == CLI_OK)
		result = judge_lease(&use, status);
	awsflock_status_free(&status);
	return result;
}

static int status_of_lock(struct cli_call *call)
{
	if (!output_ready())
		return CLI_FAILED;
	if (option_given(call, OPTION_LEASE_FILE))
		return show_lease(call, option_text(call, OPTION_LEASE_FILE));
	if (!option_given(call, OPTION_WATCH))
		return show_once(call);
	if (option_given(call, OPTION_EXIT_CODE))
		return options_usage(call->command, "--watch and --exit-code cannot be used together");
	return watch_lock(call);
}

const struct cli_command cmd_status = {
	.name = "status",
	.arguments = "LOCK",
	.least_arguments = 1,
	.most_arguments = 1,
	.summary = "show who holds a lock",
	.details = "A free lock is an answer, not a failure: the exit code is 0 as well, without --exit-code.\n"
		   "With --lease-file in the place of LOCK it is one where the lease of FILE does not hold its "
		   "lock.\n",
	.lease_file_instead = true,
	.options = options,
	.run = status_of_lock,
};
