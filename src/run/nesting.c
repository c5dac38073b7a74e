/* See nesting.h.  SPDX-License-Identifier: Apache-2.0 */
#include "run/nesting.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

/* Of a lock's hash: nobody has an interest in two that are alike. */
#define MARK_BYTES 8
#define MARK_SIZE (2 * MARK_BYTES + 1)

static bool make_mark(const char *store_name, const char *lock, char mark[MARK_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct buf text = BUF_INIT;
	bool hashed;

	/* With the zero between them: neither can hold one. */
	buf_append(&text, store_name, strlen(store_name) + 1);
	buf_puts(&text, lock);
	hashed = !text.failed && EVP_Digest(text.data, text.size, digest, NULL, EVP_sha256(), NULL) == 1;
	buf_free(&text);
	for (size_t i = 0; hashed && i < MARK_BYTES; i++)
		snprintf(mark + 2 * i, 3, "%02x", digest[i]);
	return hashed;
}

static bool has_mark(const char *marks, const char *mark)
{
	while (*marks) {
		size_t size = strcspn(marks, " ");
		if (size == MARK_SIZE - 1 && memcmp(marks, mark, size) == 0)
			return true;
		marks += size;
		marks += strspn(marks, " ");
	}
	return false;
}

bool nesting_check(const char *marks, const char *store_name, const char *lock, bool *nested, char **out)
{
	struct buf all = BUF_INIT;
	char mark[MARK_SIZE];

	if (!make_mark(store_name, lock, mark))
		return false;
	*nested = marks && has_mark(marks, mark);
	if (marks && *marks)
		buf_printf(&all, "%s ", marks);
	buf_puts(&all, mark);
	*out = buf_steal(&all);
	return *out != NULL;
}
