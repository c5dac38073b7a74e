/* /dev/null, which stands for an empty file.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_NULL_DEVICE_H
#define BASE_NULL_DEVICE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static inline bool is_null_device(const struct stat *status)
{
	return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

#endif
