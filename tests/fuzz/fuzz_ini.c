/* Any bytes as a configuration file, of both kinds.  SPDX-License-Identifier: Apache-2.0 */
#include "base/ini.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(const char *text, size_t size, enum ini_dialect dialect)
{
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct ini ini;
	awsflock_code code = ini_parse("file", text, size, dialect, &ini, &error);

	if (code != AWSFLOCK_OK) {
		if (code != AWSFLOCK_CONFIG || error.message[0] == '\0')
			abort(); /* said nothing, or the wrong thing */
		return;
	}
	for (size_t i = 0; i < ini.count; i++) {
		const struct ini_entry *entry = &ini.entries[i];
		if (entry->key == NULL ? !ini_has_section(&ini, entry->section)
				       : ini_get(&ini, entry->section, entry->key) == NULL)
			abort(); /* an entry that nobody can find */
	}
	ini_free(&ini);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse((const char *)data, size, INI_STRICT);
	parse((const char *)data, size, INI_AWS);
	return 0;
}
