/* A growing byte buffer with an upper limit; wiped before its memory is given back, since tokens pass through it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* All zero but limit is a valid empty buffer.  data is NULL or ends in a zero byte that size does not count. */
struct buf {
	char *data;
	size_t size;
	size_t capacity;
	size_t limit;    /* 0: BUF_LIMIT_DEFAULT */
	bool failed;     /* an append did not fit or memory ran out: sticky, so that one check at the end serves */
	bool over_limit; /* failed, and for the limit */
};

#define BUF_LIMIT_DEFAULT ((size_t)1024 * 1024)
#define BUF_INIT                                                                                                   \
	{                                                                                                          \
		NULL, 0, 0, 0, false, false                                                                        \
	}

/* False, and failed set, where the limit or memory is exceeded; the buffer keeps what it had. */
bool buf_append(struct buf *buf, const void *bytes, size_t size);
bool buf_puts(struct buf *buf, const char *text);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The contents as a string, "" where there is none. */
const char *buf_text(const struct buf *buf);
/* Empties it (wiping), keeps the memory. */
void buf_reset(struct buf *buf);
/* Wipes and frees. */
void buf_free(struct buf *buf);
/* Gives the memory away as a string the caller frees; NULL where failed. */
char *buf_steal(struct buf *buf);

/* Wipes SIZE bytes so that the compiler cannot leave it out. */
void wipe(void *bytes, size_t size);
/* Wipes and frees a string and sets *TEXT to NULL. */
void wipe_string(char **text);

#endif
