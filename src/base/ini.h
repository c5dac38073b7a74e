/* Reading INI files: our own strict kind, and AWS's kind.
 *
 * Ours rather than a library's: AWS's files hold session tokens of over 1,000 bytes, nested indented values, "=" or
 * ":" and values in which " #" is data; libinih cuts a value at 200 bytes and iniparser and libeconf break these
 * too (measured with their Debian 12 versions).  SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_INI_H
#define BASE_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "awsflock.h"

enum ini_dialect {
	INI_STRICT, /* awsflock.conf: "#" or ";" after white space starts a comment; indentation means nothing */
	INI_AWS     /* ~/.aws/config: as botocore reads it; keys lower-cased; nested values named "key.subkey" */
};

struct ini_entry {
	char *section; /* "" before the first; white space inside folded to one space */
	char *key;     /* NULL: the section's own line (an empty section is one too), or a fault */
	char *value;   /* white space trimmed; may be empty; NULL with key */
	char *fault;   /* NULL, or the whole sentence about a line that is none, in a section that may be broken */
	int line;
};

struct ini {
	struct ini_entry *entries;
	size_t count;
};

/* A section of the strict kind whose name starts so may be broken without the whole file: it is for one guard
 * alone, and the others, and the command line, must not suffer.  A line that starts with '[' is never passed over:
 * what follows it would belong to another section than the one that was meant. */
#define INI_GUARD_PREFIX "guard "

/* Parses SIZE bytes.  NAME is the file's name for the sentence "NAME:LINE: ...".  AWSFLOCK_CONFIG where a line is
 * none, a key comes twice in a section, a section comes twice (AWS's kind), a byte is zero, or the text is not UTF-8 (strict). */
awsflock_code ini_parse(const char *name, const char *text, size_t size, enum ini_dialect dialect, struct ini *out,
			awsflock_error *error);

/* Reads at most 1 MiB from PATH and parses it.  *FOUND false, and AWSFLOCK_OK, where there is no such file; *FOUND
 * false, and AWSFLOCK_CONFIG, where it cannot be opened or is no regular file; *FOUND true, and AWSFLOCK_CONFIG, for
 * one that is too large or broken. */
awsflock_code ini_read(const char *path, enum ini_dialect dialect, struct ini *out, bool *found,
		       awsflock_error *error);
/* The same for a file that is open already and stays the caller's; PATH is for the sentence. */
awsflock_code ini_read_fd(int fd, const char *path, enum ini_dialect dialect, struct ini *out,
			  awsflock_error *error);

bool ini_has_section(const struct ini *ini, const char *section);
/* The last value of KEY in SECTION, or NULL. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);
void ini_free(struct ini *ini); /* wipes the values: they may be secrets */

#endif
