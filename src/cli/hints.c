/* SPDX-License-Identifier: Apache-2.0
 *
 * See hints.h. */
#include "cli/hints.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define LONGEST 32            /* of the words that are compared: no name is longer */
#define LETTERS_PER_MISTAKE 3 /* in a word of fewer, a mistake makes another word */
#define MISTAKES_MAX 2
#define PART_MIN 4 /* letters of a name that are like it: --duration is --lease-duration */

/* ---- How much two words are alike ---- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Not by case: "RUN" is more like "run" than like a lock's name. */
static bool is_same_letter(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* How many letters of A must be put in, taken out, replaced or exchanged with the next one to make B of it ("optimal
 * string alignment").  Both are of at most LONGEST letters. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][LONGEST + 1], a_size = strlen(a), b_size = strlen(b);
	size_t *last = rows[0], *row = rows[1], *before = rows[2], *spare;

	for (size_t j = 0; j <= b_size; j++)
		row[j] = before[j] = last[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		spare = before;
		before = last;
		last = row;
		row = spare;
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			row[j] = least(last[j] + 1, row[j - 1] + 1);
			row[j] = least(row[j], last[j - 1] + !is_same_letter(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && is_same_letter(a[i - 1], b[j - 2]) &&
			    is_same_letter(a[i - 2], b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return row[b_size];
}

void nearest_consider(struct nearest *nearest, const char *name)
{
	size_t size = strlen(nearest->word), mistakes;

	if (size > LONGEST || strlen(name) > LONGEST)
		return;
	mistakes = distance(nearest->word, name);
	if (mistakes > least(size / LETTERS_PER_MISTAKE, MISTAKES_MAX)) {
		if (size < PART_MIN || !strstr(name, nearest->word))
			return;
		mistakes = MISTAKES_MAX + 1;
	}
	if (nearest->name && nearest->distance <= mistakes)
		return;
	nearest->name = name;
	nearest->distance = mistakes;
}

/* ---- What people bring along from other programs ---- */

const char *hint_command(const char *word)
{
	static const struct {
		const char *word, *hint;
	} commands[] = {
		{ "lock", "'run' or 'acquire'" },
		{ "take", "'acquire'" },
		{ "exec", "'run'" },
		{ "unlock", "'release'" },
		{ "free", "'release'" },
		{ "extend", "'renew'" },
		{ "refresh", "'renew'" },
		{ "break-lock", "'break'" },
		{ "force-unlock", "'break'" },
		{ "steal", "'break'" },
		{ "evict", "'break'" },
		{ "info", "'status'" },
		{ "show", "'status'" },
		{ "who", "'status'" },
		{ "watch", "'status --watch'" },
		{ "ls", "'list'" },
		{ "init", "'create-table'" },
		{ "check", "'doctor' or 'guard-check'" },
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcasecmp(commands[i].word, word) == 0)
			return commands[i].hint;
	}
	return NULL;
}

const char *hint_flock_option(int letter, const char *name)
{
	static const struct {
		char letter;
		const char *name, *hint;
	} options[] = {
		{ 's', "shared", "every lock is exclusive" },
		{ 'u', "unlock", "'run' releases the lock by itself, and 'release' what 'acquire' took" },
		{ 'F', "no-fork", "leave it out, awsflock stays to renew the lock and passes signals on" },
		{ 0, "fcntl", "leave it out, it is about files" },
		{ 'V', "", "did you mean --version?" },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (letter != 0 ? options[i].letter == letter : strcmp(options[i].name, name) == 0)
			return options[i].hint;
	}
	return NULL;
}

/* ---- A directory in the place of a lock ---- */

static bool exists_as_directory(const char *word)
{
	struct stat status;

	return stat(word, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool looks_like_path(const char *word)
{
	size_t size = strlen(word);

	return word[0] == '/' || word[0] == '~' || strcmp(word, ".") == 0 || strncmp(word, "./", 2) == 0 ||
	       strncmp(word, "..", 2) == 0 || (size > 0 && word[size - 1] == '/');
}

bool hint_is_directory(char *const *words)
{
	bool command_is_third = words[1] && words[2] && strcmp(words[2], "--") == 0;

	if (looks_like_path(words[0]))
		return true;
	/* A plain word names a lock far more often than the directory of that name that is here by chance. */
	return (strchr(words[0], '/') || command_is_third) && exists_as_directory(words[0]);
}
