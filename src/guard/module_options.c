/* The arguments of the line of pam_awsflock.so in a PAM file, as the module reads them and guard-check judges them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "guard/module_options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum kind {
	TEXT,
	PATH,
	FLAG
};

static const struct option {
	const char *name;
	enum kind kind;
	size_t offset;
} known[] = {
	{ "guard", TEXT, offsetof(struct module_options, guard) },
	{ "conf", PATH, offsetof(struct module_options, conf) },
	{ "break_glass_group", TEXT, offsetof(struct module_options, break_glass_group) },
	{ "debug", FLAG, offsetof(struct module_options, debug) },
	{ "quiet", FLAG, offsetof(struct module_options, quiet) },
};

/* The option that ARGUMENT names, whose value (NULL where there is no '=') is *VALUE; NULL where it names none. */
static const struct option *find_option(const char *argument, const char **value)
{
	const char *equals = strchr(argument, '=');
	size_t length = equals ? (size_t)(equals - argument) : strlen(argument);
	*value = equals ? equals + 1 : NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strlen(known[i].name) == length && memcmp(known[i].name, argument, length) == 0)
			return &known[i];
	return NULL;
}

static const char *set_flag(bool *flag, const char *value)
{
	if (value)
		return "takes no value";
	*flag = true;
	return NULL;
}

/* NULL, or what is wrong. */
static const char *set_text(const char **text, const char *value, enum kind kind)
{
	if (!value || value[0] == '\0')
		return "needs a value";
	if (*text)
		return "stands twice";
	if (kind == PATH && value[0] != '/')
		return "needs a path that starts with /";
	*text = value;
	return NULL;
}

static const char *set_option(struct module_options *options, const char *argument)
{
	const char *value;
	const struct option *option = find_option(argument, &value);
	if (!option)
		return "is unknown";
	void *field = (char *)options + option->offset;
	return option->kind == FLAG ? set_flag(field, value) : set_text(field, value, option->kind);
}

bool module_options_read(int argc, const char **argv, struct module_options *options, char *reason, size_t size)
{
	memset(options, 0, sizeof(*options));
	for (int i = 0; i < argc; i++) {
		const char *wrong = set_option(options, argv[i]);
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
