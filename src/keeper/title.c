/* See title.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/title.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/text.h"

/* The text that ps shows.  The kernel reads it where PR_SET_MM says. */
static char text[160];
static char *arguments;
static size_t arguments_size;

void title_init(int argc, char **argv)
{
	if (argc <= 0)
		return;
	/* They lie one behind the other, see proc(5), cmdline. */
	arguments = argv[0];
	arguments_size = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]);
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
	if (point_kernel_at_text(size + 1) || arguments_size == 0)
		return;
	/* Without the power to say so (a container): as much as there is room for. */
	memset(arguments, 0, arguments_size);
	memcpy(arguments, text, size < arguments_size ? size : arguments_size - 1);
}
