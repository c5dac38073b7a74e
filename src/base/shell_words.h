/* A command line cut into words as a shell would, without a shell.  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_SHELL_WORDS_H
#define BASE_SHELL_WORDS_H

#include "awsflock.h"

/* The words of TEXT as POSIX shells quote them: white space parts, '...' is literal, in "..." a backslash escapes
 * only " and itself, elsewhere any character.  Nothing is expanded: no variables, globs, operators or comments.
 * (*OUT)[n] ends in NULL; shell_words_free() gives it back.  AWSFLOCK_INVALID: a quotation that does not end, a
 * backslash at the end, or no word at all; the sentence says which, as the rest of "... cannot be read: ". */
awsflock_code shell_words_split(const char *text, char ***out, awsflock_error *error);
void shell_words_free(char ***words); /* wipes: arguments may be secrets */

#endif
