/* Filling in awsflock_error.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "awsflock.h"

/* Forgets what ERROR held.  ERROR may be NULL, here and below. */
void error_clear(awsflock_error *error);

/* Fills in ERROR with CODE and one sentence, cut at a character's boundary where it is too long; control characters
 * are replaced.  Returns CODE, so that a failing function ends with "return error_set(...)". */
awsflock_code error_set(awsflock_error *error, awsflock_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, with SYSTEM_ERRNO kept and ": " and its text appended. */
awsflock_code error_set_errno(awsflock_error *error, awsflock_code code, int system_errno, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What is at fault, where the code is too coarse to tell what to do. */
enum error_detail {
	ERROR_DETAIL_NONE,
	ERROR_DETAIL_SECRET,    /* the secret access key does not belong to its id */
	ERROR_DETAIL_KEY,       /* AWS does not know the access key id, or the session token */
	ERROR_DETAIL_EXPIRED,   /* keys or a token, past their end */
	ERROR_DETAIL_ROLE,      /* a role that is not given to who asks for it */
	ERROR_DETAIL_SIGNATURE, /* it did not arrive as it was sent */
	ERROR_DETAIL_NO_KEYS,   /* no source has any; the log tells of each */
	ERROR_DETAIL_MEMBER,    /* a directory for the members of a group, of whom the caller is none */
};

/* Adds DETAIL to what error_set() has filled in. */
void error_set_detail(awsflock_error *error, enum error_detail detail);

/* Here, so that compilers and analyzers see that it never returns AWSFLOCK_OK. */
static inline awsflock_code error_out_of_memory(awsflock_error *error)
{
	error_set(error, AWSFLOCK_MEMORY, "out of memory");
	return AWSFLOCK_MEMORY;
}

#endif
