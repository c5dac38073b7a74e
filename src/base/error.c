/* Filling in awsflock_error.  SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* Longer than a message, so that it is text_sanitise() that cuts, at a character's boundary. */
#define SENTENCE_SIZE ((size_t)AWSFLOCK_ERROR_MESSAGE_SIZE * 2)

void error_clear(awsflock_error *error)
{
	if (error)
		memset(error, 0, sizeof(*error));
}

static void fill(awsflock_error *error, awsflock_code code, int system_errno, const char *ending,
		 const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));

/* The sentence is made aside: the arguments may point into ERROR's old message. */
static void fill(awsflock_error *error, awsflock_code code, int system_errno, const char *ending,
		 const char *format, va_list arguments)
{
	char sentence[SENTENCE_SIZE];
	if (vsnprintf(sentence, sizeof(sentence), format, arguments) < 0)
		sentence[0] = '\0';
	error_clear(error);
	error->code = code;
	error->system_errno = system_errno;
	size_t ending_size = strnlen(ending, sizeof(error->message) / 2);
	text_sanitise(sentence, error->message, sizeof(error->message) - ending_size);
	strncat(error->message, ending, ending_size);
}

awsflock_code error_set(awsflock_error *error, awsflock_code code, const char *format, ...)
{
	if (!error)
		return code;
	va_list arguments;
	va_start(arguments, format);
	fill(error, code, 0, "", format, arguments);
	va_end(arguments);
	return code;
}

awsflock_code error_set_errno(awsflock_error *error, awsflock_code code, int system_errno, const char *format, ...)
{
	if (!error)
		return code;
	char ending[160];
	/* strerror_r() differs between C libraries; for errors of the system strerror()'s texts are constant. */
	snprintf(ending, sizeof(ending), ": %s", strerror(system_errno));
	va_list arguments;
	va_start(arguments, format);
	fill(error, code, system_errno, ending, format, arguments);
	va_end(arguments);
	return code;
}

void error_set_detail(awsflock_error *error, enum error_detail detail)
{
	if (error)
		error->detail = detail;
}
