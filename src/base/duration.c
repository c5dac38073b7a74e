/* Durations as people write them.  SPDX-License-Identifier: Apache-2.0 */
#include "base/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

#define MS_PER_SECOND 1000
#define ACCEPTED "write 90 (seconds), 15m, '3 minutes', 1h30m or '1 day'"

/* In falling order, as they must stand in a text. */
static const struct unit {
	int64_t seconds;
	const char *names[6];
} units[] = {
	{ 604800, { "w", "week", "weeks" } },
	{ 86400, { "d", "day", "days" } },
	{ 3600, { "h", "hr", "hrs", "hour", "hours" } },
	{ 60, { "m", "min", "mins", "minute", "minutes" } },
	{ 1, { "s", "sec", "secs", "second", "seconds" } },
};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

enum verdict {
	READ,
	NO_DURATION,
	TOO_LONG
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *skip_space(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return text;
}

static enum verdict read_number(const char **text, int64_t *number)
{
	const char *next = *text;
	if (!is_digit(*next))
		return NO_DURATION;
	bool overflow = false;
	*number = 0;
	for (; is_digit(*next); next++)
		overflow = overflow || __builtin_mul_overflow(*number, 10, number) ||
			   __builtin_add_overflow(*number, *next - '0', number);
	*text = next;
	return overflow ? TOO_LONG : READ;
}

/* The index of the unit whose name stands at *TEXT, UNIT_COUNT where none does. */
static size_t read_unit(const char **text)
{
	size_t length = 0;
	while (is_letter((*text)[length]))
		length++;
	for (size_t i = 0; i < UNIT_COUNT; i++)
		for (const char *const *name = units[i].names; *name; name++)
			if (strlen(*name) == length && strncasecmp(*name, *text, length) == 0) {
				*text += length;
				return i;
			}
	return UNIT_COUNT;
}

/* One number with its unit, which must be smaller than unit *LAST. */
static enum verdict read_part(const char **text, size_t *last, int64_t *seconds)
{
	int64_t number;
	enum verdict verdict = read_number(text, &number);
	if (verdict == NO_DURATION)
		return verdict;
	*text = skip_space(*text);
	size_t unit = read_unit(text);
	if (unit == UNIT_COUNT || (*last != UNIT_COUNT && unit <= *last))
		return NO_DURATION;
	*last = unit;
	if (verdict == TOO_LONG || __builtin_mul_overflow(number, units[unit].seconds, &number) ||
	    __builtin_add_overflow(*seconds, number, seconds))
		return TOO_LONG;
	return READ;
}

/* A text that is wrong at its end is that, not too long, however long its beginning is. */
static enum verdict read_parts(const char *text, int64_t *seconds)
{
	bool too_long = false;
	size_t last = UNIT_COUNT;
	*seconds = 0;
	do {
		enum verdict verdict = read_part(&text, &last, seconds);
		if (verdict == NO_DURATION)
			return verdict;
		too_long = too_long || verdict == TOO_LONG;
		text = skip_space(text);
	} while (*text != '\0');
	return too_long || *seconds > DURATION_MAX_SECONDS ? TOO_LONG : READ;
}

/* Digits after a point: at most three, as milliseconds. */
static bool read_fraction(const char **text, int64_t *milliseconds)
{
	int64_t weight = MS_PER_SECOND / 10;
	*milliseconds = 0;
	if (!is_digit(**text))
		return false;
	for (; is_digit(**text) && weight > 0; ++*text, weight /= 10)
		*milliseconds += (**text - '0') * weight;
	return !is_digit(**text);
}

static enum verdict read_duration(const char *text, bool fractions, int64_t *milliseconds)
{
	text = skip_space(text);
	const char *next = text;
	int64_t seconds, fraction = 0;
	enum verdict verdict = read_number(&next, &seconds);
	if (verdict == NO_DURATION)
		return verdict;
	if (fractions && *next == '.') {
		next++;
		if (!read_fraction(&next, &fraction))
			return NO_DURATION;
		if (*skip_space(next) != '\0')
			return NO_DURATION;
	}
	if (*skip_space(next) != '\0')
		verdict = read_parts(text, &seconds);
	if (verdict != READ)
		return verdict;
	if (seconds > DURATION_MAX_SECONDS || (seconds == DURATION_MAX_SECONDS && fraction > 0))
		return TOO_LONG;
	*milliseconds = seconds * MS_PER_SECOND + fraction;
	return READ;
}

static awsflock_code parse_checked(const char *text, bool for_waits, int64_t *milliseconds, awsflock_error *error)
{
	char shown[80];
	text_sanitise(text, shown, sizeof(shown));
	int64_t result = 0;
	switch (read_duration(text ? text : "", for_waits, &result)) {
	case READ:
		break;
	case TOO_LONG:
		return error_set(error, AWSFLOCK_INVALID,
				 "the duration '%s' is too long: use at most %" PRId64 " days", shown,
				 DURATION_MAX_SECONDS / 86400);
	case NO_DURATION:
		return error_set(error, AWSFLOCK_INVALID, "'%s' is not a duration: %s%s", shown, ACCEPTED,
				 for_waits ? ", or a fraction of seconds such as 0.5" : " (no fractions)");
	}
	if (result == 0 && !for_waits)
		return error_set(error, AWSFLOCK_INVALID, "the duration '%s' is zero: use at least 1 second; %s",
				 shown, ACCEPTED);
	*milliseconds = result;
	return AWSFLOCK_OK;
}

awsflock_code duration_parse(const char *text, int64_t *seconds, awsflock_error *error)
{
	int64_t milliseconds = 0;
	awsflock_code code = parse_checked(text, false, &milliseconds, error);
	if (code == AWSFLOCK_OK)
		*seconds = milliseconds / MS_PER_SECOND;
	return code;
}

awsflock_code duration_parse_ms(const char *text, int64_t *milliseconds, awsflock_error *error)
{
	return parse_checked(text, true, milliseconds, error);
}
