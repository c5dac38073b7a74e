/* What the program says to people, on stderr, one sanitised line at a time.  SPDX-License-Identifier: Apache-2.0 */
#include "term/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/write_all.h"
#include "term/speaker.h"
#include "term/terminal.h"

#define LINE_SIZE 8192

static int level;
static char live_line[LINE_SIZE]; /* what stands there; "": nothing */

void report_set_level(int new_level)
{
	level = new_level;
}

int report_level(void)
{
	return level;
}

/* One write() a line: lines of processes that share a terminal or a log do not mix. */
static void write_stderr(const char *bytes, size_t size)
{
	if (speaker_is_used()) {
		speaker_say(bytes, size);
		return;
	}
	write_all(STDERR_FILENO, bytes, size); /* there is nowhere to tell that it failed */
}

static void say_line(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
static void say_line(const char *format, va_list arguments)
{
	static const char prefix[] = "awsflock: ";
	char raw[LINE_SIZE], line[sizeof(prefix) + LINE_SIZE];
	size_t used = sizeof(prefix) - 1;

	memcpy(line, prefix, used);
	vsnprintf(raw, sizeof(raw), format, arguments);
	text_sanitise(raw, line + used, sizeof(line) - used - 1);
	used = strlen(line);
	line[used++] = '\n';
	report_live_line(NULL);
	write_stderr(line, used);
}

void report_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
}

void report_notice(const char *format, ...)
{
	va_list arguments;

	if (level < 0)
		return;
	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
}

void report_debug(const char *format, ...)
{
	va_list arguments;

	if (level < 1)
		return;
	va_start(arguments, format);
	say_line(format, arguments);
	va_end(arguments);
}

static int exit_code_of(awsflock_code code)
{
	switch (code) {
	case AWSFLOCK_OK:
		return CLI_OK;
	case AWSFLOCK_HELD:
	case AWSFLOCK_LOST:
	case AWSFLOCK_TIMED_OUT:
		return CLI_NOT_HELD;
	case AWSFLOCK_CANCELLED:
		return CLI_INTERRUPTED;
	case AWSFLOCK_INVALID:
		return CLI_USAGE;
	default:
		return CLI_FAILED;
	}
}

int report_failure(const awsflock_error *error)
{
	/* That another holds the lock is an answer: the exit code gives it to those who asked for quiet. */
	bool is_answer = error->code == AWSFLOCK_HELD || error->code == AWSFLOCK_TIMED_OUT;

	if (!is_answer || level >= 0)
		report_error("%s", error->message[0] != '\0' ? error->message : awsflock_code_name(error->code));
	return exit_code_of(error->code);
}

void report_log(void *arg, awsflock_log_level log_level, const char *message)
{
	(void)arg;
	if (log_level == AWSFLOCK_LOG_DEBUG)
		report_debug("%s", message);
	else
		report_notice("%s", message);
}

bool report_wants_live(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return (!no_color || no_color[0] == '\0') && term && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

bool report_is_live(void)
{
	return isatty(STDERR_FILENO) && report_wants_live();
}

/* A terminal that was made narrower since has broken the line into rows. */
static void append_clearing(struct buf *out, size_t width)
{
	size_t rows = terminal_rows(live_line, width);

	buf_puts(out, "\r");
	if (rows > 1)
		buf_printf(out, "\033[%zuA\033[J", rows - 1); /* up, and erase to the end of the screen */
	else
		buf_puts(out, "\033[K"); /* erase to the end of the line */
}

void report_live_line(const char *text)
{
	size_t width = terminal_width(STDERR_FILENO);
	struct buf out = BUF_INIT, line = BUF_INIT;
	char safe[LINE_SIZE];

	if (!text && live_line[0] == '\0')
		return;
	append_clearing(&out, width);
	text_sanitise(text, safe, sizeof(safe));
	/* A character in the last column would make some terminals wrap. */
	terminal_append_fitted(&line, safe, width - 1);
	buf_puts(&out, buf_text(&line));
	if (!out.failed && !line.failed) {
		write_stderr(buf_text(&out), out.size);
		snprintf(live_line, sizeof(live_line), "%s", buf_text(&line));
	}
	buf_free(&line);
	buf_free(&out);
}
