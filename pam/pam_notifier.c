/* See pam_notifier.h.  SPDX-License-Identifier: Apache-2.0 */
#include "pam_notifier.h"

#include <security/pam_ext.h>
#include <stddef.h>

static void show(void *host, bool is_refusal, const char *line)
{
	pam_prompt(host, is_refusal ? PAM_ERROR_MSG : PAM_TEXT_INFO, NULL, "%s", line);
}

static void write_log(void *host, int priority, const char *line)
{
	pam_syslog(host, priority, "%s", line);
}

const struct notifier_ops pam_notifier_ops = { .show = show, .log = write_log };
