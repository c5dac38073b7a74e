/* The local store's time.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/runtime.h"
#include "base/text.h"

#define SECONDS_MAX INT64_C(1000000000) /* 30 years: nanoseconds stay far from overflow */

/* Reads at most SIZE - 1 bytes of a file of /proc.  0, or the errno of what failed. */
static int read_proc(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;
	int failed;

	out[0] = '\0';
	if (fd < 0)
		return errno;
	got = read(fd, out, size - 1);
	failed = got < 0 ? errno : 0;
	out[got < 0 ? 0 : got] = '\0';
	close(fd);
	return failed;
}

awsflock_code local_clock_boot_id(char boot_id[LOCAL_BOOT_ID_SIZE], awsflock_error *error)
{
	int failed = read_proc("/proc/sys/kernel/random/boot_id", boot_id, LOCAL_BOOT_ID_SIZE);

	boot_id[strcspn(boot_id, " \t\r\n")] = '\0';
	if (failed == 0 && boot_id[0] != '\0' && text_is_utf8(boot_id, strlen(boot_id)))
		return AWSFLOCK_OK;
	return error_set_errno(error, AWSFLOCK_STORAGE, failed != 0 ? failed : EINVAL,
			       "cannot read /proc/sys/kernel/random/boot_id, which the local store needs");
}

/* Cuts the next word off *TEXT; "" at the end of the line. */
static const char *next_word(char **text)
{
	char *word = *text + strspn(*text, " \t");

	*text = word + strcspn(word, " \t");
	if (**text != '\0')
		*(*text)++ = '\0';
	return word;
}

/* Of the line "boottime SECONDS NANOSECONDS".  False where it is something else. */
static bool parse_offset(char *line, int64_t *offset_ns)
{
	int64_t seconds, nanoseconds;

	next_word(&line);
	if (!text_parse_int64(next_word(&line), -SECONDS_MAX, SECONDS_MAX, &seconds) ||
	    !text_parse_int64(next_word(&line), 0, NS_PER_S - 1, &nanoseconds) || *next_word(&line) != '\0')
		return false;
	*offset_ns = seconds * NS_PER_S + nanoseconds;
	return true;
}

awsflock_code local_clock_offset(int64_t *offset_ns, awsflock_error *error)
{
	char text[512];
	int failed = read_proc("/proc/self/timens_offsets", text, sizeof(text));
	int64_t namespace_ns = 0;
	bool found = false;

	*offset_ns = 0;
	if (failed == ENOENT) /* before Linux 5.6, or built without */
		return AWSFLOCK_OK;
	for (char *line = text, *next; failed == 0 && *line != '\0' && !found; line = next) {
		next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';
		found = strncmp(line, "boottime", 8) == 0;
		if (found && !parse_offset(line, &namespace_ns))
			failed = EINVAL;
	}
	if (failed != 0 || !found)
		return error_set_errno(error, AWSFLOCK_STORAGE, failed != 0 ? failed : EINVAL,
				       "cannot read /proc/self/timens_offsets, which the local store needs");
	*offset_ns = -namespace_ns;
	return AWSFLOCK_OK;
}
