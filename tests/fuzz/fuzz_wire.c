/* SPDX-License-Identifier: Apache-2.0
 *
 * Any packet as a message between module, guardian and renewer: it is refused, or can be read whole. */
#include "guard/wire.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 32
#define TEXT_FIRST 256
#define TEXT_LAST 320

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const struct wire_message *message)
{
	int64_t sum = wire_type(message) + wire_version(message);

	for (int key = 0; key < NUMBER_MAX; key++) {
		if (!wire_has(message, key) && wire_number(message, (enum wire_number)key) != 0)
			abort(); /* a number that is not there */
		sum ^= wire_number(message, (enum wire_number)key);
	}
	for (int key = TEXT_FIRST; key < TEXT_LAST; key++) {
		const char *text = wire_text(message, (enum wire_text)key);
		if (wire_has(message, key) != (text[0] != '\0'))
			abort(); /* an empty text, or one that is not there */
		if (strlen(text) >= WIRE_TEXT_MAX)
			abort();
	}
	(void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_message *message = calloc(1, sizeof(*message));

	if (message != NULL && size <= WIRE_SIZE_MAX) {
		memset(message->bytes, 'x', sizeof(message->bytes));
		memcpy(message->bytes, data, size);
		message->size = size;
		if (wire_is_valid(message))
			read_all(message);
	}
	free(message);
	return 0;
}
