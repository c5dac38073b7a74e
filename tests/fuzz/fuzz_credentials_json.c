/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as credentials in JSON, as programs, containers and instances hand them out: what is taken can stand in a
 * request, and what is refused is told in a sentence without the bytes of control. */
#include "aws/credentials/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_as(const struct buf *text, const struct credentials_json_form *form)
{
	struct credentials credentials = { .source = NULL };
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code = credentials_from_json(text, form, "the giver", &credentials, &error);

	if (code == AWSFLOCK_OK) {
		if (credentials.access_key_id == NULL || credentials.secret_access_key == NULL)
			abort();
		if (form->is_temporary && credentials.session_token == NULL)
			abort();
		credentials_clear(&credentials);
	} else if (code != AWSFLOCK_CREDENTIALS || error.message[0] == '\0') {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct credentials_json_form forms[] = {
		{ .token_name = "SessionToken", .has_version = true },
		{ .token_name = "Token", .is_temporary = true },
		{ .token_name = "Token", .is_temporary = true, .has_code = true },
	};
	struct buf text = BUF_INIT;
	char refusal[64];

	buf_append(&text, data, size);
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		read_as(&text, &forms[i]);
	credentials_json_refusal(&text, refusal, sizeof(refusal));
	for (size_t i = 0; refusal[i] != '\0'; i++)
		if ((unsigned char)refusal[i] < ' ')
			abort();
	buf_free(&text);
	return 0;
}
