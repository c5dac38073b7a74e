/* SPDX-License-Identifier: Apache-2.0
 *
 * What a word that the command line does not know was meant to be. */
#ifndef CLI_HINTS_H
#define CLI_HINTS_H

#include <stdbool.h>
#include <stddef.h>

/* The name that a word is most like.  Begins as { .word = WORD }. */
struct nearest {
	const char *word;
	const char *name; /* NULL: none is like it */
	size_t distance;  /* letters that are wrong, missing, too many or exchanged */
};

/* Takes NAME, which must stay, where it is like the word, and more so than the one before. */
void nearest_consider(struct nearest *nearest, const char *name);

/* The command, or two, in quotes, that is meant by another program's word for it, such as 'release' by "unlock".  NULL:
 * WORD is none such. */
const char *hint_command(const char *word);

/* What to do instead of an option of flock(1) that has no equal here, by its letter or, where that is 0, by its name.
 * NULL: there is none such. */
const char *hint_flock_option(int letter, const char *name);

/* Whether the first of WORDS (which end in NULL), which came after --local, is a directory rather than a lock. */
bool hint_is_directory(char *const *words);

#endif
