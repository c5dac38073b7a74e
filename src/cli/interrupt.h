/* Ctrl-C and its like, as a descriptor that the library can watch.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* Catches SIGINT, SIGTERM and SIGHUP (those that were not ignored already) and ignores SIGPIPE.  False, with the
 * reason said, where the system has no pipe to give. */
bool interrupt_catch(void);
/* Readable once one of them came; stays so.  -1 before interrupt_catch(). */
int interrupt_fd(void);
/* The first of them that came, or 0. */
int interrupt_signal(void);
/* False as soon as one of them came. */
bool interrupt_sleep_ms(int64_t milliseconds);

#endif
