/* AWS Signature Version 4: the canonical request, its digest, the derived key, the signature.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aws/sigv4.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"

#define DIGEST_SIZE 32
#define HEADERS_MAX 16
#define DAY_SIZE 9 /* "20261123" */

/* Everything that one signature is made of; the headers are sorted by name. */
struct signing {
	bool lacks_memory; /* for one of the texts in between */
	const struct sigv4_request *request;
	const struct sigv4_keys *keys;
	const char *date;
	char day[DAY_SIZE];
	struct http_header headers[HEADERS_MAX];
	size_t header_count;
};

static const char hex_digits[] = "0123456789abcdef";

static bool append_hex(struct buf *out, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char pair[2] = { hex_digits[bytes[i] >> 4], hex_digits[bytes[i] & 15] };

		if (!buf_append(out, pair, sizeof(pair)))
			return false;
	}
	return true;
}

static bool append_digest(struct buf *out, const void *bytes, size_t size)
{
	unsigned char digest[DIGEST_SIZE];
	unsigned int length = 0;

	if (EVP_Digest(bytes, size, digest, &length, EVP_sha256(), NULL) != 1 || length != DIGEST_SIZE)
		return false;
	return append_hex(out, digest, DIGEST_SIZE);
}

/* OUT may be KEY. */
static bool hmac_sha256(const void *key, size_t key_size, const char *text, size_t text_size,
			unsigned char out[DIGEST_SIZE])
{
	unsigned char digest[DIGEST_SIZE];
	unsigned int length = 0;
	bool done =
		HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, text_size, digest, &length) &&
		length == DIGEST_SIZE;

	if (done)
		memcpy(out, digest, DIGEST_SIZE);
	wipe(digest, sizeof(digest));
	return done;
}

static bool add_header(struct signing *signing, const char *name, const char *value)
{
	size_t at = signing->header_count;

	if (at == HEADERS_MAX)
		return false;
	while (at > 0 && strcasecmp(signing->headers[at - 1].name, name) > 0) {
		signing->headers[at] = signing->headers[at - 1];
		at--;
	}
	signing->headers[at] = (struct http_header){ name, value };
	signing->header_count++;
	return true;
}

static bool collect_headers(struct signing *signing)
{
	const struct sigv4_request *request = signing->request;

	for (size_t i = 0; i < request->header_count; i++) {
		if (!add_header(signing, request->headers[i].name, request->headers[i].value))
			return false;
	}
	if (!add_header(signing, "x-amz-date", signing->date))
		return false;
	return !signing->keys->session_token ||
	       add_header(signing, "x-amz-security-token", signing->keys->session_token);
}

static void append_lower(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;

		buf_append(out, &c, 1);
	}
}

/* Outer white space goes, inner runs of it become one space. */
static void append_folded(struct buf *out, const char *value)
{
	bool space_due = false, begun = false;

	for (; *value != '\0'; value++) {
		if (isspace((unsigned char)*value)) {
			space_due = begun;
			continue;
		}
		if (space_due)
			buf_append(out, " ", 1);
		space_due = false;
		begun = true;
		buf_append(out, value, 1);
	}
}

/* Every service but S3 encodes the path of the request line once more. */
static void append_path(struct buf *out, const char *path)
{
	static const char kept[] = "-._~/";

	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;

		if ((c < 128 && isalnum(c)) || strchr(kept, c))
			buf_append(out, path, 1);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void append_signed_names(struct buf *out, const struct signing *signing)
{
	for (size_t i = 0; i < signing->header_count; i++) {
		if (i > 0)
			buf_puts(out, ";");
		append_lower(out, signing->headers[i].name);
	}
}

static bool append_canonical_request(struct buf *out, const struct signing *signing)
{
	const struct sigv4_request *request = signing->request;

	buf_printf(out, "%s\n", request->method);
	append_path(out, request->path);
	buf_printf(out, "\n%s\n", request->query ? request->query : "");
	for (size_t i = 0; i < signing->header_count; i++) {
		append_lower(out, signing->headers[i].name);
		buf_puts(out, ":");
		append_folded(out, signing->headers[i].value);
		buf_puts(out, "\n");
	}
	buf_puts(out, "\n");
	append_signed_names(out, signing);
	buf_puts(out, "\n");
	return append_digest(out, request->body ? request->body : "", request->body_size) && !out->failed;
}

static void append_scope(struct buf *out, const struct signing *signing)
{
	buf_printf(out, "%s/%s/%s/aws4_request", signing->day, signing->request->region, signing->request->service);
}

static bool append_string_to_sign(struct buf *out, struct signing *signing)
{
	struct buf canonical = BUF_INIT;
	bool done = append_canonical_request(&canonical, signing);

	if (done) {
		buf_printf(out, "AWS4-HMAC-SHA256\n%s\n", signing->date);
		append_scope(out, signing);
		buf_puts(out, "\n");
		done = append_digest(out, canonical.data, canonical.size) && !out->failed;
	}
	signing->lacks_memory = signing->lacks_memory || canonical.failed || out->failed;
	buf_free(&canonical);
	return done;
}

static bool derive_key(struct signing *signing, unsigned char key[DIGEST_SIZE])
{
	const char *const steps[] = { signing->request->region, signing->request->service, "aws4_request" };
	struct buf secret = BUF_INIT;
	bool done = buf_puts(&secret, "AWS4") && buf_puts(&secret, signing->keys->secret_access_key) &&
		    hmac_sha256(secret.data, secret.size, signing->day, strlen(signing->day), key);

	for (size_t i = 0; done && i < sizeof(steps) / sizeof(steps[0]); i++)
		done = hmac_sha256(key, DIGEST_SIZE, steps[i], strlen(steps[i]), key);
	signing->lacks_memory = signing->lacks_memory || secret.failed;
	buf_free(&secret);
	return done;
}

static bool append_signature(struct buf *out, struct signing *signing)
{
	unsigned char key[DIGEST_SIZE], signature[DIGEST_SIZE];
	struct buf text = BUF_INIT;
	bool done = append_string_to_sign(&text, signing) && derive_key(signing, key) &&
		    hmac_sha256(key, DIGEST_SIZE, text.data, text.size, signature) &&
		    append_hex(out, signature, DIGEST_SIZE);

	wipe(key, sizeof(key));
	buf_free(&text);
	return done;
}

static bool format_date(int64_t time_seconds, char date[SIGV4_DATE_SIZE])
{
	time_t seconds = (time_t)time_seconds;
	struct tm utc;

	return gmtime_r(&seconds, &utc) &&
	       strftime(date, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc) == SIGV4_DATE_SIZE - 1;
}

awsflock_code sigv4_sign(const struct sigv4_request *request, const struct sigv4_keys *keys,
			 char date[SIGV4_DATE_SIZE], struct buf *authorization, awsflock_error *error)
{
	struct signing signing = { .request = request, .keys = keys, .date = date };

	if (!format_date(request->time_seconds, date))
		return error_set(error, AWSFLOCK_INTERNAL, "the time %lld cannot be written as a date",
				 (long long)request->time_seconds);
	memcpy(signing.day, date, DAY_SIZE - 1);
	if (!collect_headers(&signing))
		return error_set(error, AWSFLOCK_INTERNAL, "too many headers to sign");
	buf_printf(authorization, "AWS4-HMAC-SHA256 Credential=%s/", keys->access_key_id);
	append_scope(authorization, &signing);
	buf_puts(authorization, ", SignedHeaders=");
	append_signed_names(authorization, &signing);
	buf_puts(authorization, ", Signature=");
	if (append_signature(authorization, &signing) && !authorization->failed)
		return AWSFLOCK_OK;
	if (signing.lacks_memory || authorization->failed)
		return error_out_of_memory(error);
	return error_set(error, AWSFLOCK_INTERNAL, "the request could not be signed: OpenSSL failed");
}
