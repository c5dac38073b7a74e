/* See terminals.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/terminals.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/text.h"

/* The kernel's numbers, see its Documentation/admin-guide/devices.txt. */
#define MAJOR_CONSOLE 4
#define MAJOR_PTY_FIRST 136
#define MAJOR_PTY_LAST 143
#define PTYS_PER_MAJOR 256
#define MINOR_SERIAL_FIRST 64

static bool is_told(const struct terminals *terminals, dev_t device)
{
	for (size_t i = 0; i < terminals->told_count; i++)
		if (terminals->told[i] == device)
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

/* WANTED: the device that PID is on, which must be its user's: in a devpts of its own a process is on one with the number
 * of another person's.  0: any. */
static bool is_wanted(const struct stat *status, dev_t wanted, pid_t pid)
{
	return !wanted || (status->st_rdev == wanted && status->st_uid == process_real_user(pid));
}

static void write_terminal(struct terminals *terminals, const char *path, dev_t wanted, pid_t pid)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return;
	if (fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && isatty(fd) && is_wanted(&status, wanted, pid) &&
	    !is_told(terminals, status.st_rdev) && terminals->told_count < TERMINALS_MAX) {
		terminals->told[terminals->told_count++] = status.st_rdev;
		if (write(fd, terminals->text, strlen(terminals->text)) < 0) {
			/* Nobody reads there. */
		}
	}
	close(fd);
}

void terminals_init(struct terminals *terminals, const char *line)
{
	char safe[AWSFLOCK_ERROR_MESSAGE_SIZE];

	terminals->told_count = 0;
	text_sanitise(line, safe, sizeof(safe));
	snprintf(terminals->text, sizeof(terminals->text), "\r\n*** %s\r\n", safe);
}

void terminals_tell(struct terminals *terminals, const struct process *process)
{
	unsigned terminal = process->terminal;
	dev_t device = makedev((terminal >> 8) & 0xFFF, (terminal & 0xFF) | ((terminal >> 12) & 0xFFF00));
	char path[64];

	if (terminal && !is_told(terminals, device) && name_of(terminal, path, sizeof(path)))
		write_terminal(terminals, path, device, process->pid);
}

/* Under sshd the name is "ssh", which is none. */
void terminals_tell_tty(struct terminals *terminals, const char *tty)
{
	if (strncmp(tty, "/dev/", strlen("/dev/")) == 0 && !strstr(tty, ".."))
		write_terminal(terminals, tty, 0, 0);
}
