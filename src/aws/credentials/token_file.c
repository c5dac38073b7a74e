/* Reading a token from its file.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

#define TOKEN_SIZE_MAX ((size_t)64 * 1024)

static const char white_space[] = " \t\r\n";

static awsflock_code read_all(int fd, const char *path, const char *what, struct buf *raw, awsflock_error *error)
{
	char bytes[4096];
	awsflock_code code = AWSFLOCK_OK;
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) != 0 && !raw->failed) {
		if (got > 0) {
			buf_append(raw, bytes, (size_t)got);
		} else if (errno != EINTR) {
			code = error_set_errno(error, AWSFLOCK_CREDENTIALS, errno, "cannot read %s from %s", what,
					       path);
			break;
		}
	}
	wipe(bytes, sizeof(bytes));
	if (code == AWSFLOCK_OK && raw->failed)
		code = raw->over_limit ? error_set(error, AWSFLOCK_CREDENTIALS,
						   "%s in %s is longer than a token can be", what, path)
				       : error_out_of_memory(error);
	return code;
}

static awsflock_code trim(const struct buf *raw, const char *path, const char *what, struct buf *out,
			  awsflock_error *error)
{
	const char *text = buf_text(raw);
	size_t skipped = strspn(text, white_space), size = raw->size - skipped;

	while (size > 0 && strchr(white_space, text[skipped + size - 1]))
		size--;
	if (size == 0)
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s in %s is empty", what, path);
	if (memchr(text + skipped, '\0', size))
		return error_set(error, AWSFLOCK_CREDENTIALS, "%s in %s is not text", what, path);
	return buf_append(out, text + skipped, size) ? AWSFLOCK_OK : error_out_of_memory(error);
}

awsflock_code token_file_read(const char *path, const char *what, struct buf *out, awsflock_error *error)
{
	struct buf raw = { .limit = TOKEN_SIZE_MAX };
	struct stat status;
	awsflock_code code;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(error, AWSFLOCK_CREDENTIALS, errno, "cannot read %s from %s", what, path);
	if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
		code = error_set(error, AWSFLOCK_CREDENTIALS, "cannot read %s from %s: it is not a file", what,
				 path);
	else
		code = read_all(fd, path, what, &raw, error);
	close(fd);
	if (code == AWSFLOCK_OK)
		code = trim(&raw, path, what, out, error);
	buf_free(&raw);
	return code;
}
