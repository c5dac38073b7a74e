/* Words such as name=value, by a table.  SPDX-License-Identifier: Apache-2.0 */
#ifndef GUARD_OPTION_H
#define GUARD_OPTION_H

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
	OPTION_TEXT,
	OPTION_PATH, /* from the root */
	OPTION_FLAG  /* a word alone */
};

struct option {
	const char *name;
	enum option_kind kind;
	size_t offset; /* of a const char * that is NULL before, or a bool */
};

/* The one of OPTIONS that WORD names; NULL where it names none. */
const struct option *option_find(const struct option *options, size_t count, const char *word);
/* Sets what WORD says in TARGET, whose text points into WORD then.  NULL, or what is wrong with the word: "needs a
 * value". */
const char *option_set(const struct option *option, void *target, const char *word);

#endif
