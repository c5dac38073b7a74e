/* See title.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/title.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/text.h"

/* The text that ps shows.  The kernel reads it where PR_SET_MM says. */
static char text[160];
static char *arguments;
static size_t arguments_size, room_size; /* with the environment behind them */

static void keep_environment(void)
{
	const char *path = getenv("PATH");
	char *copy = strdup(path ? path : "");

	if (clearenv() == 0 && copy && *copy)
		setenv("PATH", copy, 1);
	free(copy);
}

void title_init(int argc, char **argv)
{
	const char *end;

	if (argc <= 0)
		return;
	/* They lie one behind the other, and the environment behind them; the kernel reads on there where the
	 * arguments' last zero was overwritten, see proc(5), cmdline. */
	end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
	arguments = argv[0];
	arguments_size = (size_t)(end - argv[0]);
	for (char **entry = environ; *entry; entry++)
		if (*entry == end)
			end += strlen(*entry) + 1;
	room_size = (size_t)(end - argv[0]);
	keep_environment();
}

static bool point_kernel_at_text(size_t size)
{
	unsigned long start = (unsigned long)text, end = start + size;

	/* At every moment the start must be below the end: the arguments lie above everything else at first. */
	return (prctl(PR_SET_MM, PR_SET_MM_ARG_START, start, 0, 0) == 0 &&
		prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0) == 0);
}

void title_set(const char *title)
{
	size_t size;

	text_sanitise(title, text, sizeof(text));
	size = strlen(text);
	if (point_kernel_at_text(size + 1) || room_size == 0)
		return;
	/* Without the power to say so (a container): as much as there is room for. */
	memset(arguments, 0, size < arguments_size ? arguments_size : room_size);
	memcpy(arguments, text, size < room_size ? size : room_size - 1);
}
