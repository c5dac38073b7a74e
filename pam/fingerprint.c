/* A public key as people compare it: "ED25519 SHA256:...", as ssh-keygen -l and sshd's log have it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "sha256.h"

#define METHOD "publickey "
#define KEY_MAX 4096 /* bytes; RSA of 16384 bits has half of that */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* How many bytes TEXT (SIZE characters of base64, with or without padding) is; 0 where it is not, or is too
 * long. */
static size_t decode(const char *text, size_t size, unsigned char bytes[KEY_MAX])
{
	size_t count = 0;
	uint32_t bits = 0;
	unsigned held = 0;
	while (size > 0 && text[size - 1] == '=')
		size--;
	for (size_t i = 0; i < size; i++) {
		const char *place = memchr(alphabet, text[i], sizeof(alphabet) - 1);
		if (place == NULL || count == KEY_MAX)
			return 0;
		bits = bits << 6 | (uint32_t)(place - alphabet);
		held += 6;
		if (held >= 8) {
			held -= 8;
			bytes[count++] = (unsigned char)(bits >> held);
		}
	}
	return count;
}

/* Without padding, as ssh-keygen has it. */
static void encode(const unsigned char digest[SHA256_SIZE], char text[SHA256_SIZE * 4 / 3 + 2])
{
	size_t length = 0;
	uint32_t bits = 0;
	unsigned held = 0;
	for (size_t i = 0; i < SHA256_SIZE; i++) {
		bits = bits << 8 | digest[i];
		for (held += 8; held >= 6; held -= 6)
			text[length++] = alphabet[bits >> (held - 6) & 63];
	}
	if (held > 0)
		text[length++] = alphabet[bits << (6 - held) & 63];
	text[length] = '\0';
}

/* The name that people know a kind of key by; its own where it is a rare one. */
static void name_kind(const char *type, size_t size, char kind[24])
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
			(void)snprintf(kind, 24, "%s", kinds[i].name);
			return;
		}
	}
	(void)snprintf(kind, 24, "%.*s", size < 23 ? (int)size : 23, type);
}

bool fingerprint_of_login(const char *info, char fingerprint[FINGERPRINT_SIZE])
{
	unsigned char bytes[KEY_MAX], digest[SHA256_SIZE];
	char kind[24], text[SHA256_SIZE * 4 / 3 + 2];
	if (strncmp(info, METHOD, strlen(METHOD)) != 0)
		return false;
	const char *type = info + strlen(METHOD);
	size_t type_size = strcspn(type, " \n");
	if (type_size == 0 || type[type_size] != ' ')
		return false;
	const char *key = type + type_size + 1;
	size_t count = decode(key, strcspn(key, " \n"), bytes);
	if (count == 0)
		return false;
	name_kind(type, type_size, kind);
	sha256(bytes, count, digest);
	encode(digest, text);
	(void)snprintf(fingerprint, FINGERPRINT_SIZE, "%s SHA256:%s", kind, text);
	return true;
}
