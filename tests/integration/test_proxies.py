"""Proxies, by a real one: tinyproxy between awsflock and a TLS server in front of DynamoDB Local.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

from awsflocktest import OnDynamoDB, closed_port, wait_until
from certificates import Authority
from proxy import Proxy
from tinyproxy import Tinyproxy


class ProxiedTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        authority = Authority(self.directory / "authority")
        self.server = Proxy(self.endpoint, authority.server())
        self.addCleanup(self.server.close)
        self.use_endpoint(self.server.url)
        self.environment["AWS_CA_BUNDLE"] = str(authority.bundle)

    def start_proxy(self, **options):
        proxy = Tinyproxy(self.directory / "tinyproxy", **options)
        self.addCleanup(proxy.end)
        self.connect = f"CONNECT 127.0.0.1:{self.server.port} HTTP/1.1"
        return proxy


class TunnelTest(ProxiedTest):
    def test_the_variables_name_a_proxy_and_its_tunnel_carries_the_tls_connection(self):
        proxy = self.start_proxy()
        for name, value in (("HTTPS_PROXY", proxy.url), ("https_proxy", proxy.url), ("ALL_PROXY", proxy.url),
                            ("HTTPS_PROXY", proxy.address)):
            with self.subTest(variable=name, value=value):
                before = len(proxy.requests())
                lease_id = self.assertLeaseId(self.flock("acquire", "deploy", changes={name: value}).out)
                self.assertEqual(proxy.requests()[before:], [self.connect])
                self.assertWorked(self.flock("release", "deploy", lease_id))
        self.assertEqual(self.server.tls_versions[0], "TLSv1.3")

    def test_a_run_renews_through_one_tunnel(self):
        proxy = self.start_proxy()
        self.environment["HTTPS_PROXY"] = proxy.url
        running = self.start(self.flock_command("run", "--lease-duration", "6", "--kill-after", "0.4", "deploy",
                                                *self.job()))
        wait_until(lambda: self.server.count("UpdateItem") >= 2 or running.poll() is not None, what="a renewal")
        self.assertEqual(self.finish_job(running), (0, ""))
        self.assertEqual(set(proxy.requests()), {self.connect})
        # One is all it takes, unless an answer does not come in time: then the tunnel is made anew.
        self.assertLess(len(proxy.requests()), self.server.count("UpdateItem"))
        self.assertGreaterEqual(self.server.count("UpdateItem"), 3)

    def test_the_configuration_names_a_proxy_before_the_variables(self):
        proxy = self.start_proxy()
        config = self.write("own.conf", f"[awsflock]\nproxy = {proxy.url}\n")
        self.assertWorked(self.flock("acquire", "deploy", changes={
            "AWSFLOCK_CONFIG": config, "HTTPS_PROXY": f"http://127.0.0.1:{closed_port()}"}))
        self.assertEqual(proxy.requests(), [self.connect])

    def test_hosts_of_no_proxy_are_asked_directly(self):
        proxy = self.start_proxy()
        for value in ("127.0.0.1", "example.com,127.0.0.1", "*"):
            for name in ("NO_PROXY", "no_proxy"):
                with self.subTest(variable=name, value=value):
                    self.assertWorked(self.flock("status", "deploy", changes={"HTTPS_PROXY": proxy.url, name: value}))
        self.assertEqual(proxy.requests(), [])

    def test_a_port_of_no_proxy_is_minded(self):
        proxy = self.start_proxy()
        port, other = self.server.port, self.server.port + 1 if self.server.port < 65535 else 1024
        for value, direct in ((f"127.0.0.1:{port}", True), (f"example.com:1, 127.0.0.1:{port} ,x", True),
                              (f"127.0.0.1:{other}", False), (f"127.0.0.1:{port}0", False), (f"x:{port}", False)):
            for name in ("NO_PROXY", "no_proxy"):
                with self.subTest(variable=name, value=value):
                    before = len(proxy.requests())
                    self.assertWorked(self.flock("status", "deploy", changes={"HTTPS_PROXY": proxy.url, name: value}))
                    self.assertEqual(len(proxy.requests()) - before, 0 if direct else 1)

    def test_a_login_is_used_and_never_shown(self):
        proxy = self.start_proxy(login=("alice", "open-sesame"))
        result = self.flock("-v", "acquire", "deploy",
                            changes={"HTTPS_PROXY": f"http://alice:open-sesame@{proxy.address}"})
        self.assertWorked(result)
        result = self.flock("-v", "acquire", "other",
                            changes={"HTTPS_PROXY": f"http://alice:wrong-sesame@{proxy.address}"})
        self.assertEqual(result.code, 1)
        self.assertIn("password", result.err)
        self.assertNotIn("sesame", result.err)

    def test_a_proxy_that_lets_nobody_through_is_named_and_nothing_is_taken(self):
        self.environment["HTTPS_PROXY"] = self.start_proxy(allowed=[1]).url
        self.assertSays(self.flock("acquire", "deploy"), 1, "HTTP 403", "HTTPS_PROXY", "NO_PROXY")
        self.assertEqual(self.item_count(), 0)

    def test_a_proxy_that_is_not_there_is_named(self):
        self.environment["HTTPS_PROXY"] = f"http://127.0.0.1:{closed_port()}"
        self.assertSays(self.flock("acquire", "deploy"), 1, self.environment["HTTPS_PROXY"].rpartition(":")[2],
                        "check the proxy")
        self.environment["HTTPS_PROXY"] = "http://no-such-proxy.invalid:3128"
        self.assertSays(self.flock("acquire", "deploy"), 1, "no-such-proxy.invalid")
        self.assertEqual(self.server.requests, [])

    def test_a_proxy_does_not_loosen_what_certificate_is_needed(self):
        self.environment["HTTPS_PROXY"] = self.start_proxy().url
        self.assertSays(self.flock("acquire", "deploy", changes={"AWS_CA_BUNDLE": None}), 1, "no trusted connection")


class LoginTest(OnDynamoDB):
    """A name and a password in a URL, written as they are where a URL has another use for their characters."""
    LOGINS = ("open#sesame", "open/sesame", "open?sesame", "open@sesame", "open\\sesame", "open sesame", "41414#sesame",
              "41414/sesame", "op:en/ses@me#sesame")

    def assertSilent(self, result, code=1):
        self.assertEqual(result.code, code, result)
        shown = result.out + result.err
        for part in ("alice", "sesame", "open", "op:", "41414"):
            self.assertNotIn(part, shown.replace("opened", ""))

    def test_a_proxy_that_cannot_be_is_refused_and_nothing_of_it_is_shown(self):
        for login in self.LOGINS:
            for scheme in ("http://", ""):
                url = f"{scheme}alice:{login}@proxy.invalid:3128"
                for name in ("HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"):
                    with self.subTest(url=url, variable=name):
                        result = self.flock("-v", "acquire", "deploy", changes={name: url})
                        self.assertSilent(result)
                        self.assertIn(f"{name} is no URL of a proxy", result.err)
                        self.assertIn("%23", result.err)
        for command in (["doctor"], ["doctor", "--json"], ["status", "deploy"], ["run", "deploy", "true"]):
            with self.subTest(command=command):
                result = self.flock("-v", *command, changes={"HTTPS_PROXY": "http://alice:open#sesame@proxy.invalid"})
                self.assertSilent(result, 125 if command[0] == "run" else 1)

    def test_so_is_one_of_the_configuration_where_it_is_read(self):
        for login in self.LOGINS:
            config = self.write("own.conf", f"[awsflock]\nproxy = http://alice:{login}@proxy.invalid:3128\n")
            for command in (["acquire", "deploy"], ["doctor"], ["--local", "status", "deploy"]):
                with self.subTest(login=login, command=command):
                    result = self.flock("-v", *command, changes={"AWSFLOCK_CONFIG": config})
                    self.assertSilent(result)
                    self.assertIn("own.conf:2: proxy is no URL of a proxy", result.err + result.out)

    def test_so_is_every_other_url_with_a_login(self):
        for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL", "DYNAMO_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS",
                     "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
            for login in ("sesame", *self.LOGINS):
                with self.subTest(variable=name, login=login):
                    self.assertSilent(self.flock("-v", "acquire", "deploy", "--no-wait", changes={
                        **self.without_keys(name), name: f"http://alice:{login}@server.invalid:3128/"}))

    def without_keys(self, name):
        """What makes awsflock look at the variable NAME."""
        if "ENDPOINT_URL" in name and not name.endswith("STS"):
            return {"AWS_ENDPOINT_URL_DYNAMODB": None}
        changes = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None, "AWS_EC2_METADATA_DISABLED": None}
        if name.endswith("STS"):
            changes |= {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r",
                        "AWS_WEB_IDENTITY_TOKEN_FILE": self.write("token", "t")}
        return changes

    def test_a_login_written_as_a_url_has_it_is_used(self):
        proxy = Tinyproxy(self.directory / "tinyproxy", login=("alice", "open-sesame"))
        self.addCleanup(proxy.end)
        plain = Proxy(self.endpoint)
        self.addCleanup(plain.close)
        self.use_endpoint(plain.url)
        self.assertWorked(self.flock("acquire", "deploy", changes={
            "http_proxy": f"http://alice:open%2Dsesame@{proxy.address}/"}))
        self.assertGreaterEqual(len(plain.requests), 1)
        self.assertEqual(len(proxy.requests()), len(plain.requests))


class PlainTest(ProxiedTest):
    def test_a_plain_endpoint_goes_through_the_proxy_of_its_own_variable(self):
        proxy = self.start_proxy()
        plain = Proxy(self.endpoint)
        self.addCleanup(plain.close)
        self.use_endpoint(plain.url)
        self.assertWorked(self.flock("acquire", "deploy", changes={"http_proxy": proxy.url}))
        self.assertGreaterEqual(len(plain.requests), 1)
        self.assertEqual(proxy.requests(), [f"POST {plain.url}/ HTTP/1.1"] * len(plain.requests))

    def test_an_upper_case_variable_for_http_is_left_alone(self):
        # A web server's programs get whatever a client says in its header Proxy: in HTTP_PROXY.
        self.environment["HTTP_PROXY"] = f"http://127.0.0.1:{closed_port()}"
        self.use_endpoint(self.endpoint)
        self.acquire("deploy")


if __name__ == "__main__":
    unittest.main()
