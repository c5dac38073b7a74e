/* The local store's file names.  Not even the leading dot of a lock's name survives the encoding, so that no lock's
 * file is hidden, is "..", or is another lock's temporary file.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/name.h"

#include <stddef.h>
#include <string.h>

#include <openssl/evp.h>

#include "awsflock.h"

#define SUFFIX ".json"
#define SUFFIX_LENGTH (sizeof(SUFFIX) - 1)
#define ENCODED_MAX (3 * (size_t)AWSFLOCK_LOCK_MAX)
#define HASHED_HEAD_MAX 100 /* bytes of the encoding that a hashed name keeps, for people */
#define HASH_SIZE 32
#define HASH_TEXT_LENGTH ((size_t)2 * HASH_SIZE)
#define HASH_MARK '~' /* never made by the encoding */

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

/* OUT holds ENCODED_MAX + 1 bytes; what of TEXT does not fit is left out.  Returns the length. */
static size_t encode(const char *text, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t length = 0;

	for (const char *at = text; *at != '\0' && length + 3 <= ENCODED_MAX; at++) {
		if (is_plain(*at) && (at != text || *at != '.')) {
			out[length++] = *at;
			continue;
		}
		out[length++] = '%';
		out[length++] = digits[(unsigned char)*at >> 4];
		out[length++] = digits[(unsigned char)*at & 15];
	}
	out[length] = '\0';
	return length;
}

static bool append_hash(const char *lock, char *out)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[EVP_MAX_MD_SIZE];

	if (EVP_Digest(lock, strlen(lock), hash, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < HASH_SIZE; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	return true;
}

/* The longest start of ENCODED, at most LIMIT bytes, that ends with a whole escape. */
static size_t whole_escapes(const char *encoded, size_t limit)
{
	size_t length = 0;

	for (;;) {
		size_t step = encoded[length] == '%' ? 3 : 1;

		if (encoded[length] == '\0' || length + step > limit)
			return length;
		length += step;
	}
}

bool local_name_of_lock(const char *lock, char name[LOCAL_NAME_SIZE])
{
	char encoded[ENCODED_MAX + 1];
	size_t length = encode(lock, encoded);

	if (length + SUFFIX_LENGTH < LOCAL_NAME_SIZE) {
		memcpy(name, encoded, length);
	} else {
		length = whole_escapes(encoded, HASHED_HEAD_MAX);
		memcpy(name, encoded, length);
		name[length++] = HASH_MARK;
		if (!append_hash(lock, name + length))
			return false;
		length += HASH_TEXT_LENGTH;
	}
	memcpy(name + length, SUFFIX, sizeof(SUFFIX));
	return true;
}

/* How much of NAME is a lock's encoding; 0 where NAME does not start with one. */
static size_t encoded_length(const char *name)
{
	size_t length = 0;

	while (is_plain(name[length]) || name[length] == '%') {
		if (name[length] == '%') {
			if (name[length + 1] == '\0' || strspn(name + length + 1, "0123456789ABCDEF") < 2)
				return 0;
			length += 2;
		}
		length++;
	}
	if (name[length] == HASH_MARK)
		return length;
	if (name[length] != '\0' || length <= SUFFIX_LENGTH)
		return 0;
	return length - SUFFIX_LENGTH;
}

bool local_name_is_ours(const char *name)
{
	size_t length = encoded_length(name);
	const char *rest = name + length;

	if (length == 0 || name[0] == '.' || strlen(name) >= LOCAL_NAME_SIZE)
		return false;
	if (*rest == HASH_MARK) {
		if (strspn(rest + 1, "0123456789abcdef") != HASH_TEXT_LENGTH)
			return false;
		rest += 1 + HASH_TEXT_LENGTH;
	}
	return strcmp(rest, SUFFIX) == 0;
}

bool local_name_may_start_with(const char *name, const char *prefix)
{
	char encoded[ENCODED_MAX + 1];
	size_t wanted = encode(prefix, encoded);
	size_t present = encoded_length(name);

	if (wanted > present && name[present] != HASH_MARK)
		return false;
	return memcmp(name, encoded, wanted < present ? wanted : present) == 0;
}
