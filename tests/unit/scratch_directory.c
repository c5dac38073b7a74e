/* A directory of its own for each test.  SPDX-License-Identifier: Apache-2.0 */
#include "scratch_directory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void scratch_make(struct scratch *scratch)
{
	const char *where = getenv("TMPDIR");
	char resolved[4096];

	if (where == NULL || *where == '\0')
		where = P_tmpdir;
	assert_non_null(realpath(where, resolved));
	assert_true(strlen(resolved) < sizeof(scratch->root) - 32);
	strcpy(scratch->root, resolved);
	strcat(scratch->root, "/awsflock-test-XXXXXX");
	assert_non_null(mkdtemp(scratch->root));
	assert_int_equal(chmod(scratch->root, 0711), 0);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)info;
	(void)type;
	(void)walk;
	return remove(path);
}

static int open_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void)walk;
	(void)info;
	if (type == FTW_D || type == FTW_DNR)
		(void)!chmod(path, 0700);
	return 0;
}

void scratch_remove(struct scratch *scratch)
{
	nftw(scratch->root, open_entry, 8, FTW_PHYS);
	nftw(scratch->root, remove_entry, 8, FTW_PHYS | FTW_DEPTH);
}

const char *scratch_path(const struct scratch *scratch, const char *name)
{
	static char paths[4][1024];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch->root, name);
	return path;
}

void scratch_make_directory(const struct scratch *scratch, const char *name, mode_t mode)
{
	assert_int_equal(mkdir(scratch_path(scratch, name), 0700), 0);
	assert_int_equal(chmod(scratch_path(scratch, name), mode), 0);
}

void scratch_write(const struct scratch *scratch, const char *name, const void *bytes, size_t size)
{
	int fd = open(scratch_path(scratch, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

size_t scratch_read(const struct scratch *scratch, const char *name, void *bytes, size_t size)
{
	int fd = open(scratch_path(scratch, name), O_RDONLY | O_CLOEXEC);
	ssize_t got;

	assert_true(fd >= 0);
	got = read(fd, bytes, size);
	assert_true(got >= 0);
	close(fd);
	return (size_t)got;
}

mode_t scratch_mode(const struct scratch *scratch, const char *name)
{
	struct stat info;

	return lstat(scratch_path(scratch, name), &info) == 0 ? info.st_mode & 07777 : 0;
}

size_t scratch_count_entries(const struct scratch *scratch, const char *name)
{
	DIR *stream = opendir(scratch_path(scratch, name));
	const struct dirent *entry;
	size_t count = 0;

	assert_non_null(stream);
	while ((entry = readdir(stream)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			count++;
	closedir(stream);
	return count;
}
