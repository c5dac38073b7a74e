/* What is shown while the program waits for a lock.  SPDX-License-Identifier: Apache-2.0 */
#include "term/waiting.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "term/output.h"
#include "term/report.h"

#define LOG_INTERVAL_MS 60000

/* The line of "status", shorter: on a terminal the end of it is the first to be clipped. */
static void append_line(struct buf *line, const awsflock_status *holder, int64_t waited_ms, int64_t now)
{
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
	text_local_time(holder->expiration_time, now, text, sizeof(text));
	buf_printf(line, ", lease %s %s", holder->remaining_seconds >= 0 ? "ends" : "ended", text);
	if (holder->remaining_seconds >= 0) {
		text_duration(holder->remaining_seconds, text, sizeof(text));
		buf_printf(line, " (in %s)", text);
	}
}

void waiting_show(void *arg, const awsflock_status *holder, int64_t waited_ms)
{
	struct waiting *waiting = arg;
	struct buf line = BUF_INIT;

	if (report_level() < 0 || !holder)
		return;
	append_line(&line, holder, waited_ms, clock_real_seconds());
	if (report_is_live()) {
		report_live_line(buf_text(&line));
	} else if (waited_ms >= waiting->next_line_ms) {
		report_notice("%s", buf_text(&line));
		waiting->next_line_ms = waited_ms + LOG_INTERVAL_MS;
	}
	buf_free(&line);
}

void waiting_end(void)
{
	report_live_line(NULL);
}
