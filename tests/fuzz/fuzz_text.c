/* Any text on its way to a terminal: what comes out is UTF-8, fits, and steers nothing.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t room)
{
	char *out = malloc(room);
	size_t length;

	if (out == NULL)
		return;
	text_sanitise(text, out, room);
	length = strlen(out);
	if (length >= room || !text_is_utf8(out, length))
		abort();
	for (size_t i = 0; i < length;) {
		uint32_t code;
		i += text_decode(out + i, length - i, &code);
		if (text_is_control(code) || (code >= 0x202A && code <= 0x202E) ||
		    (code >= 0x2066 && code <= 0x2069))
			abort();
	}
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);

	if (text == NULL)
		return 0;
	for (size_t room = 1; room < 12; room++)
		check(text, room);
	check(text, size + 1);
	check(text, size + 100);
	free(text);
	return 0;
}
