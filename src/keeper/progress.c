/* See progress.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/progress.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010 /* Linux 5.1 */
#endif
#define SEALS (F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

static void *map(int fd, int protection)
{
	void *memory = mmap(NULL, sizeof(struct progress), protection, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

struct progress *progress_new(int *fd)
{
	struct progress *progress = NULL;
	int made = memfd_create("awsflock-progress", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (made < 0)
		return NULL;
	if (ftruncate(made, sizeof(*progress)) == 0)
		progress = map(made, PROT_READ | PROT_WRITE);
	/* What is mapped already stays writable. */
	if (!progress || fcntl(made, F_ADD_SEALS, SEALS) != 0) {
		progress_free(progress);
		close(made);
		return NULL;
	}
	*fd = made;
	return progress;
}

void progress_free(struct progress *progress)
{
	if (progress)
		munmap(progress, sizeof(*progress));
}

const struct progress *progress_open(int fd)
{
	struct stat status;

	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != sizeof(struct progress))
		return NULL;
	return map(fd, PROT_READ);
}

void progress_step(struct progress *progress)
{
	if (progress)
		progress->steps++;
}
