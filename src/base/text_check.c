/* See text_check.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/text_check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define FREE_TEXT_MAX 1024

/* UTF-8 without control characters; WHAT names TEXT in the sentence. */
static awsflock_code check_characters(const char *what, const char *text, awsflock_error *error)
{
	char shown[100];
	text_sanitise(text, shown, sizeof(shown));
	size_t left = strlen(text);
	while (left > 0) {
		uint32_t code;
		size_t length = text_decode(text, left, &code);
		if (length == 0)
			return error_set(error, AWSFLOCK_INVALID, "%s '%s' is not UTF-8 text", what, shown);
		if (text_is_control(code))
			return error_set(error, AWSFLOCK_INVALID,
					 "%s '%s' holds a control character (U+%04" PRIX32 "): leave it out", what,
					 shown, code);
		text += length;
		left -= length;
	}
	return AWSFLOCK_OK;
}

static awsflock_code check_size(const char *what, const char *text, size_t most, awsflock_error *error)
{
	size_t size = strlen(text);
	if (size > most)
		return error_set(error, AWSFLOCK_INVALID, "%s is %zu bytes long: use at most %zu", what, size,
				 most);
	return AWSFLOCK_OK;
}

awsflock_code text_check_lock_name(const char *lock, awsflock_error *error)
{
	if (!lock || lock[0] == '\0')
		return error_set(error, AWSFLOCK_INVALID,
				 "the lock's name is empty: give it a name of 1 to %d bytes", AWSFLOCK_LOCK_MAX);
	awsflock_code code = check_size("the lock's name", lock, AWSFLOCK_LOCK_MAX, error);
	if (code != AWSFLOCK_OK)
		return code;
	return check_characters("the lock's name", lock, error);
}

static bool is_hexadecimal(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_uuid(const char *text)
{
	for (size_t i = 0; i < AWSFLOCK_LEASE_ID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !is_hexadecimal(text[i]))
			return false;
	}
	return text[AWSFLOCK_LEASE_ID_SIZE - 1] == '\0';
}

awsflock_code text_check_lease_id(const char *lease_id, awsflock_error *error)
{
	if (lease_id && is_uuid(lease_id))
		return AWSFLOCK_OK;
	char shown[60];
	text_sanitise(lease_id, shown, sizeof(shown));
	return error_set(error, AWSFLOCK_INVALID,
			 "'%s' is not a lease id: give the one that acquire or renew printed, such as "
			 "9b2f7c1e-4d0a-4c55-8a1e-0c6f3d2b7a90",
			 shown);
}

awsflock_code text_check_free(const char *what, const char *text, awsflock_error *error)
{
	if (!text)
		return AWSFLOCK_OK;
	awsflock_code code = check_size(what, text, FREE_TEXT_MAX, error);
	if (code != AWSFLOCK_OK)
		return code;
	return check_characters(what, text, error);
}

awsflock_code text_check_person(const char *what, const char *text, awsflock_error *error)
{
	awsflock_code code = text_check_free(what, text, error);
	if (code == AWSFLOCK_OK && text && text_is_blank(text))
		return error_set(error, AWSFLOCK_INVALID, "%s is only blanks: give a name, or leave it out", what);
	return code;
}
