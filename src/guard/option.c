/* See option.h.  SPDX-License-Identifier: Apache-2.0 */
#include "guard/option.h"

#include <string.h>

static size_t length_of_name(const char *word)
{
	return strcspn(word, "=");
}

const struct option *option_find(const struct option *options, size_t count, const char *word)
{
	size_t length = length_of_name(word);
	for (size_t i = 0; i < count; i++)
		if (strlen(options[i].name) == length && memcmp(options[i].name, word, length) == 0)
			return &options[i];
	return NULL;
}

static const char *set_flag(bool *flag, const char *value)
{
	if (value)
		return "takes no value";
	*flag = true;
	return NULL;
}

static const char *set_text(const char **text, const char *value, enum option_kind kind)
{
	if (!value || value[0] == '\0')
		return "needs a value";
	if (*text)
		return "stands twice";
	if (kind == OPTION_PATH && value[0] != '/')
		return "needs a path that starts with /";
	*text = value;
	return NULL;
}

const char *option_set(const struct option *option, void *target, const char *word)
{
	size_t length = length_of_name(word);
	const char *value = word[length] == '=' ? word + length + 1 : NULL;
	void *field = (char *)target + option->offset;
	return option->kind == OPTION_FLAG ? set_flag(field, value) : set_text(field, value, option->kind);
}
