"""Signatures, live: every request is recomputed by botocore's signer before DynamoDB Local sees it.

SPDX-License-Identifier: Apache-2.0
"""
import unittest

from awsflocktest import OnDynamoDB, wait_until
from aws_server import Keys, SigningServer
from proxy import Proxy, then_pass

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "AQoEXAMPLEH4aoAH0gNCAPy/+=" + "z" * 800
NAMES = ("deploy", "Schlüssel", "鍵", "🔒 with spaces", "a/b?c=d&e", "quote\"back\\slash", "é" * 1024)


class SignedTest(OnDynamoDB):
    def serve(self, token=None):
        self.server = SigningServer(self.endpoint, {KEY_ID: Keys(SECRET, token)})
        self.addCleanup(self.server.close)
        self.use_endpoint(self.server.proxy.url)
        self.environment.update(AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET)
        if token:
            self.environment["AWS_SESSION_TOKEN"] = token

    def assertAllGood(self, least=1):
        self.assertEqual(self.server.refusals, [])
        self.assertGreaterEqual(self.server.good, least)

    def use_every_operation(self, lock):
        lease_id = self.acquire(lock, "--purpose", "Prüfung ✓")
        renewed = self.flock("renew", "--", lock, lease_id)
        self.assertWorked(renewed)
        self.assertWorked(self.flock("release", "--", lock, self.assertLeaseId(renewed.out)))
        lease_id = self.acquire(lock)
        self.assertWorked(self.flock("break", "--lease-id", lease_id, "--now", "--", lock))
        lease_id = self.acquire(lock)
        self.assertWorked(self.flock("release", "--delete", "--", lock, lease_id))
        self.assertFree(lock)


class GoodSignatureTest(SignedTest):
    def test_every_operation_is_signed_well_with_static_keys_whatever_the_lock_is_called(self):
        self.serve()
        for name in NAMES:
            with self.subTest(lock=name[:20]):
                self.use_every_operation(name)
        self.assertAllGood(8 * len(NAMES))

    def test_every_operation_is_signed_well_with_a_session_token(self):
        self.serve(TOKEN)
        for name in NAMES:
            with self.subTest(lock=name[:20]):
                self.use_every_operation(name)
        self.assertWorked(self.flock("list", "dep"))
        self.assertAllGood(8 * len(NAMES) + 1)

    def test_a_table_is_made_with_signed_requests(self):
        self.serve(TOKEN)
        self.assertWorked(self.flock("create-table", "--tag", "Team=Größe"))
        self.assertAllGood(2)

    def test_the_heartbeats_of_a_run_are_signed_well(self):
        self.serve(TOKEN)
        running = self.start(self.flock_command("run", "--lease-duration", "3", "--kill-after", "0.4", "deploy",
                                                *self.job()))
        wait_until(lambda: self.server.good >= 3 or running.poll() is not None, what="two renewals")
        self.assertEqual(self.finish_job(running), (0, ""))
        self.assertAllGood(3)

    def test_a_path_in_the_endpoint_is_signed(self):
        self.serve()
        self.use_endpoint(self.server.proxy.url + "/team%20a/d%C3%BC~db")
        seen = []

        def judge_then_strip(exchange):
            seen.append(exchange.request.path)
            exchange.send = lambda reply, cut_at=None: None  # only the judgement counts
            self.server.judge(exchange)
            exchange.close()
        self.server.proxy.always = judge_then_strip
        self.flock("status", "deploy", changes={"AWS_MAX_ATTEMPTS": 1})
        self.assertEqual(set(seen), {"/team%20a/d%C3%BC~db"})
        self.assertAllGood(1)

    def test_another_region_is_in_the_signature(self):
        self.serve()
        self.assertSays(self.flock("acquire", "deploy", "--region", "eu-west-1"), 1, "signature")
        self.server.region = "eu-west-1"
        self.assertWorked(self.flock("acquire", "deploy", "--region", "eu-west-1"))


class TamperedTest(SignedTest):
    """Somebody between us and the server changes something: the server must notice."""

    def change_on_the_way(self, change):
        def tamper(exchange):
            change(exchange.request)
            then_pass(exchange)
        between = Proxy(self.server.proxy.url)
        self.addCleanup(between.close)
        between.always = tamper
        self.use_endpoint(between.url)

    def test_a_change_of_any_signed_part_is_refused_and_nothing_is_taken(self):
        self.serve(TOKEN)

        def body(request):
            request.body = request.body.replace(b"deploy", b"depl0y")

        def header(name, value):
            return lambda request: request.headers.update({name: value})
        changes = {"body": body, "target": header("x-amz-target", "DynamoDB_20120810.DeleteItem"),
                   "host": header("host", "dynamodb.us-east-1.amazonaws.com"),
                   "content-type": header("content-type", "application/json"),
                   "token": header("x-amz-security-token", TOKEN[:-1])}
        for name, change in changes.items():
            with self.subTest(changed=name):
                self.change_on_the_way(change)
                self.assertSays(self.flock("acquire", "deploy"), 1, "token" if name == "token" else "signature")
                self.assertEqual(self.item_count(), 0)
        self.assertEqual(self.server.good, 0)

    def test_a_header_in_transit_that_is_not_signed_does_no_harm(self):
        self.serve()
        self.change_on_the_way(lambda request: request.headers.update({"x-forwarded-for": "10.0.0.1"}))
        self.assertWorked(self.flock("acquire", "deploy"))

    def test_a_wrong_secret_is_named_as_the_cause_and_never_shown(self):
        self.serve()
        result = self.flock("-v", "acquire", "deploy", changes={"AWS_SECRET_ACCESS_KEY": "wrong" + SECRET})
        self.assertEqual(result.code, 1)
        self.assertIn("secret access key", result.err)
        self.assertNotIn(SECRET, result.err)


class SkewTest(SignedTest):
    """A server that refuses our time teaches us its own, and the operation is made anew."""

    def test_every_operation_succeeds_on_a_machine_whose_clock_is_an_hour_off(self):
        self.serve()
        for shift in (3600, -3600):
            self.server.clock_s = shift
            with self.subTest(shift=shift):
                self.use_every_operation("deploy")
                self.assertWorked(self.flock("list"))
                self.assertWorked(self.flock("create-table"))
        # one refusal teaches a process the time, whatever it does afterwards
        self.assertEqual(set(self.server.refusals), {"InvalidSignatureException"})
        self.assertEqual(len(self.server.refusals), 2 * 10)

    def test_one_refusal_is_all_that_a_wrong_clock_costs(self):
        self.serve()
        self.server.clock_s = 3600
        self.acquire("deploy")
        self.assertEqual(len(self.server.refusals), 1)
        self.assertEqual(self.server.proxy.operations(), ["UpdateItem"] * 2)

    def test_a_server_that_refuses_every_time_is_an_error_that_names_the_clock(self):
        self.serve()

        def never_content(exchange):
            self.server.refuse(exchange, "InvalidSignatureException", "Signature expired: now")
        self.server.proxy.always = never_content
        self.assertSays(self.flock("acquire", "deploy"), 1, "clock")
        self.assertLessEqual(self.server.proxy.count(), 4)


if __name__ == "__main__":
    unittest.main()
