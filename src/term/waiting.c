/* What is shown while the program waits for a lock.  SPDX-License-Identifier: Apache-2.0 */
#include "term/waiting.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lease_end.h"
#include "base/text.h"
#include "term/output.h"
#include "term/report.h"
#include "term/terminal.h"

#define LOG_INTERVAL_MS 60000

/* For a log: the line of "status", shorter. */
static void append_line(struct buf *line, const awsflock_status *holder, int64_t waited_ms, int64_t now)
{
	int64_t end = lease_end_time(holder, now);
	char text[64];

	buf_puts(line, "waiting for '");
	output_append_clean(line, holder->lock);
	text_duration(waited_ms / 1000, text, sizeof(text));
	buf_printf(line, "' (%s): held by ", text);
	output_append_holder(line, holder);
	if (holder->acquired_time != 0) {
		text_local_time(holder->acquired_time, now, text, sizeof(text));
		buf_printf(line, " since %s", text);
	}
	if (holder->purpose[0] != '\0') {
		buf_puts(line, ", purpose: ");
		output_append_clean(line, holder->purpose);
	}
	text_local_time(end, now, text, sizeof(text));
	buf_printf(line, ", lease %s %s", end >= now ? "ends" : "ended", text);
	if (end >= now) {
		text_duration(end - now, text, sizeof(text));
		buf_printf(line, " (in %s)", text);
	}
}

/* Where a terminal has not room for all: no lock or holder is cut to less. */
#define NAME_COLUMNS_LEAST ((size_t)8)
#define PURPOSE_COLUMNS_LEAST ((size_t)8)

static void append_until(struct buf *out, const awsflock_status *holder, int64_t now)
{
	int64_t end = lease_end_time(holder, now);
	char text[64];

	text_local_time(end, now, text, sizeof(text));
	buf_printf(out, end >= now ? " until %s" : " ended %s", text);
	if (end >= now) {
		text_duration(end - now, text, sizeof(text));
		buf_printf(out, " (%s)", text);
	}
}

static void append_if_it_fits(struct buf *line, const char *text, size_t width)
{
	if (terminal_columns(buf_text(line)) + terminal_columns(text) <= width)
		buf_puts(line, text);
}

static void append_purpose(struct buf *line, const awsflock_status *holder, size_t width)
{
	static const char before[] = " \xC2\xB7 ";
	size_t used = terminal_columns(buf_text(line)) + terminal_columns(before);
	struct buf purpose = BUF_INIT;

	output_append_clean(&purpose, holder->purpose);
	if (purpose.size > 0 && used + PURPOSE_COLUMNS_LEAST <= width) {
		buf_puts(line, before);
		terminal_append_fitted(line, buf_text(&purpose), width - used);
	}
	buf_free(&purpose);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* "deploy: alice@laptop until 22:13:48 (56s)": the end of the lease is left whole, then the holder, then the lock. */
static void append_who(struct buf *line, const awsflock_status *holder, const char *until, size_t width)
{
	struct buf lock = BUF_INIT, who = BUF_INIT;
	size_t fixed = strlen(": ") + terminal_columns(until), room = width > fixed ? width - fixed : 0;
	size_t lock_columns, who_columns;

	output_append_clean(&lock, holder->lock);
	output_append_holder(&who, holder);
	who_columns = terminal_columns(buf_text(&who));
	lock_columns = terminal_columns(buf_text(&lock));
	if (lock_columns + who_columns > room)
		lock_columns = least(lock_columns, room > who_columns + NAME_COLUMNS_LEAST ? room - who_columns
											   : NAME_COLUMNS_LEAST);
	who_columns = least(who_columns,
			    room > lock_columns + NAME_COLUMNS_LEAST ? room - lock_columns : NAME_COLUMNS_LEAST);
	terminal_append_fitted(line, buf_text(&lock), lock_columns);
	buf_puts(line, ": ");
	terminal_append_fitted(line, buf_text(&who), who_columns);
	buf_puts(line, until);
	buf_free(&lock);
	buf_free(&who);
}

void waiting_append_line(struct buf *line, const awsflock_status *holder, int64_t waited_ms, int64_t now,
			 size_t width)
{
	struct buf until = BUF_INIT;
	char text[64], waited[96];

	append_until(&until, holder, now);
	append_who(line, holder, buf_text(&until), width);
	text_duration(waited_ms / 1000, text, sizeof(text));
	snprintf(waited, sizeof(waited), " \xC2\xB7 waited %s", text);
	append_if_it_fits(line, waited, width);
	append_purpose(line, holder, width);
	buf_free(&until);
}

void waiting_show(void *arg, const awsflock_status *holder, int64_t waited_ms)
{
	struct waiting *waiting = arg;
	struct buf line = BUF_INIT;

	if (report_level() < 0 || !holder)
		return;
	if (report_is_live()) {
		waiting_append_line(&line, holder, waited_ms, clock_real_seconds(),
				    terminal_width(STDERR_FILENO) - 1);
		report_live_line(buf_text(&line));
	} else if (waited_ms >= waiting->next_line_ms) {
		append_line(&line, holder, waited_ms, clock_real_seconds());
		report_notice("%s", buf_text(&line));
		waiting->next_line_ms = waited_ms + LOG_INTERVAL_MS;
	}
	buf_free(&line);
}

void waiting_end(void)
{
	report_live_line(NULL);
}
