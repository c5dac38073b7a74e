/* DPoP proofs: a JSON web token signed with ES256.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/dpop.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define COORDINATE_SIZE 32
#define SIGNATURE_SIZE ((size_t)2 * COORDINATE_SIZE)

/* ---- Base64url ---------------------------------------------------------------------------------------------- */

static void append_base64url(struct buf *out, const void *bytes, size_t size)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const unsigned char *next = bytes;

	for (; size > 0; next += 3) {
		size_t taken = size < 3 ? size : 3;
		unsigned group = (unsigned)next[0] << 16 | (taken > 1 ? (unsigned)next[1] << 8 : 0) |
				 (taken > 2 ? next[2] : 0U);

		for (size_t i = 0; i <= taken; i++)
			buf_append(out, &digits[group >> (18 - 6 * i) & 63], 1);
		size -= taken;
	}
}

/* ---- The key ------------------------------------------------------------------------------------------------ */

/* OpenSSL would ask on the terminal. */
static int no_pass_phrase(char *out, int size, int writing, void *arg)
{
	(void)out, (void)size, (void)writing, (void)arg;
	return -1;
}

static EVP_PKEY *read_key(const char *text)
{
	size_t size = strlen(text);
	BIO *source = size <= INT_MAX ? BIO_new_mem_buf(text, (int)size) : NULL;
	EVP_PKEY *key = source ? PEM_read_bio_PrivateKey(source, NULL, no_pass_phrase, NULL) : NULL;

	BIO_free(source);
	return key;
}

/* The public point, found in the key's standard encoding, whose head tells the curve: this works with every version
 * of OpenSSL. */
static bool find_point(EVP_PKEY *key, unsigned char point[SIGNATURE_SIZE])
{
	static const unsigned char head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
					      0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
					      0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
	unsigned char *encoded = NULL;
	int size = i2d_PUBKEY(key, &encoded);
	bool found = size == (int)(sizeof(head) + SIGNATURE_SIZE) && memcmp(encoded, head, sizeof(head)) == 0;

	if (found)
		memcpy(point, encoded + sizeof(head), SIGNATURE_SIZE);
	OPENSSL_free(encoded);
	return found;
}

/* ---- The proof ---------------------------------------------------------------------------------------------- */

static void append_head(struct buf *token, const unsigned char point[SIGNATURE_SIZE])
{
	struct buf head = BUF_INIT;

	buf_puts(&head,
		 "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"");
	append_base64url(&head, point, COORDINATE_SIZE);
	buf_puts(&head, "\",\"y\":\"");
	append_base64url(&head, point + COORDINATE_SIZE, COORDINATE_SIZE);
	buf_puts(&head, "\"}}");
	append_base64url(token, buf_text(&head), head.size);
	token->failed = token->failed || head.failed;
	buf_free(&head);
}

/* A URL that the endpoint's rules let through has nothing in it that JSON would escape. */
static void append_claims(struct buf *token, const struct dpop_claims *claims)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "{\"htm\":\"%s\",\"htu\":\"%s\",\"iat\":%lld,\"jti\":\"%s\"}", claims->method,
		   claims->url, (long long)claims->time_seconds, claims->id);
	append_base64url(token, buf_text(&text), text.size);
	token->failed = token->failed || text.failed;
	buf_free(&text);
}

/* From OpenSSL's form, two numbers of any size, to that of web tokens. */
static bool flatten_signature(const unsigned char *encoded, size_t size, unsigned char out[SIGNATURE_SIZE])
{
	const unsigned char *next = encoded;
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &next, (long)size);
	const BIGNUM *r = NULL, *s = NULL;
	bool fits;

	if (!signature)
		return false;
	ECDSA_SIG_get0(signature, &r, &s);
	fits = BN_bn2binpad(r, out, COORDINATE_SIZE) == COORDINATE_SIZE &&
	       BN_bn2binpad(s, out + COORDINATE_SIZE, COORDINATE_SIZE) == COORDINATE_SIZE;
	ECDSA_SIG_free(signature);
	return fits;
}

static bool sign_token(EVP_PKEY *key, const struct buf *text, unsigned char out[SIGNATURE_SIZE])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char encoded[128];
	size_t size = sizeof(encoded);
	bool good =
		context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
		EVP_DigestSign(context, encoded, &size, (const unsigned char *)buf_text(text), text->size) == 1 &&
		flatten_signature(encoded, size, out);

	EVP_MD_CTX_free(context);
	return good;
}

static awsflock_code append_token(EVP_PKEY *key, const struct dpop_claims *claims, struct buf *out,
				  awsflock_error *error)
{
	unsigned char point[SIGNATURE_SIZE], signature[SIGNATURE_SIZE];
	struct buf token = BUF_INIT;
	bool is_signed;

	if (!find_point(key, point))
		return error_set(error, AWSFLOCK_CREDENTIALS, "its dpopKey is of another kind than P-256");
	append_head(&token, point);
	buf_puts(&token, ".");
	append_claims(&token, claims);
	is_signed = !token.failed && sign_token(key, &token, signature);
	buf_puts(&token, ".");
	if (is_signed)
		append_base64url(&token, signature, sizeof(signature));
	if (token.failed || (is_signed && !buf_puts(out, buf_text(&token)))) {
		buf_free(&token);
		return error_out_of_memory(error);
	}
	buf_free(&token);
	return is_signed ? AWSFLOCK_OK
			 : error_set(error, AWSFLOCK_INTERNAL, "OpenSSL cannot sign with its dpopKey");
}

awsflock_code dpop_append_proof(const char *key_text, const struct dpop_claims *claims, struct buf *out,
				awsflock_error *error)
{
	awsflock_code code;
	EVP_PKEY *key;

	ERR_set_mark(); /* the caller's own queue of errors stays as it is */
	key = read_key(key_text);
	code = key ? append_token(key, claims, out, error)
		   : error_set(error, AWSFLOCK_CREDENTIALS, "its dpopKey is no private key");
	EVP_PKEY_free(key);
	ERR_pop_to_mark();
	return code;
}
