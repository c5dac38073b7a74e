/* Any text as a duration.  SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	int64_t seconds = -1, milliseconds = -1;
	awsflock_error error;
	bool read, read_ms;

	if (text == NULL)
		return 0;
	read = duration_parse(text, &seconds, &error) == AWSFLOCK_OK;
	read_ms = duration_parse_ms(text, &milliseconds, &error) == AWSFLOCK_OK;
	if (read && (seconds < 1 || seconds > DURATION_MAX_SECONDS || !read_ms || milliseconds != seconds * 1000))
		abort();
	if (read_ms && (milliseconds < 0 || milliseconds > DURATION_MAX_SECONDS * 1000))
		abort();
	free(text);
	return 0;
}
