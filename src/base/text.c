/* Strict reading of text from outside, and making it safe to show.  SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* "<U+E0FFF>", and no terminator is counted. */
#define TEXT_SHOWN_MAX 12

/* How many bytes a sequence that starts with FIRST has; 0 where none starts so.  *CODE gets FIRST's own bits. */
static size_t sequence_size(unsigned char first, uint32_t *code)
{
	if (first < 0x80) {
		*code = first;
		return 1;
	}
	if (first >= 0xC2 && first <= 0xDF) {
		*code = first & 0x1Fu;
		return 2;
	}
	if (first >= 0xE0 && first <= 0xEF) {
		*code = first & 0x0Fu;
		return 3;
	}
	if (first >= 0xF0 && first <= 0xF4) {
		*code = first & 0x07u;
		return 4;
	}
	return 0;
}

size_t text_decode(const char *text, size_t size, uint32_t *code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	if (size == 0)
		return 0;
	size_t length = sequence_size((unsigned char)text[0], code);
	if (length == 0 || length > size)
		return 0;
	for (size_t i = 1; i < length; i++) {
		unsigned char next = (unsigned char)text[i];
		if ((next & 0xC0) != 0x80)
			return 0;
		*code = *code << 6 | (next & 0x3Fu);
	}
	if (*code < smallest[length] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF))
		return 0;
	return length;
}

bool text_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7F && code <= 0x9F);
}

/* What reorders a line, ends one, or takes no room in it: Unicode's Bidi_Control, the two separators, and
 * Default_Ignorable_Code_Point (DerivedCoreProperties.txt), with the marks that some fonts leave out too.  By these
 * two names can look the same. */
static bool is_invisible(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{ 0x00AD, 0x00AD },   { 0x034F, 0x034F }, { 0x061C, 0x061C },   { 0x115F, 0x1160 },
		{ 0x17B4, 0x17B5 },   { 0x180B, 0x180F }, { 0x200B, 0x200F },   { 0x2028, 0x202E },
		{ 0x2060, 0x206F },   { 0x3164, 0x3164 }, { 0xFE00, 0xFE0F },   { 0xFEFF, 0xFEFF },
		{ 0xFFA0, 0xFFA0 },   { 0xFFF0, 0xFFFB }, { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A },
		{ 0xE0000, 0xE0FFF },
	};
	size_t i = 0;

	while (i + 1 < sizeof(ranges) / sizeof(ranges[0]) && code > ranges[i].last)
		i++;
	return code >= ranges[i].first && code <= ranges[i].last;
}

/* Unicode's White_Space (PropList.txt) but the control characters. */
static bool is_space(uint32_t code)
{
	return code == ' ' || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
	       code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool text_is_blank(const char *text)
{
	size_t left = strlen(text), length;
	uint32_t code;

	if (left == 0)
		return false;
	for (; left > 0; text += length, left -= length) {
		length = text_decode(text, left, &code);
		if (length == 0 || !is_space(code))
			return false;
	}
	return true;
}

bool text_is_utf8(const char *text, size_t size)
{
	uint32_t code;
	while (size > 0) {
		size_t length = text_decode(text, size, &code);
		if (length == 0)
			return false;
		text += length;
		size -= length;
	}
	return true;
}

bool text_parse_int64(const char *text, int64_t low, int64_t high, int64_t *out)
{
	bool negative = text[0] == '-';
	const char *digits = text + (negative ? 1 : 0);
	if (*digits == '\0')
		return false;
	/* Counted downwards, since INT64_MIN has no positive. */
	int64_t value = 0;
	for (; *digits != '\0'; digits++) {
		if (*digits < '0' || *digits > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_sub_overflow(value, *digits - '0', &value))
			return false;
	}
	if (!negative && __builtin_sub_overflow(0, value, &value))
		return false;
	if (value < low || value > high)
		return false;
	*out = value;
	return true;
}

bool text_parse_bool(const char *text, bool *out)
{
	static const char *const words[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int truth = 0; truth < 2; truth++)
			if (strcasecmp(text, words[i][truth]) == 0) {
				*out = truth != 0;
				return true;
			}
	return false;
}

/* How the character at TEXT is shown, into SHOWN (not terminated); returns how many of TEXT's bytes that stands for. */
static size_t show_character(const char *text, size_t left, char shown[TEXT_SHOWN_MAX], size_t *shown_size)
{
	uint32_t code = 0;
	size_t size = text_decode(text, left, &code);

	if (size == 0 || text_is_control(code)) {
		shown[0] = '?';
		*shown_size = 1;
		return size > 0 ? size : 1;
	}
	if (is_invisible(code)) {
		*shown_size = (size_t)snprintf(shown, TEXT_SHOWN_MAX, "<U+%04" PRIX32 ">", code);
		return size;
	}
	memcpy(shown, text, size);
	*shown_size = size;
	return size;
}

void text_sanitise(const char *text, char *out, size_t size)
{
	static const char dots[] = "...";
	if (size == 0)
		return;
	size_t left = text ? strlen(text) : 0;
	size_t used = 0;
	size_t cut = 0; /* the last boundary after which the dots fit too */
	while (left > 0) {
		char shown[TEXT_SHOWN_MAX];
		size_t put, taken = show_character(text, left, shown, &put);
		if (used + put >= size) {
			used = size >= sizeof(dots) ? cut : used;
			if (size >= sizeof(dots)) {
				memcpy(out + used, dots, sizeof(dots) - 1);
				used += sizeof(dots) - 1;
			}
			break;
		}
		memcpy(out + used, shown, put);
		used += put;
		if (used + sizeof(dots) <= size)
			cut = used;
		text += taken;
		left -= taken;
	}
	out[used] = '\0';
}

void text_hide_logins(char *text)
{
	for (char *url = strstr(text, "://"); url; url = strstr(url, "://")) {
		char *at;
		url += strlen("://");
		at = memrchr(url, '@', strcspn(url, " \t\r\n"));
		if (!at || at == url)
			continue;
		*url = '*';
		memmove(url + 1, at, strlen(at) + 1);
	}
}

void text_sanitise_message(const char *text, char *out, size_t size)
{
	char *copy = strdup(text ? text : ""); /* hidden before it is cut, which may take the '@' away */

	if (copy)
		text_hide_logins(copy);
	text_sanitise(copy ? copy : "", out, size);
	free(copy);
}

void text_local_time(int64_t epoch_seconds, int64_t now_seconds, char *out, size_t size)
{
	if (size == 0)
		return;
	time_t moment = (time_t)epoch_seconds, now = (time_t)now_seconds;
	struct tm then_parts, now_parts;
	if (!localtime_r(&moment, &then_parts) || !localtime_r(&now, &now_parts)) {
		snprintf(out, size, "%" PRId64, epoch_seconds); /* a year that does not fit an int */
		return;
	}
	bool today = then_parts.tm_year == now_parts.tm_year && then_parts.tm_yday == now_parts.tm_yday;
	if (strftime(out, size, today ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", &then_parts) == 0)
		out[0] = '\0';
}

void text_duration(int64_t seconds, char *out, size_t size)
{
	static const struct {
		uint64_t seconds;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t left = seconds < 0 ? -(uint64_t)seconds : (uint64_t)seconds;
	const char *sign = seconds < 0 ? "-" : "";
	size_t first = 0;
	while (units[first].seconds > 1 && left < units[first].seconds)
		first++;
	uint64_t count = left / units[first].seconds;
	left %= units[first].seconds;
	uint64_t rest = left > 0 ? left / units[first + 1].seconds : 0;
	if (rest > 0)
		snprintf(out, size, "%s%" PRIu64 "%c %" PRIu64 "%c", sign, count, units[first].letter, rest,
			 units[first + 1].letter);
	else
		snprintf(out, size, "%s%" PRIu64 "%c", sign, count, units[first].letter);
}
