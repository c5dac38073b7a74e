/* See stat.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "proc/stat.h"

#include <stddef.h>
#include <string.h>

#include "base/text.h"

/* Counted from the state that follows the name. */
enum stat_field {
	STAT_PARENT = 1,
	STAT_GROUP = 2,
	STAT_TERMINAL = 4,
	STAT_THREADS = 17,
	STAT_START = 19,
	STAT_ENVIRONMENT = 47
};

/* Field NUMBER, from LEAST to MOST; fields are separated by one space. */
static bool parse_field(const char *fields, enum stat_field number, int64_t least, int64_t most, int64_t *out)
{
	char digits[24];
	size_t size;

	for (int i = 0; i < (int)number; i++) {
		fields = strchr(fields, ' ');
		if (!fields)
			return false;
		fields++;
	}
	size = strcspn(fields, " \n");
	if (size >= sizeof(digits))
		return false;
	memcpy(digits, fields, size);
	digits[size] = '\0';
	return text_parse_int64(digits, least, most, out);
}

static void copy_name(char *out, size_t size, const char *name, size_t length)
{
	if (length >= size)
		length = size - 1;
	memcpy(out, name, length);
	out[length] = '\0';
}

/* The name stands in brackets and may hold brackets, spaces and newlines itself: its end is the last bracket, since
 * none of the fields behind it has one. */
bool stat_line_parse(const char *line, struct stat_line *out)
{
	const char *name = strchr(line, '('), *end = strrchr(line, ')');
	int64_t parent, group, terminal, threads, start, environment;
	const char *fields;

	if (!name || !end || end < name || end[1] != ' ')
		return false;
	fields = end + 2;
	/* A group of -1 is that of a process which is just being reaped. */
	if (!parse_field(fields, STAT_PARENT, 0, INT32_MAX, &parent) ||
	    !parse_field(fields, STAT_GROUP, -1, INT32_MAX, &group) ||
	    !parse_field(fields, STAT_TERMINAL, INT32_MIN, INT32_MAX, &terminal) ||
	    !parse_field(fields, STAT_THREADS, 0, INT32_MAX, &threads) ||
	    !parse_field(fields, STAT_START, 0, INT64_MAX, &start))
		return false;
	/* As a signed number: an address of the kernel's half is none of a process. */
	if (!parse_field(fields, STAT_ENVIRONMENT, 0, INT64_MAX, &environment))
		environment = 0;
	*out = (struct stat_line){ .parent = (pid_t)parent,
				   .group = (pid_t)group,
				   .terminal = (unsigned)terminal,
				   .start_ticks = (uint64_t)start,
				   .environment = (uint64_t)environment,
				   /* One whose first thread ended while others run looks like a zombie too. */
				   .ended = (*fields == 'Z' || *fields == 'X') && threads <= 1 };
	copy_name(out->name, sizeof(out->name), name + 1, (size_t)(end - name - 1));
	return true;
}
