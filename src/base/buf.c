/* A growing byte buffer with an upper limit.  SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY ((size_t)64)

void wipe(void *bytes, size_t size)
{
	if (bytes)
		explicit_bzero(bytes, size);
}

void wipe_string(char **text)
{
	if (*text)
		wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

static size_t limit_of(const struct buf *buf)
{
	return buf->limit != 0 ? buf->limit : BUF_LIMIT_DEFAULT;
}

/* Moves to a block of at least NEEDED bytes.  Not realloc(): it may leave the old block behind unwiped. */
static bool grow(struct buf *buf, size_t needed)
{
	size_t capacity = buf->capacity != 0 ? buf->capacity : FIRST_CAPACITY;
	while (capacity < needed) {
		if (capacity > SIZE_MAX / 2)
			return false;
		capacity *= 2;
	}
	char *data = malloc(capacity);
	if (!data)
		return false;
	if (buf->data) {
		memcpy(data, buf->data, buf->size + 1);
		wipe(buf->data, buf->capacity);
		free(buf->data);
	} else {
		data[0] = '\0';
	}
	buf->data = data;
	buf->capacity = capacity;
	return true;
}

/* Room for SIZE more bytes and the terminating zero. */
static bool reserve(struct buf *buf, size_t size)
{
	size_t limit = limit_of(buf);
	if (buf->failed)
		return false;
	if (buf->size > limit || size > limit - buf->size || size >= SIZE_MAX - buf->size)
		buf->failed = buf->over_limit = true;
	else if (buf->size + size + 1 > buf->capacity)
		buf->failed = !grow(buf, buf->size + size + 1);
	return !buf->failed;
}

bool buf_append(struct buf *buf, const void *bytes, size_t size)
{
	if (!reserve(buf, size))
		return false;
	if (size != 0)
		memcpy(buf->data + buf->size, bytes, size);
	buf->size += size;
	buf->data[buf->size] = '\0';
	return true;
}

bool buf_puts(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
	va_list arguments, again;
	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		buf->failed = true;
	bool fits = length >= 0 && reserve(buf, (size_t)length);
	if (fits) {
		vsnprintf(buf->data + buf->size, (size_t)length + 1, format, again);
		buf->size += (size_t)length;
	}
	va_end(again);
	va_end(arguments);
	return fits;
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

void buf_reset(struct buf *buf)
{
	wipe(buf->data, buf->capacity);
	buf->size = 0;
	buf->failed = buf->over_limit = false;
}

void buf_free(struct buf *buf)
{
	buf_reset(buf);
	free(buf->data);
	buf->data = NULL;
	buf->capacity = 0;
}

char *buf_steal(struct buf *buf)
{
	/* An empty buffer may have no memory yet. */
	if (!reserve(buf, 0)) {
		buf_free(buf);
		return NULL;
	}
	char *text = buf->data;
	buf->data = NULL;
	buf->size = 0;
	buf->capacity = 0;
	return text;
}
