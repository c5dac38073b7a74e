/* SPDX-License-Identifier: Apache-2.0
 *
 * Any lines as the arguments of pam_awsflock.so in a PAM file. */
#include "guard/module_options.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(int count, const char **arguments)
{
	struct module_options options = { .guard = NULL };
	char reason[80] = "";

	if (module_options_read(count, arguments, &options, reason, sizeof(reason))) {
		if (options.guard == NULL || options.guard[0] == '\0')
			abort();
	} else if (reason[0] == '\0' || memchr(reason, '\0', sizeof(reason)) == NULL) {
		abort(); /* no reason, or one without an end */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text;
	const char *arguments[ARGUMENTS_MAX];
	int count = 0;

	while (rest != NULL && count < ARGUMENTS_MAX)
		arguments[count++] = strsep(&rest, "\n");
	judge(count, arguments);
	free(text);
	return 0;
}
