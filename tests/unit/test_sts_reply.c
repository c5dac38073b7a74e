/* Tests of aws/credentials/sts_reply.c.  SPDX-License-Identifier: Apache-2.0 */
#include "aws/credentials/sts_reply.h"

#include <string.h>

#include "cmocka_all.h"

#define WHOLE(credentials)                                                                                         \
	"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n <AssumeRoleResult>\n"          \
	"  <Credentials>" credentials "</Credentials>\n </AssumeRoleResult>\n <ResponseMetadata/>\n"               \
	"</AssumeRoleResponse>\n"
#define KEYS                                                                                                       \
	"<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s&amp;&lt;&gt;&quot;&apos;&#47;&#x2B;&#xe4;</"            \
	"SecretAccessKey>"                                                                                         \
	"<SessionToken>t</SessionToken><Expiration>2026-11-23T14:02:11Z</Expiration>"

static bool parse(const char *text, struct sts_reply *reply)
{
	struct buf body = BUF_INIT;
	buf_puts(&body, text);
	bool good = sts_reply_parse(&body, reply);
	buf_free(&body);
	return good;
}

static void credentials_are_found_where_sts_puts_them(void **state)
{
	(void)state;
	static const char *const texts[] = { WHOLE(KEYS), "<?xml version=\"1.0\"?>\n" WHOLE(KEYS),
					     WHOLE("\n" KEYS "\n<Other a='1' b = \"2\"/>") };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sts_reply reply;
		assert_true(parse(texts[i], &reply));
		assert_string_equal(buf_text(&reply.access_key_id), "ASIA");
		assert_string_equal(buf_text(&reply.secret_access_key), "s&<>\"'/+\xc3\xa4");
		assert_string_equal(buf_text(&reply.session_token), "t");
		assert_string_equal(buf_text(&reply.expiration), "2026-11-23T14:02:11Z");
		assert_int_equal(reply.error_code.size, 0);
		sts_reply_clear(&reply);
	}
}

static void an_error_is_found_with_its_message(void **state)
{
	(void)state;
	struct sts_reply reply;
	assert_true(parse("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
			  "<Message>no &amp; no</Message></Error><RequestId>x</RequestId></ErrorResponse>",
			  &reply));
	assert_string_equal(buf_text(&reply.error_code), "AccessDenied");
	assert_string_equal(buf_text(&reply.error_message), "no & no");
	assert_int_equal(reply.access_key_id.size, 0);
	sts_reply_clear(&reply);
}

static void keys_elsewhere_are_none(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"<AccessKeyId>A</AccessKeyId>", "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>",
		"<a><b><c><Credentials><AccessKeyId>A</AccessKeyId></Credentials></c></b></a>",
		"<a><b><Other><AccessKeyId>A</AccessKeyId></Other></b></a>"
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sts_reply reply;
		assert_true(parse(texts[i], &reply));
		assert_int_equal(reply.access_key_id.size, 0);
		sts_reply_clear(&reply);
	}
}

static void what_is_no_xml_of_sts_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "",
					     "x",
					     "<",
					     "<a",
					     "<a>",
					     "</a>",
					     "<a></b>",
					     "<a></a><b></b>",
					     "<a></a>x",
					     "x<a></a>",
					     "<a>&unknown;</a>",
					     "<a>&#;</a>",
					     "<a>&#x;</a>",
					     "<a>&#xZ;</a>",
					     "<a>&#1114112;</a>",
					     "<a>&#0;</a>",
					     "<a>&</a>",
					     "<a b></a>",
					     "<a b=c></a>",
					     "<a b=\"c></a>",
					     "<a/",
					     "<!DOCTYPE a><a></a>",
					     "<a><!-- x --></a>",
					     "<a><![CDATA[x]]></a>",
					     "<a><?x?></a>",
					     "<?xml version=\"1.0\"",
					     "<a><b><c><d><e><f><g><h><i></i></h></g></f></e></d></c></b></a>",
					     WHOLE("<AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId>"),
					     "{\"a\":1}" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sts_reply reply;
		if (parse(texts[i], &reply))
			print_error("%s\n", texts[i]);
		sts_reply_clear(&reply);
		assert_false(parse(texts[i], &reply));
		sts_reply_clear(&reply);
	}
}

static void a_zero_byte_is_refused(void **state)
{
	(void)state;
	struct buf body = BUF_INIT;
	struct sts_reply reply;
	buf_append(&body, "<a></a>\0x", 9);
	assert_false(sts_reply_parse(&body, &reply));
	sts_reply_clear(&reply);
	buf_free(&body);
}

static void every_beginning_of_a_reply_is_refused(void **state)
{
	(void)state;
	static const char text[] = WHOLE(KEYS);
	for (size_t size = 0; size < sizeof(text) - 2; size++) { /* the last character is only white space */
		struct buf body = BUF_INIT;
		struct sts_reply reply;
		buf_append(&body, text, size);
		assert_false(sts_reply_parse(&body, &reply));
		sts_reply_clear(&reply);
		buf_free(&body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(credentials_are_found_where_sts_puts_them),
		cmocka_unit_test(an_error_is_found_with_its_message),
		cmocka_unit_test(keys_elsewhere_are_none),
		cmocka_unit_test(what_is_no_xml_of_sts_is_refused),
		cmocka_unit_test(a_zero_byte_is_refused),
		cmocka_unit_test(every_beginning_of_a_reply_is_refused),
	};
	return cmocka_run_group_tests_name("sts_reply", tests, NULL, NULL);
}
