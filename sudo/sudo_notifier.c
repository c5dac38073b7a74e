/* See sudo_notifier.h.  SPDX-License-Identifier: Apache-2.0 */
#include "sudo_notifier.h"

#include <stdio.h>
#include <syslog.h>

#define LINE_SIZE 1100

/* Notices too as errors: what sudo shows as information goes to standard output where there is no terminal, into
 * what others read there. */
static void show(void *host, bool is_refusal, const char *line)
{
	const struct sudo_notifier *shown_by = host;
	char text[LINE_SIZE];
	struct sudo_conv_message message = { .msg_type = SUDO_CONV_ERROR_MSG, .msg = text };
	struct sudo_conv_reply reply = { .reply = NULL };
	(void)is_refusal;
	snprintf(text, sizeof(text), "awsflock: %s\n", line);
	if (shown_by->converse)
		shown_by->converse(1, &message, &reply, NULL);
}

/* Under sudo's own name, as the module's lines are, and without a change of what sudo has opened. */
static void write_log(void *host, int priority, const char *line)
{
	(void)host;
	syslog(LOG_AUTHPRIV | priority, "awsflock_sudo: %s", line);
}

const struct notifier_ops sudo_notifier_ops = { .show = show, .log = write_log };
