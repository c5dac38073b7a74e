/* See notify.h.  SPDX-License-Identifier: Apache-2.0 */
#include "door/notify.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_SIZE 1024

/* The keeper has sanitised its sentences; a control character, C1's included, gets past neither of the two. */
static void make_printable(char *text)
{
	unsigned char before = 0;
	for (unsigned char *c = (unsigned char *)text; *c != '\0'; before = *c++) {
		if (*c < 0x20 || *c == 0x7F)
			*c = '?';
		else if (before == 0xC2 && *c < 0xA0)
			c[-1] = c[0] = '?';
	}
}

static void show(const struct notifier *notifier, bool is_refusal, const char *sentence)
{
	char line[LINE_SIZE];
	snprintf(line, sizeof(line), "%s", sentence);
	make_printable(line);
	notifier->ops->show(notifier->host, is_refusal, line);
}

void notify_notice(const struct notifier *notifier, const char *sentence)
{
	if (notifier->notices)
		show(notifier, false, sentence);
}

/* The process's own terminal, which cannot be another's.  Not from the background: the terminal might stop the host
 * for it. */
static bool write_to_terminal(const char *sentence)
{
	char line[LINE_SIZE];
	size_t size;
	int fd = open("/dev/tty", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	snprintf(line, sizeof(line), "%s", sentence);
	make_printable(line);
	size = strlen(line);
	line[size++] = '\n'; /* in the place of the terminating zero */
	bool written = tcgetpgrp(fd) == getpgrp() && write(fd, line, size) > 0;
	close(fd);
	return written;
}

void notify_at_terminal(const struct notifier *notifier, const char *sentence)
{
	if (!notifier->at_terminal || !write_to_terminal(sentence))
		notify_notice(notifier, sentence);
}

void notify_refusal(const struct notifier *notifier, const char *sentence)
{
	if (notifier->refusals)
		show(notifier, true, sentence);
}

void notify_log(const struct notifier *notifier, int priority, const char *format, ...)
{
	char line[LINE_SIZE];
	if (priority == LOG_DEBUG && !notifier->debug)
		return;
	va_list values;
	va_start(values, format);
	vsnprintf(line, sizeof(line), format, values);
	va_end(values);
	make_printable(line);
	notifier->ops->log(notifier->host, priority, line);
}
