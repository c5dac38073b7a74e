/* Keys as people compare them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "keeper/fingerprint.h"

#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"

static void a_key_has_the_fingerprint_that_ssh_keygen_shows(void **state)
{
	char shown[FINGERPRINT_SIZE];
	(void)state;
	assert_true(fingerprint_of_login(
		"publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDhTpYKprYN+hVso5hJJ90Pl8ZgHnyfePKZH/fugbGz/\n",
		shown));
	assert_string_equal(shown, "ED25519 SHA256:Vmn3b6NdR/+L7+udfedFHBpkX4w2FpoTu+qXmArFuAA");
}

#define ECDSA                                                                                                      \
	"AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBMGiq5CJiLo0/HSS0CLMCny8VQKln+cIzmOmKNOVftyRMBcTxQ1D" \
	"elf9vreMgt9vsc8WjOfaFrSAsgd/3p2hIIg"
#define ECDSA_SHOWN "ECDSA SHA256:+13Og5fOfQATsWRPOfou8TaYfLL1aflQXo5U3oNaX7M"

static void other_kinds_have_those_of_ssh_keygen_too(void **state)
{
	static const char rsa[] =
		"publickey ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDRPpuIr6MsqZbUOM4zDPEt1CSTG7B4EzZx1NEf9zH6Ky+RYGNu"
		"K0c5R7ThCextMgo1yjf3ySQyTyAUzsaeSc6F+p1nWsAyxxVzc16o7WSp0514P72QTRe+KDQoDEJXH3UUZLdcBdy6PSVnCItga"
		"o/sU4wFrO9M9z1FSzO7pmm0VH7xS/Bse4gCu8UofQP5gOTYCitGvaevhfFPu0Dcgf7oYQdWMpqvczzBDw/cZyBKEi0xmVUzqg"
		"h7G+fR8hhcxflZDshEeZhZLE30AcxQuecb95PldFf7syVCiGdV61YhKPlMG1lZIHDovKq+yum/SnlIuWyxu9+e2wxgIVswqau"
		"D\npassword";
	char shown[FINGERPRINT_SIZE];
	(void)state;
	assert_true(fingerprint_of_login(rsa, shown));
	assert_string_equal(shown, "RSA SHA256:5iXkliaSZtkZeWOmcu9pLTJfS9Jlw1pXeRTrvI6XPmU");
	assert_true(fingerprint_of_login("publickey ecdsa-sha2-nistp256 " ECDSA "=", shown));
	assert_string_equal(shown, ECDSA_SHOWN);
}

static void the_padding_may_be_left_out(void **state)
{
	char shown[FINGERPRINT_SIZE];
	(void)state;
	assert_true(fingerprint_of_login("publickey ecdsa-sha2-nistp256 " ECDSA, shown));
	assert_string_equal(shown, ECDSA_SHOWN);
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
					     "publickey ssh-ed25519 AA=A",
					     "publickey ssh-ed25519 AAAAA",
					     "publickey ssh-ed25519 \tAAA",
					     "publickey ssh-ed25519 AAA\t",
					     "publickey  AAAA" };
	char shown[FINGERPRINT_SIZE];
	(void)state;
	for (size_t i = 0; i < sizeof(infos) / sizeof(infos[0]); i++)
		assert_false(fingerprint_of_login(infos[i], shown));
}

static void a_key_that_is_too_long_has_none(void **state)
{
	char info[10000] = "publickey ssh-rsa ", shown[FINGERPRINT_SIZE];
	(void)state;
	memset(info + strlen(info), 'A', sizeof(info) - strlen("publickey ssh-rsa ") - 1);
	assert_false(fingerprint_of_login(info, shown));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_kinds_have_those_of_ssh_keygen_too),
		cmocka_unit_test(the_padding_may_be_left_out),
		cmocka_unit_test(a_key_has_the_fingerprint_that_ssh_keygen_shows),
		cmocka_unit_test(what_names_no_key_has_no_fingerprint),
		cmocka_unit_test(a_key_that_is_too_long_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
