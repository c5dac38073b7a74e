/* See log.h.  SPDX-License-Identifier: Apache-2.0
 *
 * Not syslog(3): that waits for as long as the system's log does not read (seen: a guardian that slept in it past
 * the lease's end).  A line that finds no room is lost, and the next one says so. */
#include "guard/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/clock.h"
#include "base/text.h"

#define LOG_SOCKET "/dev/log"

/* The keeper is a program of its own, one session to a process: what is the same in every line is here. */
static char session_id[40];
static bool logs_debug;
static unsigned lost_count;

void log_open(const char *session)
{
	text_sanitise(session, session_id, sizeof(session_id));
}

void log_set_debug(bool debug)
{
	logs_debug = debug;
}

static bool send_line(const char *line)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = LOG_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool sent;

	if (fd < 0)
		return false;
	sent = sendto(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
		      sizeof(address)) >= 0;
	close(fd);
	return sent;
}

/* As RFC 3164 has it, and syslog(3): the month's name is English, whatever the language. */
static void format_line(int priority, const char *text, char *line, size_t size)
{
	time_t now = (time_t)clock_real_seconds();
	struct tm parts;
	char when[32] = "", lost[48] = "";

	if (localtime_r(&now, &parts))
		strftime(when, sizeof(when), "%b %e %H:%M:%S ", &parts);
	if (lost_count > 0)
		snprintf(lost, sizeof(lost), " (%u lines before this one were lost)", lost_count);
	snprintf(line, size, "<%d>%sawsflock-keeper[%d]: session %s: %s%s", LOG_AUTHPRIV | priority, when,
		 (int)getpid(), *session_id ? session_id : "-", text, lost);
}

void log_line(int priority, const char *format, ...)
{
	char raw[2 * AWSFLOCK_ERROR_MESSAGE_SIZE], text[sizeof(raw)], line[sizeof(raw) + 256];
	va_list arguments;
	int length;

	if (priority == LOG_DEBUG && !logs_debug)
		return;
	va_start(arguments, format);
	length = vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	text_sanitise(raw, text, sizeof(text));
	format_line(priority, text, line, sizeof(line));
	if (send_line(line))
		lost_count = 0;
	else
		lost_count++;
}
