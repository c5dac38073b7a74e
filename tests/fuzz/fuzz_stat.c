/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as the line of /proc/PID/stat: a process chooses a part of it, its name. */
#include "proc/stat.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct stat_line line;

	if (text != NULL && stat_line_parse(text, &line) &&
	    (line.parent < 0 || memchr(line.name, '\0', sizeof(line.name)) == NULL))
		abort();
	free(text);
	return 0;
}
