/* Reading RFC 3339.  SPDX-License-Identifier: Apache-2.0 */
#include "base/timestamp.h"

#include <stddef.h>
#include <string.h>
#include <time.h>

/* COUNT digits at *TEXT as a number in [LOW, HIGH]. */
static bool take_number(const char **text, int count, int low, int high, int *out)
{
	int value = 0;

	for (int i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (**text - '0');
	}
	*out = value;
	return value >= low && value <= high;
}

static bool take_one_of(const char **text, const char *characters)
{
	if (**text == '\0' || !strchr(characters, **text))
		return false;
	(*text)++;
	return true;
}

static bool is_leap_year(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01; proleptic Gregorian. */
static bool take_days(const char **text, int64_t *days)
{
	static const int before_month[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	static const int in_month[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year, month, day, past;

	if (!take_number(text, 4, 1970, 9999, &year) || !take_one_of(text, "-") ||
	    !take_number(text, 2, 1, 12, &month) || !take_one_of(text, "-") || !take_number(text, 2, 1, 31, &day))
		return false;
	if (day > in_month[month - 1] + (month == 2 && is_leap_year(year) ? 1 : 0))
		return false;
	past = year - 1;
	*days = (int64_t)past * 365 + past / 4 - past / 100 + past / 400 - 719162;
	*days += before_month[month - 1] + (month > 2 && is_leap_year(year) ? 1 : 0) + day - 1;
	return true;
}

static bool take_time(const char **text, int64_t *seconds)
{
	int hour, minute, second;

	if (!take_number(text, 2, 0, 23, &hour) || !take_one_of(text, ":") ||
	    !take_number(text, 2, 0, 59, &minute) || !take_one_of(text, ":") ||
	    !take_number(text, 2, 0, 60, &second))
		return false;
	*seconds = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
	if (!take_one_of(text, "."))
		return true;
	if (**text < '0' || **text > '9')
		return false;
	*text += strspn(*text, "0123456789");
	return true;
}

static bool take_offset(const char **text, int64_t *seconds)
{
	bool west = **text == '-';
	int hour, minute;

	*seconds = 0;
	if (take_one_of(text, "Zz"))
		return true;
	if (strncmp(*text, "UTC", 3) == 0) { /* as the AWS CLI writes into its caches */
		*text += 3;
		return true;
	}
	if (!take_one_of(text, "+-") || !take_number(text, 2, 0, 23, &hour))
		return false;
	take_one_of(text, ":");
	if (!take_number(text, 2, 0, 59, &minute))
		return false;
	*seconds = ((int64_t)hour * 3600 + (int64_t)minute * 60) * (west ? -1 : 1);
	return true;
}

bool timestamp_parse(const char *text, int64_t *epoch_seconds)
{
	int64_t days, seconds, offset;

	if (!take_days(&text, &days) || !take_one_of(&text, "Tt ") || !take_time(&text, &seconds) ||
	    !take_offset(&text, &offset) || *text != '\0')
		return false;
	*epoch_seconds = days * 86400 + seconds - offset;
	return true;
}

void timestamp_format(int64_t epoch_seconds, char text[TIMESTAMP_SIZE])
{
	time_t seconds = (time_t)epoch_seconds;
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) || strftime(text, TIMESTAMP_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		text[0] = '\0';
}
