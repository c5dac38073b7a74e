/* One line at a time to the system's log, where logins are told.  SPDX-License-Identifier: Apache-2.0 */
#ifndef GUARD_LOG_H
#define GUARD_LOG_H

#include <stdbool.h>

/* SESSION goes before each line; copied. */
void log_open(const char *session);
/* PRIORITY: of syslog(3).  The line is sanitised.  Never waits. */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Lines with LOG_DEBUG are written only where DEBUG. */
void log_set_debug(bool debug);

#endif
