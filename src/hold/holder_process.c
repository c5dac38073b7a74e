/* See holder_process.h.  SPDX-License-Identifier: Apache-2.0 */
#include "hold/holder_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID_SIZE 37

/* The boot and the process id namespace, since a number means one process only there; "" where they are not told. */
static void name_machine(char machine[LEASE_MACHINE_SIZE])
{
	char boot_id[BOOT_ID_SIZE] = "", namespace[LEASE_MACHINE_SIZE - BOOT_ID_SIZE - 1] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd >= 0 ? read(fd, boot_id, BOOT_ID_SIZE - 1) : -1;

	if (fd >= 0)
		close(fd);
	machine[0] = '\0';
	if (size != BOOT_ID_SIZE - 1 || readlink("/proc/self/ns/pid", namespace, sizeof(namespace) - 1) <= 0)
		return;
	snprintf(machine, LEASE_MACHINE_SIZE, "%s %s", boot_id, namespace);
}

void holder_process_set_self(struct lease_record *record)
{
	struct process self;

	record->pid = getpid();
	record->start_ticks = process_read(getpid(), &self) ? (int64_t)self.start_ticks : 0;
	name_machine(record->machine);
}

enum holder_presence holder_process_find(const struct lease_record *record, struct process *process)
{
	char machine[LEASE_MACHINE_SIZE];

	if (record->pid == 0)
		return HOLDER_NONE;
	name_machine(machine);
	if (machine[0] == '\0' || strcmp(machine, record->machine) != 0)
		return HOLDER_ELSEWHERE;
	if (process_read((pid_t)record->pid, process) && process->start_ticks == (uint64_t)record->start_ticks)
		return HOLDER_HERE;
	return HOLDER_GONE;
}
