/* See sudo_conf.h.  SPDX-License-Identifier: Apache-2.0 */
#include "cli/guard_check/sudo_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define SPACE " \t\r\n"
#define APPROVAL "awsflock_approval"
#define AUDIT "awsflock_audit"

/* ---- Lines as sudo takes them: without comments, and joined where a backslash ends them ------------------- */

/* True where the line goes on. */
static bool append_line(struct buf *whole, char *line)
{
	size_t size;
	bool goes_on;

	line[strcspn(line, "\r\n")] = '\0';
	size = strlen(line);
	goes_on = size > 0 && line[size - 1] == '\\';
	if (goes_on)
		line[size - 1] = '\0';
	line[strcspn(line, "#")] = '\0';
	buf_puts(whole, line);
	return goes_on;
}

/* False at the end of the file. */
static bool read_line(FILE *file, struct buf *whole, int *number)
{
	char *line = NULL;
	size_t room = 0;
	bool goes_on = true, found = false;

	buf_reset(whole);
	while (goes_on && getline(&line, &room, file) >= 0) {
		found = true;
		++*number;
		goes_on = append_line(whole, line);
	}
	free(line);
	return found;
}

/* ---- Ours ------------------------------------------------------------------------------------------------ */

static struct sudo_conf_plugin *plugin_of_symbol(struct sudo_conf *conf, const char *symbol)
{
	if (strcmp(symbol, APPROVAL) == 0)
		return &conf->approval;
	return strcmp(symbol, AUDIT) == 0 ? &conf->audit : NULL;
}

/* The next one at *AT, which moves behind it; NULL at the end. */
static char *cut_word(char **at)
{
	char *word = *at + strspn(*at, SPACE);

	*at = word + strcspn(word, SPACE);
	if (**at != '\0')
		*(*at)++ = '\0';
	return *word != '\0' ? word : NULL;
}

static awsflock_code keep_words(struct sudo_conf_plugin *plugin, const char *rest, int number,
				awsflock_error *error)
{
	char *at, *word;
	size_t count = 0;

	plugin->line = number;
	buf_puts(&plugin->entry, rest);
	if (plugin->entry.failed)
		return error_out_of_memory(error);
	at = plugin->entry.data;
	plugin->path = cut_word(&at);
	while ((word = cut_word(&at)) != NULL) {
		if (count == SUDO_CONF_WORDS_MAX)
			return error_set(error, AWSFLOCK_CONFIG, "%s:%d has too many words", SUDO_CONF, number);
		plugin->words[count++] = word;
	}
	return AWSFLOCK_OK;
}

/* "Plugin SYMBOL PATH WORD..."; sudo passes over a second line of the same symbol. */
static awsflock_code take_line(struct sudo_conf *conf, const char *line, int number, awsflock_error *error)
{
	char symbol[64];
	size_t size;
	struct sudo_conf_plugin *plugin;

	line += strspn(line, SPACE);
	if (strncasecmp(line, "Plugin", strlen("Plugin")) != 0)
		return AWSFLOCK_OK;
	line += strlen("Plugin");
	line += strspn(line, SPACE);
	size = strcspn(line, SPACE);
	if (size >= sizeof(symbol))
		return AWSFLOCK_OK;
	snprintf(symbol, sizeof(symbol), "%.*s", (int)size, line);
	plugin = plugin_of_symbol(conf, symbol);
	if (!plugin || plugin->line > 0)
		return AWSFLOCK_OK;
	line += size;
	line += strspn(line, SPACE);
	if (*line == '\0')
		return error_set(error, AWSFLOCK_CONFIG, "%s:%d names no file", SUDO_CONF, number);
	return keep_words(plugin, line, number, error);
}

awsflock_code sudo_conf_read(struct sudo_conf *conf, awsflock_error *error)
{
	FILE *file = fopen(SUDO_CONF, "re");
	struct buf line = BUF_INIT;
	awsflock_code code = AWSFLOCK_OK;
	int number = 0;

	*conf = (struct sudo_conf){ .approval = { .entry = BUF_INIT }, .audit = { .entry = BUF_INIT } };
	if (!file)
		return errno == ENOENT
			       ? AWSFLOCK_OK
			       : error_set_errno(error, AWSFLOCK_CONFIG, errno, "cannot read %s", SUDO_CONF);
	while (code == AWSFLOCK_OK && read_line(file, &line, &number))
		code = line.failed ? error_out_of_memory(error) : take_line(conf, buf_text(&line), number, error);
	fclose(file);
	buf_free(&line);
	return code;
}

void sudo_conf_free(struct sudo_conf *conf)
{
	buf_free(&conf->approval.entry);
	buf_free(&conf->audit.entry);
}
