/* Whether processes can be held by descriptors here, which never come to mean another process.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PIDFD_H
#define BASE_PIDFD_H

/* NULL where pidfd_open(2) and pidfd_send_signal(2) work; else a sentence that says what they need. */
const char *pidfd_fault(void);

#endif
