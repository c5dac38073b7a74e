/* See title.h.  SPDX-License-Identifier: Apache-2.0 */
#include "keeper/title.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

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

void title_set(const char *title)
{
	char text[160];
	size_t size;

	text_sanitise(title, text, sizeof(text));
	size = strlen(text);
	if (room_size == 0)
		return;
	/* As much as there is room for: to have the kernel look elsewhere takes CAP_SYS_RESOURCE, which no part keeps. */
	memset(arguments, 0, size < arguments_size ? arguments_size : room_size);
	memcpy(arguments, text, size < room_size ? size : room_size - 1);
}
