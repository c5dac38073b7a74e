/* Checking a local store's directory.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/diagnosis.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "lock/local/clock.h"
#include "lock/local/directory.h"

static void tell_directory(const struct local_directory *directory, const struct diagnosis *diagnosis)
{
	if (directory->fd < 0)
		diagnosis_tell(diagnosis, "directory", AWSFLOCK_CHECK_OK, "",
			       "%s does not exist yet: the first lock makes it, for this user alone",
			       directory->path);
	else if (directory->shared)
		diagnosis_tell(diagnosis, "directory", AWSFLOCK_CHECK_OK, "",
			       "%s, on a file system of this machine, shared by group %lu", directory->path,
			       (unsigned long)directory->group);
	else
		diagnosis_tell(diagnosis, "directory", AWSFLOCK_CHECK_OK, "",
			       "%s, on a file system of this machine, changed by its owner alone", directory->path);
}

static bool check_directory(const char *path, const struct diagnosis *diagnosis)
{
	struct local_directory directory;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code = local_directory_open(path, false, &directory, &error);

	if (code == AWSFLOCK_OK && directory.fd >= 0 &&
	    faccessat(directory.fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		code = error_set_errno(&error, AWSFLOCK_STORAGE, errno, "cannot write to directory %s", path);
	if (code == AWSFLOCK_OK)
		tell_directory(&directory, diagnosis);
	else
		diagnosis_tell_error(diagnosis, "directory", AWSFLOCK_CHECK_FAILED, &error);
	local_directory_close(&directory);
	return code == AWSFLOCK_OK;
}

static bool check_boot(const struct diagnosis *diagnosis)
{
	char boot_id[LOCAL_BOOT_ID_SIZE];
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (local_clock_boot_id(boot_id, &error) != AWSFLOCK_OK) {
		diagnosis_tell_error(diagnosis, "boot", AWSFLOCK_CHECK_FAILED, &error);
		return false;
	}
	diagnosis_tell(diagnosis, "boot", AWSFLOCK_CHECK_OK, "", "%s: locks of earlier ones are over", boot_id);
	return true;
}

bool diagnose_local(const char *directory, const struct diagnosis *diagnosis)
{
	return check_directory(directory, diagnosis) && check_boot(diagnosis);
}
