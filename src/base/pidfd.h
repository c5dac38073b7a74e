/* Descriptors of processes, which never come to mean another process: this one's, and whether there are any here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PIDFD_H
#define BASE_PIDFD_H

/* Of this process, close-on-exec; -1 with errno.  The caller closes it. */
int pidfd_of_self(void);
/* NULL where pidfd_open(2) and pidfd_send_signal(2) work; else a sentence that says what they need. */
const char *pidfd_fault(void);

#endif
