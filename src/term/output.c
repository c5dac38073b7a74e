/* Results, on stdout, and a lock's status in words.  SPDX-License-Identifier: Apache-2.0 */
#include "term/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/lease_end.h"
#include "base/text.h"
#include "term/report.h"

static bool stdout_was_closed;

bool output_init(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (fd == STDOUT_FILENO)
			stdout_was_closed = true;
		/* The lowest free descriptor, so this one. */
		if (open("/dev/null", O_RDWR) != fd)
			return false;
	}
	return true;
}

bool output_is_open(void)
{
	return !stdout_was_closed;
}

bool output_ready(void)
{
	if (stdout_was_closed)
		report_error("standard output is closed: there is nowhere to print the result");
	return !stdout_was_closed;
}

bool output_write(const char *text)
{
	if (stdout_was_closed) {
		errno = EBADF;
		return false;
	}
	return fputs(text, stdout) != EOF && fflush(stdout) == 0 && !ferror(stdout);
}

bool output_finish(const char *text)
{
	if (!output_write(text))
		return false;
	/* Some file systems tell only at close() that they are full; a copy is closed so that nothing else comes to
	 * stand at descriptor 1. */
	int copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return copy >= 0 && close(copy) == 0;
}

int output_result(const char *text)
{
	if (output_finish(text))
		return CLI_OK;
	report_error("cannot write to standard output: %s", strerror(errno));
	return CLI_FAILED;
}

int output_text(const struct buf *text)
{
	if (!text->failed)
		return output_result(buf_text(text));
	report_error("out of memory: the result is too long to be printed");
	return CLI_FAILED;
}

void output_append_clean(struct buf *out, const char *text)
{
	char clean[AWSFLOCK_LOCK_MAX + 4];

	text_sanitise(text, clean, sizeof(clean));
	buf_puts(out, clean);
}

static void append_field(struct buf *out, const char *before, const char *text, const char *after)
{
	buf_puts(out, before);
	output_append_clean(out, text);
	buf_puts(out, after);
}

static void append_time(struct buf *out, const char *before, int64_t epoch_seconds, int64_t now)
{
	char text[64];

	text_local_time(epoch_seconds, now, text, sizeof(text));
	append_field(out, before, text, "");
}

static void append_duration(struct buf *out, const char *before, int64_t seconds, const char *after)
{
	char text[64];

	text_duration(seconds, text, sizeof(text));
	append_field(out, before, text, after);
}

void output_append_holder(struct buf *out, const awsflock_status *status)
{
	if (status->user[0] != '\0' && status->host[0] != '\0') {
		output_append_clean(out, status->user);
		append_field(out, "@", status->host, "");
		if (status->owner[0] != '\0' && strcmp(status->owner, status->host) != 0)
			append_field(out, " (owner ", status->owner, ")");
	} else if (status->owner[0] != '\0') {
		output_append_clean(out, status->owner);
	} else {
		buf_puts(out, "someone unnamed");
	}
}

static void append_since(struct buf *out, const awsflock_status *status, int64_t now)
{
	if (status->acquired_time == 0) {
		buf_puts(out, "since an unknown time");
		return;
	}
	append_time(out, "since ", status->acquired_time, now);
}

static void append_end(struct buf *out, const awsflock_status *status, int64_t now)
{
	int64_t end = lease_end_time(status, now);

	if (end >= now) {
		append_time(out, "lease ends at ", end, now);
		append_duration(out, " (in ", end - now, ")");
	} else {
		append_time(out, "lease ended at ", end, now);
		append_duration(out, " (", now - end, " ago: soon to be taken over)");
	}
}

static void append_broken(struct buf *out, const awsflock_status *status, int64_t now)
{
	append_field(out, "broken by ", status->broken_by, "");
	if (status->broken_time != 0)
		append_time(out, " at ", status->broken_time, now);
	if (status->held)
		buf_puts(out, ": free when the lease ends");
}

void output_append_status_line(struct buf *out, const awsflock_status *status, int64_t now)
{
	output_append_clean(out, status->lock);
	if (!status->held) {
		buf_puts(out, " is free");
	} else {
		buf_puts(out, " is held by ");
		output_append_holder(out, status);
		buf_puts(out, ", ");
		append_since(out, status, now);
		if (status->purpose[0] != '\0')
			append_field(out, ", purpose: ", status->purpose, "");
		buf_puts(out, ", ");
		append_end(out, status, now);
		if (status->fence != 0)
			buf_printf(out, ", fence %llu", (unsigned long long)status->fence);
		append_field(out, ", lease ", status->lease_id, "");
	}
	if (status->broken_by[0] != '\0') {
		buf_puts(out, ", ");
		append_broken(out, status, now);
	}
}

static void append_row(struct buf *out, const char *name, const char *text)
{
	if (text[0] != '\0')
		append_field(out, name, text, "\n");
}

static void append_origin_rows(struct buf *out, const awsflock_status *status)
{
	append_row(out, "  purpose   ", status->purpose);
	append_row(out, "  service   ", status->service);
	append_row(out, "  from      ", status->rhost);
	append_row(out, "  terminal  ", status->tty);
	if (status->pid != 0)
		buf_printf(out, "  process   %lld\n", (long long)status->pid);
}

void output_append_status_block(struct buf *out, const awsflock_status *status, int64_t now)
{
	output_append_clean(out, status->lock);
	if (!status->held) {
		buf_puts(out, " is free\n");
	} else {
		buf_puts(out, " is held by ");
		output_append_holder(out, status);
		buf_puts(out, "\n  since     ");
		if (status->acquired_time != 0) {
			append_time(out, "", status->acquired_time, now);
			append_duration(out, " (", now > status->acquired_time ? now - status->acquired_time : 0,
					" ago)\n");
		} else {
			buf_puts(out, "an unknown time\n");
		}
		append_origin_rows(out, status);
		buf_puts(out, "  ");
		append_end(out, status, now);
		if (status->fence != 0)
			buf_printf(out, "\n  fence     %llu", (unsigned long long)status->fence);
		append_field(out, "\n  lease id  ", status->lease_id, "\n");
	}
	if (status->broken_by[0] != '\0') {
		buf_puts(out, "  ");
		append_broken(out, status, now);
		buf_puts(out, "\n");
	}
}
