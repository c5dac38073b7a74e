"""TLS: a server with good and bad certificates in front of DynamoDB Local, and the places where trust comes from.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import ssl
import subprocess
import unittest

from awsflocktest import OnDynamoDB, command, run, wait_until
from aws_server import Keys, SigningServer
from certificates import DAY, Authority
from proxy import Proxy


class TlsTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.directory / "authority")

    def serve(self, **identity):
        self.proxy = Proxy(self.endpoint, self.authority.server(**identity))
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def trust(self, path):
        self.environment["AWS_CA_BUNDLE"] = str(path)

    def assertRefused(self, *words):
        """With one sentence, at once, and without a request; doctor gives the same reason."""
        self.assertSays(self.flock("acquire", "deploy"), 1, self.proxy.url, *words)
        self.assertEqual(self.proxy.requests, [])
        told = json.loads(self.flock("doctor", "--json").out)["checks"][-1]
        self.assertEqual((told["check"], told["verdict"]), ("tls", "failed"), told)
        for word in words:
            self.assertIn(word, told["finding"])


class CertificateTest(TlsTest):
    def test_a_lock_is_taken_over_tls_1_3_and_renewed_on_a_connection_that_is_kept(self):
        self.serve()
        self.trust(self.authority.bundle)
        running = self.start(self.flock_command("run", "--lease-duration", "6", "--kill-after", "0.4", "deploy",
                                                *self.job()))
        wait_until(lambda: self.proxy.count("UpdateItem") >= 2 or running.poll() is not None, what="a renewal")
        self.assertEqual(self.finish_job(running), (0, ""))
        self.assertEqual(self.proxy.tls_versions[0], "TLSv1.3")
        self.assertGreaterEqual(self.proxy.count("UpdateItem"), 3)
        # A request that a busy machine answers too late is repeated, on a connection of its own.
        self.assertLess(len(self.proxy.tls_versions), self.proxy.count("UpdateItem"))

    def test_tls_1_2_is_good_enough(self):
        self.serve(newest=ssl.TLSVersion.TLSv1_2)
        self.trust(self.authority.bundle)
        self.acquire("deploy")
        self.assertEqual(self.proxy.tls_versions, ["TLSv1.2"])

    def test_tls_1_1_is_refused(self):
        self.serve(newest=ssl.TLSVersion.TLSv1_1)
        self.trust(self.authority.bundle)
        # The system's settings of OpenSSL may allow it, so that our own minimum decides.
        settings = self.write("openssl.cnf", "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n"
                                             "[old]\nMinProtocol = TLSv1\nCipherString = DEFAULT:@SECLEVEL=0\n")
        self.environment["OPENSSL_CONF"] = str(settings)
        anyone = run(["openssl", "s_client", "-brief", "-connect", self.proxy.url.removeprefix("https://")],
                     self.environment)
        self.assertIn("TLSv1.1", anyone.err)
        self.assertRefused("no trusted connection")

    def test_a_certificate_for_another_host_is_refused(self):
        self.serve(names="DNS:dynamodb.us-east-1.amazonaws.com")
        self.trust(self.authority.bundle)
        self.assertRefused("no trusted connection", "127.0.0.1")

    def test_an_expired_certificate_is_refused(self):
        self.serve(first=-2 * DAY, last=-DAY)
        self.trust(self.authority.bundle)
        self.assertRefused("expired")
        self.assertNotIn("AWS_CA_BUNDLE", self.flock("status", "deploy").err)

    def test_a_certificate_that_is_not_yet_valid_makes_us_ask_for_the_clock(self):
        self.serve(first=DAY, last=2 * DAY)
        self.trust(self.authority.bundle)
        self.assertRefused("not yet valid", "clock")

    def test_a_self_signed_certificate_is_refused(self):
        self.serve(self_signed=True)
        self.trust(self.authority.bundle)
        self.assertRefused("self-signed certificate", "AWS_CA_BUNDLE")

    def test_a_certificate_of_an_authority_that_nobody_trusts_is_refused(self):
        self.serve()
        self.assertRefused("no trusted connection", "AWS_CA_BUNDLE")

    def test_a_refused_certificate_is_not_tried_again(self):
        self.serve(self_signed=True)
        self.trust(self.authority.bundle)
        self.flock("acquire", "deploy")
        self.assertLessEqual(len(self.proxy.errors), 1)

    def test_signatures_hold_over_tls(self):
        server = SigningServer(self.endpoint, {"AKIDEXAMPLE": Keys("secret", "token/+=")}, tls=self.authority.server())
        self.addCleanup(server.close)
        self.use_endpoint(server.proxy.url)
        self.trust(self.authority.bundle)
        self.environment.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret",
                                AWS_SESSION_TOKEN="token/+=")
        self.acquire("Schlüssel")
        self.assertEqual((server.good, server.refusals), (1, []))


class TrustTest(TlsTest):
    """Each place that may name the certificates to trust."""

    def setUp(self):
        super().setUp()
        self.serve()

    def test_the_variable_names_a_bundle_or_a_hashed_directory(self):
        for path in (self.authority.bundle, self.authority.hashed):
            with self.subTest(path=path.name):
                self.trust(path)
                self.acquire(path.name)

    def test_the_profile_and_the_configuration_name_a_bundle(self):
        aws = self.write("aws-config", f"[default]\nca_bundle = {self.authority.bundle}\n")
        self.assertWorked(self.flock("acquire", "one", changes={"AWS_CONFIG_FILE": aws}))
        own = self.write("own.conf", f"[awsflock]\nca_bundle = {self.authority.bundle}\n")
        self.assertWorked(self.flock("acquire", "two", changes={"AWSFLOCK_CONFIG": own}))

    def test_the_variable_of_requests_counts_as_it_does_for_botocore(self):
        self.assertWorked(self.flock("acquire", "deploy", changes={"REQUESTS_CA_BUNDLE": self.authority.bundle}))
        other = Authority(self.directory / "other", "another authority")
        self.assertEqual(self.flock("status", "deploy", changes={"REQUESTS_CA_BUNDLE": self.authority.bundle,
                                                                 "AWS_CA_BUNDLE": other.bundle}).code, 1)

    def test_a_bundle_of_other_authorities_is_not_enough(self):
        self.trust(Authority(self.directory / "other", "another authority").bundle)
        self.assertRefused("no trusted connection")

    def test_a_bundle_that_is_missing_or_no_bundle_is_named(self):
        self.trust(self.directory / "missing.pem")
        self.assertSays(self.flock("acquire", "deploy"), 1, "missing.pem", "CA bundle")
        self.trust(self.write("broken.pem", "this is no certificate\n"))
        self.assertSays(self.flock("acquire", "deploy"), 1, "broken.pem", "CA bundle")

    def with_system_certificates(self, directory, *arguments):
        """awsflock where DIRECTORY stands in the place of /etc/ssl/certs, in a mount namespace of its own."""
        enter = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
        script = 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"'
        if subprocess.run([*enter, "sh", "-c", script, "sh", directory, "true"], check=False,
                          capture_output=True).returncode != 0:
            self.skipTest("no mount namespaces here")
        return run([*enter, "sh", "-c", script, "sh", str(directory), *command(*arguments)], self.environment)

    def test_what_was_given_is_enough_where_the_system_trusts_nobody(self):
        nobody = self.directory / "nobody"
        nobody.mkdir()
        for path in (self.authority.bundle, self.authority.hashed):
            with self.subTest(given=path.name):
                self.trust(path)
                self.assertWorked(self.with_system_certificates(nobody, "acquire", path.name))

    def test_what_was_given_is_trusted_alone(self):
        other = Authority(self.directory / "other", "another authority")
        (self.authority.hashed / "ca-certificates.crt").write_bytes(self.authority.bundle.read_bytes())
        self.assertWorked(self.with_system_certificates(self.authority.hashed, "acquire", "as the system has it"))
        for path in (other.bundle, other.hashed):
            with self.subTest(given=path.name):
                self.trust(path)
                result = self.with_system_certificates(self.authority.hashed, "acquire", "deploy")
                self.assertSays(result, 1, "no trusted connection")
        self.assertIsNone(self.item("deploy"))

    def test_the_systems_hashed_directory_is_enough(self):
        self.assertWorked(self.with_system_certificates(self.authority.hashed, "acquire", "deploy"))

    def test_the_systems_bundle_is_used_where_the_directory_is_not_hashed(self):
        system = self.directory / "system"
        system.mkdir()
        (system / "ca-certificates.crt").write_bytes(self.authority.bundle.read_bytes())
        self.assertWorked(self.with_system_certificates(system, "acquire", "deploy"))

    def test_where_there_is_a_hashed_directory_the_bundle_is_not_read(self):
        (self.authority.hashed / "ca-certificates.crt").write_text("this is no certificate\n", encoding="ascii")
        self.assertWorked(self.with_system_certificates(self.authority.hashed, "acquire", "deploy"))


if __name__ == "__main__":
    unittest.main()
