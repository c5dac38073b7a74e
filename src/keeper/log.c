/* See log.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

#include "awsflock.h"
#include "base/text.h"

/* The keeper is a program of its own, one session to a process: what is the same in every line is here. */
static char session_id[40];
static bool logs_debug;

void log_open(const char *session)
{
	text_sanitise(session, session_id, sizeof(session_id));
	openlog("awsflock-keeper", LOG_PID, LOG_AUTHPRIV);
}

void log_set_debug(bool debug)
{
	logs_debug = debug;
}

void log_line(int priority, const char *format, ...)
{
	char raw[2 * AWSFLOCK_ERROR_MESSAGE_SIZE], line[sizeof(raw)];
	va_list arguments;
	int length;

	if (priority == LOG_DEBUG && !logs_debug)
		return;
	va_start(arguments, format);
	length = vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	text_sanitise(raw, line, sizeof(line));
	syslog(LOG_AUTHPRIV | priority, "session %s: %s", *session_id ? session_id : "-", line);
}
