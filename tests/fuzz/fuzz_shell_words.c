/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a command line: it is refused in a sentence, or has words. */
#include "base/shell_words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), **words = NULL;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;
	size_t total = 0;

	if (text == NULL)
		return 0;
	code = shell_words_split(text, &words, &error);
	if (code == AWSFLOCK_OK && words[0] == NULL)
		abort();
	if (code != AWSFLOCK_OK && (code != AWSFLOCK_INVALID || error.message[0] == '\0'))
		abort();
	for (size_t i = 0; words != NULL && words[i] != NULL; i++)
		total += strlen(words[i]);
	if (total > strlen(text))
		abort(); /* nothing is expanded */
	shell_words_free(&words);
	free(text);
	return 0;
}
