/* Any lines as the words of the plugin's line in sudo.conf: the rules that are read always have one that fits.
 * SPDX-License-Identifier: Apache-2.0 */
#include "guard/sudo_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(char *const words[])
{
	static const struct sudo_command commands[] = {
		{ .path = "/bin/true", .cwd = "/root" },
		{ .path = SUDO_RULES_EDIT, .cwd = NULL, .runas_uid = 1, .runas_gid = 1 },
		{ .path = "/bin/true", .cwd = "/root", .has_own_root = true },
	};
	struct sudo_rules rules;
	char reason[80] = "";

	if (!sudo_rules_read(words, &rules, reason, sizeof(reason))) {
		if (reason[0] == '\0' || memchr(reason, '\0', sizeof(reason)) == NULL)
			abort(); /* no reason, or one without an end */
		return;
	}
	if (rules.count == 0 || rules.count > SUDO_RULES_MAX || !rules.rules[rules.count - 1].guard)
		abort();
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!sudo_rules_choose(&rules, &commands[i]))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *rest = text;
	char *words[WORDS_MAX + 1];
	size_t count = 0;

	while (rest && count < WORDS_MAX)
		words[count++] = strsep(&rest, "\n");
	words[count] = NULL;
	judge(words);
	free(text);
	return 0;
}
