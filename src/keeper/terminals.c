/* See terminals.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/terminals.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "awsflock.h"
#include "base/text.h"

/* A session with more terminals than this has been told often enough. */
#define TERMINALS_MAX 64

/* The kernel's numbers, see its Documentation/admin-guide/devices.txt. */
#define MAJOR_CONSOLE 4
#define MAJOR_PTY_FIRST 136
#define MAJOR_PTY_LAST 143
#define PTYS_PER_MAJOR 256
#define MINOR_SERIAL_FIRST 64

struct told {
	dev_t devices[TERMINALS_MAX];
	size_t count;
};

static bool is_told(const struct told *told, dev_t device)
{
	for (size_t i = 0; i < told->count; i++)
		if (told->devices[i] == device)
			return true;
	return false;
}

/* proc(5): the minor number is in bits 31 to 20 and 7 to 0, the major in 15 to 8. */
static bool name_of(unsigned terminal, char *path, size_t size)
{
	unsigned in_major = (terminal >> 8) & 0xFFF, in_minor = (terminal & 0xFF) | ((terminal >> 12) & 0xFFF00);

	if (in_major >= MAJOR_PTY_FIRST && in_major <= MAJOR_PTY_LAST)
		snprintf(path, size, "/dev/pts/%u", (in_major - MAJOR_PTY_FIRST) * PTYS_PER_MAJOR + in_minor);
	else if (in_major == MAJOR_CONSOLE && in_minor < MINOR_SERIAL_FIRST)
		snprintf(path, size, "/dev/tty%u", in_minor);
	else if (in_major == MAJOR_CONSOLE)
		snprintf(path, size, "/dev/ttyS%u", in_minor - MINOR_SERIAL_FIRST);
	else
		return false;
	return true;
}

/* WANTED: the device that it must be; 0: any that was not told before. */
static bool write_terminal(const char *path, dev_t wanted, const char *line, struct told *told)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	bool written = false;

	if (fd < 0)
		return false;
	if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && isatty(fd) &&
	    (!wanted || status.st_rdev == wanted) && !is_told(told, status.st_rdev) &&
	    told->count < TERMINALS_MAX) {
		told->devices[told->count++] = status.st_rdev;
		written = write(fd, line, strlen(line)) > 0;
	}
	close(fd);
	return written;
}

size_t terminals_write(const struct watch *watch, const char *tty, const char *line)
{
	const struct process *members = watch_members(watch);
	char safe[AWSFLOCK_ERROR_MESSAGE_SIZE], text[sizeof(safe) + 16], path[64];
	struct told told = { .count = 0 };
	size_t written = 0;

	text_sanitise(line, safe, sizeof(safe));
	snprintf(text, sizeof(text), "\r\n*** %s\r\n", safe);
	for (size_t i = 0; i < watch_count(watch); i++) {
		unsigned terminal = members[i].terminal;
		dev_t device = makedev((terminal >> 8) & 0xFFF, (terminal & 0xFF) | ((terminal >> 12) & 0xFFF00));
		if (terminal && !is_told(&told, device) && name_of(terminal, path, sizeof(path)))
			written += write_terminal(path, device, text, &told);
	}
	/* Under sshd the name is "ssh", which is none. */
	if (strncmp(tty, "/dev/", strlen("/dev/")) == 0 && !strstr(tty, ".."))
		written += write_terminal(tty, 0, text, &told);
	return written;
}
