/* Tests of pam/fingerprint.c and pam/sha256.c.  SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "sha256.h"

/* FIPS 180-4's own examples, and lengths around the edges of a block (by sha256sum). */
static void digests_are_those_of_the_standard(void **state)
{
	static const struct {
		const char *text;
		size_t repeated;
		const char *digest;
	} cases[] = {
		{ "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
		{ "a", 55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
		{ "a", 64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
		{ "a", 1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char bytes[1024], digest[SHA256_SIZE];
		char hex[2 * SHA256_SIZE + 1];
		size_t length = strlen(cases[i].text);
		for (size_t k = 0; k < cases[i].repeated; k++)
			memcpy(bytes + k * length, cases[i].text, length);
		sha256(bytes, cases[i].repeated * length, digest);
		for (size_t k = 0; k < SHA256_SIZE; k++)
			snprintf(hex + 2 * k, 3, "%02x", (unsigned)digest[k]);
		assert_string_equal(hex, cases[i].digest);
	}
}

static void a_key_has_the_fingerprint_that_ssh_keygen_shows(void **state)
{
	char shown[FINGERPRINT_SIZE];
	(void)state;
	assert_true(fingerprint_of_login(
		"publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDhTpYKprYN+hVso5hJJ90Pl8ZgHnyfePKZH/fugbGz/\n",
		shown));
	assert_string_equal(shown, "ED25519 SHA256:Vmn3b6NdR/+L7+udfedFHBpkX4w2FpoTu+qXmArFuAA");
}

static void what_names_no_key_has_no_fingerprint(void **state)
{
	static const char *const infos[] = { "",
					     "password",
					     "keyboard-interactive",
					     "publickey ",
					     "publickey ssh-ed25519",
					     "publickey ssh-ed25519 ",
					     "publickey ssh-ed25519 \n",
					     "publickey ssh-ed25519 ====",
					     "publickey ssh-ed25519 AA*A",
					     "publickey  AAAA" };
	char shown[FINGERPRINT_SIZE];
	(void)state;
	for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
		assert_false(fingerprint_of_login(infos[i], shown));
}

static void a_key_that_is_too_long_has_none(void **state)
{
	char info[8192] = "publickey ssh-rsa ", shown[FINGERPRINT_SIZE];
	(void)state;
	memset(info + strlen(info), 'A', sizeof(info) - strlen("publickey ssh-rsa ") - 1);
	assert_false(fingerprint_of_login(info, shown));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_those_of_the_standard),
		cmocka_unit_test(a_key_has_the_fingerprint_that_ssh_keygen_shows),
		cmocka_unit_test(what_names_no_key_has_no_fingerprint),
		cmocka_unit_test(a_key_that_is_too_long_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
