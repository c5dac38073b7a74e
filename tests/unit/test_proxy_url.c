/* Which URL names a proxy.  SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/proxy_url.h"
#include "cmocka_all.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void what_libcurl_reads_as_it_was_meant_is_taken(void **state)
{
	(void)state;
	static const char *const good[] = { "proxy",
					    "proxy:3128",
					    "http://proxy.example.com:3128",
					    "HTTPS://proxy:443/",
					    "socks5h://127.0.0.1:1080",
					    "http://proxy/a/path",
					    "http://[::1]:3128",
					    "[fe80::1%25eth0]:3128",
					    "http://al@proxy",
					    "http://al:@proxy",
					    "http://al:p%23%2F%3F%40%5C@proxy:3128",
					    "al:p^w{d}!$&'()*+,;=:~@proxy",
					    "http://pr\xC3\xB6xy" };
	awsflock_error error;

	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(proxy_url_check("proxy", good[i], &error), AWSFLOCK_OK);
}

static void anything_else_is_refused_without_being_repeated(void **state)
{
	(void)state;
	static const char *const bad[] = { "http://",
					   ":3128",
					   "ftp://zzz",
					   "http:/zzz",
					   "http://zzz:",
					   "http://zzz:0",
					   "http://zzz:65536",
					   "http://zzz:port",
					   "http://[::1",
					   "http://[zzz]x",
					   "http://al:zzz#@proxy",
					   "http://al:zzz/@proxy",
					   "http://al:zzz?@proxy",
					   "http://al:zzz@@proxy",
					   "http://al:zzz\\@proxy",
					   "al:1#zzz@proxy",
					   "al:1/zzz@proxy",
					   "http://al:zz z@proxy",
					   "http://al:zzz@proxy\n",
					   "http://proxy?zzz",
					   "http://proxy#zzz",
					   "http://proxy/zzz@proxy",
					   "http://al:zzz@http://proxy" };
	awsflock_error error;

	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(proxy_url_check("proxy", bad[i], &error), AWSFLOCK_INVALID);
		assert_null(strstr(error.message, "zz"));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_libcurl_reads_as_it_was_meant_is_taken),
		cmocka_unit_test(anything_else_is_refused_without_being_repeated),
	};
	return cmocka_run_group_tests_name("proxy_url", tests, NULL, NULL);
}
