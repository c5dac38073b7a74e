/* The lines of sudo's plugin in sudo.conf(5).  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_SUDO_CONF_H
#define CLI_GUARD_CHECK_SUDO_CONF_H

#include <stdbool.h>

#include "awsflock.h"
#include "base/buf.h"

#define SUDO_CONF "/etc/sudo.conf"
#define SUDO_CONF_WORDS_MAX 512

/* What stands there of one of the two plugins. */
struct sudo_conf_plugin {
	int line;                             /* 0: nothing */
	struct buf entry;                     /* the line, cut into pieces */
	char *path;                           /* as written; in the entry */
	char *words[SUDO_CONF_WORDS_MAX + 1]; /* the rest, ends in NULL */
};

struct sudo_conf {
	struct sudo_conf_plugin approval, audit;
};

/* Reads the first line of each.  AWSFLOCK_CONFIG where the file cannot be read (but not where it is missing) or a line
 * has too many words, AWSFLOCK_MEMORY.  sudo_conf_free() follows in any case. */
awsflock_code sudo_conf_read(struct sudo_conf *conf, awsflock_error *error);
void sudo_conf_free(struct sudo_conf *conf);

#endif
