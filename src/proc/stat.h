/* The line of /proc/PID/stat, see proc(5).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROC_STAT_H
#define PROC_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stat_line {
	char name[16]; /* cut, and as the process chose it: sanitise it before anybody sees it */
	pid_t parent;
	pid_t group;
	unsigned terminal;    /* device number of the controlling terminal; 0: none */
	uint64_t start_ticks; /* since boot, in clock ticks: as CLOCK_BOOTTIME counts */
	uint64_t environment; /* where it stands in memory, another place after each exec(); 0: not told */
	bool ended;           /* only waits for its parent */
};

/* False where LINE (a string) is no such line; *OUT is as it was then. */
bool stat_line_parse(const char *line, struct stat_line *out);

#endif
