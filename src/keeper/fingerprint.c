/* See fingerprint.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "keeper/fingerprint.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define METHOD "publickey "
#define BASE64_MAX ((size_t)8192) /* characters; RSA of 16384 bits has a third of that */
#define BYTES_MAX (BASE64_MAX / 4 * 3)
#define DIGEST_SIZE 32
#define DIGEST_BASE64_SIZE 45 /* with its padding and the terminating zero */
#define KIND_SIZE 24

/* How many bytes TEXT (SIZE characters of base64, with or without padding) is; 0 where it is none, or too long. */
static size_t decode_key(const char *text, size_t size, unsigned char bytes[BYTES_MAX])
{
	unsigned char padded[BASE64_MAX + 4];
	size_t whole;

	while (size > 0 && text[size - 1] == '=')
		size--;
	if (size == 0 || size > BASE64_MAX || size % 4 == 1 || memchr(text, '=', size))
		return 0;
	whole = (size + 3) / 4 * 4;
	memcpy(padded, text, size);
	memset(padded + size, 'A', whole - size); /* zero bits, which are not counted below */
	/* White space around the text, which it passes over, makes it come out shorter. */
	if (EVP_DecodeBlock(bytes, padded, (int)whole) != (int)(whole / 4 * 3))
		return 0;
	return size * 3 / 4;
}

/* Without padding, as ssh-keygen has it. */
static bool encode_digest(const unsigned char *bytes, size_t size, unsigned char text[DIGEST_BASE64_SIZE])
{
	unsigned char digest[DIGEST_SIZE];

	if (EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	EVP_EncodeBlock(text, digest, sizeof(digest));
	text[strcspn((const char *)text, "=")] = '\0';
	return true;
}

/* The name that people know a kind of key by; its own where it is a rare one. */
static void name_kind(const char *type, size_t size, char kind[KIND_SIZE])
{
	static const struct {
		const char *start, *name;
	} kinds[] = { { "ssh-ed25519-cert", "ED25519-CERT" },
		      { "ssh-ed25519", "ED25519" },
		      { "ssh-rsa-cert", "RSA-CERT" },
		      { "ssh-rsa", "RSA" },
		      { "sk-ssh-ed25519", "ED25519-SK" },
		      { "sk-ecdsa-", "ECDSA-SK" },
		      { "ecdsa-", "ECDSA" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t length = strlen(kinds[i].start);
		if (size >= length && memcmp(type, kinds[i].start, length) == 0) {
			snprintf(kind, KIND_SIZE, "%s", kinds[i].name);
			return;
		}
	}
	snprintf(kind, KIND_SIZE, "%.*s", size < KIND_SIZE ? (int)size : KIND_SIZE - 1, type);
}

bool fingerprint_of_login(const char *info, char fingerprint[FINGERPRINT_SIZE])
{
	unsigned char bytes[BYTES_MAX], text[DIGEST_BASE64_SIZE];
	const char *type = info + strlen(METHOD), *key;
	size_t type_size, size;
	char kind[KIND_SIZE];

	if (strncmp(info, METHOD, strlen(METHOD)) != 0)
		return false;
	type_size = strcspn(type, " \n");
	if (type_size == 0 || type[type_size] != ' ')
		return false;
	key = type + type_size + 1;
	size = decode_key(key, strcspn(key, " \n"), bytes);
	if (size == 0 || !encode_digest(bytes, size, text))
		return false;
	name_kind(type, type_size, kind);
	snprintf(fingerprint, FINGERPRINT_SIZE, "%s SHA256:%s", kind, (const char *)text);
	return true;
}
