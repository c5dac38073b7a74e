/* Columns of text on a terminal.
 *
 * Counted without wcwidth(), which knows UTF-8 only under a UTF-8 locale: scripts and CI jobs often run under "C".
 * SPDX-License-Identifier: Apache-2.0 */
#include "term/terminal.h"

#include <sys/ioctl.h>

#define DEFAULT_WIDTH 80

size_t terminal_width(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return DEFAULT_WIDTH;
	return size.ws_col;
}

/* The bytes of the character that starts at TEXT, which is valid UTF-8. */
static size_t character_size(const char *text)
{
	unsigned char first = (unsigned char)*text;

	if (first < 0x80)
		return 1;
	if (first < 0xe0)
		return 2;
	return first < 0xf0 ? 3 : 4;
}

/* From U+1100 on a character may be two columns wide (Hangul, CJK, emoji); counting each of them so errs to the
 * side that never wraps a line. */
static size_t character_columns(const char *text)
{
	unsigned char first = (unsigned char)text[0];

	if (first < 0xe1)
		return 1;
	if (first == 0xe1)
		return (unsigned char)text[1] >= 0x84 ? 2 : 1;
	if (first == 0xe2) /* general punctuation, arrows, box drawing */
		return 1;
	return 2;
}

size_t terminal_columns(const char *text)
{
	size_t columns = 0;

	for (size_t i = 0; text[i] != '\0';) {
		columns += character_columns(text + i);
		for (size_t left = character_size(text + i); left > 0 && text[i] != '\0'; left--)
			i++;
	}
	return columns;
}

/* How many of TEXT's bytes take at most COLUMNS. */
static size_t bytes_within(const char *text, size_t columns)
{
	size_t used = 0, i = 0;

	while (text[i] != '\0') {
		used += character_columns(text + i);
		if (used > columns)
			break;
		for (size_t left = character_size(text + i); left > 0 && text[i] != '\0'; left--)
			i++;
	}
	return i;
}

void terminal_append_fitted(struct buf *out, const char *text, size_t columns)
{
	if (terminal_columns(text) <= columns) {
		buf_puts(out, text);
	} else if (columns > 0) {
		buf_append(out, text, bytes_within(text, columns - 1));
		buf_puts(out, "\xE2\x80\xA6");
	}
}

size_t terminal_rows(const char *text, size_t width)
{
	size_t columns = terminal_columns(text);

	return columns > width && width > 0 ? (columns + width - 1) / width : 1;
}
