/* Closing what a process has inherited.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdbool.h>

/* Closes all descriptors from FIRST on.  For a process that was just forked: nobody else may open any meanwhile.  It
 * takes no lock of the C library's, which may have been forked locked.  False where neither the kernel nor /proc tells
 * which there are. */
bool descriptors_close_from(int first);
/* The same, once another program is executed. */
bool descriptors_close_on_exec_from(int first);

#endif
