/* See write_all.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/write_all.h"

#include <errno.h>
#include <unistd.h>

int write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written == 0 ? EIO : errno;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}
