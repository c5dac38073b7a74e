/* SPDX-License-Identifier: Apache-2.0
 *
 * Any text as a time, as AWS writes them: within the years of four digits, or refused. */
#include "base/timestamp.h"

#include <stdlib.h>
#include <string.h>

/* The first second of the year 0 and of the year 10000, with a day for the offset. */
#define EARLIEST (INT64_C(-62167219200) - 86400)
#define LATEST (INT64_C(253402300800) + 86400)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	int64_t seconds;

	if (text != NULL && timestamp_parse(text, &seconds) && (seconds < EARLIEST || seconds > LATEST))
		abort();
	free(text);
	return 0;
}
