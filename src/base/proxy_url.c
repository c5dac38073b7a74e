/* See proxy_url.h.  SPDX-License-Identifier: Apache-2.0 */
#include "base/proxy_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Behind the scheme, which may be left out; NULL where it is none of a proxy. */
static const char *skip_scheme(const char *url)
{
	static const char *const schemes[] = { "http", "https", "socks", "socks4", "socks4a", "socks5", "socks5h" };
	const char *end = strstr(url, "://");

	if (!end)
		return url;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (strlen(schemes[i]) == (size_t)(end - url) &&
		    strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
			return end + strlen("://");
	}
	return NULL;
}

/* A name may be of any alphabet; libcurl translates it. */
static bool is_host_byte(char c)
{
	return (unsigned char)c >= 0x80 || (c != '\0' && strchr(LETTERS_AND_DIGITS "-._", c));
}

static const char *skip_host(const char *text)
{
	const char *start = text;

	if (*text == '[') {
		size_t size = strspn(text + 1, LETTERS_AND_DIGITS ":.%-_"); /* with a zone */
		return size > 0 && text[1 + size] == ']' ? text + size + 2 : NULL;
	}
	while (is_host_byte(*text))
		text++;
	return text > start ? text : NULL;
}

static const char *skip_port(const char *text)
{
	char digits[6] = "";
	size_t size;
	int64_t number;

	if (*text != ':')
		return text;
	size = strspn(++text, "0123456789");
	if (size == 0 || size >= sizeof(digits))
		return NULL;
	memcpy(digits, text, size);
	return text_parse_int64(digits, 1, 65535, &number) ? text + size : NULL;
}

static bool is_proxy_url(const char *url)
{
	const char *rest = skip_scheme(url), *at;

	for (const char *c = url; *c != '\0'; c++) {
		if ((unsigned char)*c <= ' ' || *c == 0x7F || *c == '\\')
			return false;
	}
	if (!rest)
		return false;
	at = strchr(rest, '@');
	if (at && strcspn(rest, "/?#") < (size_t)(at - rest))
		return false;
	rest = skip_host(at ? at + 1 : rest);
	if (rest)
		rest = skip_port(rest);
	/* libcurl leaves a path alone. */
	return rest && (*rest == '\0' || *rest == '/') && !strpbrk(rest, "?#@");
}

awsflock_code proxy_url_check(const char *name, const char *url, awsflock_error *error)
{
	if (is_proxy_url(url))
		return AWSFLOCK_OK;
	return error_set(error, AWSFLOCK_INVALID,
			 "%s is no URL of a proxy, such as http://proxy.example.com:3128; in its user name and "
			 "password write %%23 for '#', %%2F for '/', %%3F for '?', %%40 for '@' and %%5C for '\\'",
			 name);
}

awsflock_code proxy_url_check_environment(awsflock_error *error)
{
	/* HTTP_PROXY is none of them: CGI puts a client's header into it. */
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *url = getenv(names[i]); /* as libcurl looks */
		awsflock_error why;

		if (url && url[0] != '\0' && proxy_url_check(names[i], url, &why) != AWSFLOCK_OK)
			return error_set(error, AWSFLOCK_CONFIG, "%s", why.message);
	}
	return AWSFLOCK_OK;
}
