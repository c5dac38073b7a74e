/* Programs of the system, and what they say of their own settings.  SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_GUARD_CHECK_PROGRAMS_H
#define CLI_GUARD_CHECK_PROGRAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/child.h"

#define PROGRAM_PATH_SIZE 128
#define PROGRAM_WHY_SIZE 512

/* Where PROGRAM is; one with a '/' is looked for there alone. */
bool program_find(const char *program, char path[PROGRAM_PATH_SIZE]);

/* What PROGRAM prints when it is asked with OPTION; the caller clears RESULT.  False, and WHY not, where it does not
 * answer: the first line of its complaint. */
bool program_ask(const char *program, char *option, struct child_result *result, char why[PROGRAM_WHY_SIZE]);

/* Is LINE among what was printed? */
bool program_says(const struct child_result *result, const char *line);
/* The rest of the first line that begins with KEY and a blank; false where there is none, or it is too long. */
bool program_value(const struct child_result *result, const char *key, char *value, size_t size);

#endif
