/* Closing what a process has inherited.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

/* Closes all descriptors from FIRST on.  For a process that was just forked: nobody else may open any meanwhile. */
void descriptors_close_from(int first);

#endif
