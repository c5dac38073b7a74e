/* Cutting a command line into words.  SPDX-License-Identifier: Apache-2.0 */
#include "base/shell_words.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

static const char white_space[] = " \t\r\n";

struct words {
	char **list; /* ends in NULL */
	size_t count;
};

static bool add_word(struct words *words, struct buf *word)
{
	char **longer = realloc(words->list, (words->count + 2) * sizeof(*longer));
	char *text = buf_steal(word);

	if (!longer) {
		wipe_string(&text);
		return false;
	}
	words->list = longer;
	longer[words->count] = text;
	if (!text) /* no memory for it: the list ends here */
		return false;
	longer[++words->count] = NULL;
	return true;
}

/* From the opening quotation mark to behind the closing one; NULL where that is missing. */
static const char *take_quoted(const char *text, struct buf *word)
{
	char mark = *text++;

	for (; *text != mark; text++) {
		if (mark == '"' && text[0] == '\\' && (text[1] == '"' || text[1] == '\\'))
			text++;
		if (*text == '\0')
			return NULL;
		buf_append(word, text, 1);
	}
	return text + 1;
}

/* One word; returns what follows it, NULL where it is none. */
static const char *take_word(const char *text, struct buf *word)
{
	while (text && *text != '\0' && !strchr(white_space, *text)) {
		if (*text == '\'' || *text == '"') {
			text = take_quoted(text, word);
			continue;
		}
		if (*text == '\\' && *++text == '\0')
			return NULL;
		buf_append(word, text++, 1);
	}
	return text;
}

awsflock_code shell_words_split(const char *text, char ***out, awsflock_error *error)
{
	struct words words = { NULL, 0 };
	awsflock_code code = AWSFLOCK_OK;

	while (code == AWSFLOCK_OK && *(text += strspn(text, white_space)) != '\0') {
		struct buf word = BUF_INIT;
		const char *rest = take_word(text, &word);

		if (!rest)
			code = error_set(error, AWSFLOCK_INVALID,
					 "a quotation is not ended, or it ends in a backslash");
		else if (!add_word(&words, &word))
			code = error_out_of_memory(error);
		else
			text = rest;
		buf_free(&word);
	}
	if (code == AWSFLOCK_OK && words.count == 0)
		code = error_set(error, AWSFLOCK_INVALID, "it is empty");
	if (code != AWSFLOCK_OK) {
		shell_words_free(&words.list);
		return code;
	}
	*out = words.list;
	return AWSFLOCK_OK;
}

void shell_words_free(char ***words)
{
	if (!words)
		return;
	for (char **word = *words; word && *word; word++)
		wipe_string(word);
	free(*words);
	*words = NULL;
}
