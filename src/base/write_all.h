/* Writing all of it.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_WRITE_ALL_H
#define BASE_WRITE_ALL_H

#include <stddef.h>

/* Goes on where write(2) takes a part, or is interrupted.  Returns 0 or an errno. */
int write_all(int fd, const char *bytes, size_t size);

#endif
