/* The arguments of the line of pam_awsflock.so in a PAM file, as the module reads them and guard-check judges them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "guard/module_options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "guard/option.h"

static const struct option known[] = {
	{ "guard", OPTION_TEXT, offsetof(struct module_options, guard) },
	{ "conf", OPTION_PATH, offsetof(struct module_options, conf) },
	{ "break_glass_group", OPTION_TEXT, offsetof(struct module_options, break_glass_group) },
	{ "debug", OPTION_FLAG, offsetof(struct module_options, debug) },
	{ "quiet", OPTION_FLAG, offsetof(struct module_options, quiet) },
};

/* NULL, or what is wrong. */
static const char *read_argument(struct module_options *options, const char *argument)
{
	const struct option *option = option_find(known, sizeof(known) / sizeof(known[0]), argument);
	return option ? option_set(option, options, argument) : "is unknown";
}

bool module_options_read(int argc, const char **argv, struct module_options *options, char *reason, size_t size)
{
	memset(options, 0, sizeof(*options));
	for (int i = 0; i < argc; i++) {
		const char *wrong = read_argument(options, argv[i]);
		if (!wrong)
			continue;
		snprintf(reason, size, "the argument '%.100s' %s: see pam_awsflock(8)", argv[i], wrong);
		return false;
	}
	if (options->guard)
		return true;
	snprintf(reason, size, "the argument guard=NAME is missing: see pam_awsflock(8)");
	return false;
}
