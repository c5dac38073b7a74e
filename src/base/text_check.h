/* Refusing names and texts that cannot be.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEXT_CHECK_H
#define BASE_TEXT_CHECK_H

#include "awsflock.h"

/* AWSFLOCK_INVALID, with a sentence, unless LOCK is 1 to 2048 bytes of UTF-8 without control characters. */
awsflock_code text_check_lock_name(const char *lock, awsflock_error *error);
/* AWSFLOCK_INVALID unless LEASE_ID has the form of a UUID (8-4-4-4-12 hexadecimal digits). */
awsflock_code text_check_lease_id(const char *lease_id, awsflock_error *error);
/* The same for free text such as an owner or a purpose: at most 1024 bytes of UTF-8, no control characters.
 * WHAT names it in the sentence. */
awsflock_code text_check_free(const char *what, const char *text, awsflock_error *error);
/* The same for what names somebody: blanks alone would show nobody. */
awsflock_code text_check_person(const char *what, const char *text, awsflock_error *error);

#endif
