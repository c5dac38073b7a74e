"""Every operation against every fault: what a retry makes of the lock, how many requests it takes, and when it ends.

SPDX-License-Identifier: Apache-2.0
"""
import threading
import unittest

from awsflocktest import LEASE_ID, OnDynamoDB, wait_until
from proxy import (Proxy, answered, changed, cut, drop_after, drop_before, held_back, html, pass_and_close, refused,
                   then_pass)


def carried_out_then(action):
    """The server carries the request out, and ACTION takes the place of its answer."""
    def both(exchange):
        exchange.forward()
        action(exchange)
    return both


def damaged(exchange):
    """The real answer with another checksum than DynamoDB gave it."""
    changed(lambda reply: reply.set_header("x-amz-crc32", "1"))(exchange)


# Each is gone at the next attempt.  True: the server has carried the request out.
FAULTS = {
    "the connection breaks before the request": (drop_before, False),
    "the connection breaks after the request": (drop_after, True),
    "the answer is cut": (cut(), True),
    "the answer is damaged": (damaged, True),
    "500, not carried out": (refused("InternalServerError", "oops", 500), False),
    "500, carried out": (carried_out_then(refused("InternalServerError", "oops", 500)), True),
    "502 of a gateway, carried out": (carried_out_then(html(502)), True),
    "503, not carried out": (answered(503, {"__type": "ServiceUnavailable"}), False),
    "504 of a gateway, carried out": (carried_out_then(html(504)), True),
    "throttled": (refused("ThrottlingException", "Rate exceeded"), False),
    "replication conflict": (refused("ReplicatedWriteConflictException", "again"), False),
    "an unknown client": (refused("UnrecognizedClientException", "who?"), False),
    "an expired token": (refused("ExpiredTokenException", "old"), False),
}
# Never retried: the answer will not change.
FINAL = {
    "access denied": refused("AccessDeniedException", "not authorized"),
    "no such table": refused("ResourceNotFoundException", "Requested resource not found"),
    "not valid": refused("ValidationException", "something is wrong"),
    "a login page": html(200),
    "a wrong secret": refused("InvalidSignatureException", "does not match the signature you provided"),
}
ENDLESS = {"connections break": drop_before, "500": refused("InternalServerError", "oops", 500)}


class RetryTest(OnDynamoDB):
    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)

    def take(self, lock):
        """Takes LOCK beside the proxy."""
        self.use_endpoint(self.endpoint)
        lease_id = self.acquire(lock)
        self.use_endpoint(self.proxy.url)
        return lease_id

    def holder_of(self, lock):
        item = self.item(lock)
        return None if item is None or "released_time" in item else item["lease_id"]["S"]

    def count(self, *arguments, **changes):
        """The result, and how many requests it took."""
        self.proxy.forget_requests()
        result = self.flock(*arguments, changes=changes)
        return result, self.proxy.count()


class OneFaultTest(RetryTest):
    """The fault is met once, by the operation's first attempt: afterwards the lock is as if it had not been."""

    def each(self):
        for self.fault, (action, carried_out) in FAULTS.items():
            self.use_endpoint(self.proxy.url)
            self.proxy.forget_orders()
            yield self.fault, action, carried_out

    def _formatMessage(self, msg, standardMsg):
        return f"with the fault {self.fault!r}: {super()._formatMessage(msg, standardMsg)}"

    def test_an_acquire_takes_the_lock_once_and_knows_it(self):
        for name, action, _ in self.each():
            self.proxy.on("UpdateItem", action)
            result, requests = self.count("acquire", "--no-wait", name)
            self.assertWorked(result)
            self.assertEqual(self.holder_of(name), self.assertLeaseId(result.out))
            self.assertEqual(requests, 2)

    def test_an_acquire_of_a_held_lock_is_refused_and_leaves_it(self):
        lease_id = self.take("deploy")
        for _, action, _ in self.each():
            self.proxy.on("UpdateItem", action)
            result, _ = self.count("acquire", "-v", "--no-wait", "deploy")
            self.assertSays(self.after_giving_back(result), 3)
            self.assertEqual(self.holder_of("deploy"), lease_id)
            self.assertIn(self.proxy.count(), (2, 3))  # the third gives back what the first might still take, if it was delayed

    def test_a_renew_renews_once_and_knows_it(self):
        lease_id = self.take("deploy")
        for _, action, _ in self.each():
            self.proxy.on("UpdateItem", action)
            result, requests = self.count("renew", "deploy", lease_id)
            self.assertWorked(result)
            lease_id = self.assertLeaseId(result.out)
            self.assertEqual(self.holder_of("deploy"), lease_id)
            self.assertEqual(requests, 2)

    def test_a_renew_of_a_lease_that_is_not_ours_is_refused(self):
        lease_id = self.take("deploy")
        for _, action, _ in self.each():
            self.proxy.on("UpdateItem", action)
            result, _ = self.count("renew", "deploy", "00000000-0000-4000-8000-000000000000")
            self.assertSays(result, 3)
            self.assertEqual(self.holder_of("deploy"), lease_id)

    def test_a_release_releases_whatever_became_of_the_first_answer(self):
        for options, operation in (((), "UpdateItem"), (("--delete",), "DeleteItem")):
            for name, action, _ in self.each():
                lease_id = self.take(name)
                self.proxy.on(operation, action)
                result, requests = self.count("release", *options, name, lease_id)
                self.assertWorked(result)
                self.assertIsNone(self.holder_of(name))
                self.assertIn(requests, (2, 3))  # the third looks, where a server may not show what stood in the way

    def test_a_release_does_not_touch_the_next_holders_lease(self):
        for name, action, carried_out in self.each():
            if not carried_out:
                continue
            lease_id = self.take(name)
            taken = []

            def another_takes_it(exchange, action=action, name=name, taken=taken):
                action(exchange)
                self.use_endpoint(self.endpoint)
                taken.append(self.acquire(name))
            self.proxy.on("UpdateItem", another_takes_it)
            self.use_endpoint(self.proxy.url)
            result, _ = self.count("release", name, lease_id)
            self.assertWorked(result)
            self.assertEqual([self.holder_of(name)], taken)

    def test_a_break_frees_the_lock(self):
        for name, action, _ in self.each():
            lease_id = self.take(name)
            self.proxy.on("UpdateItem", action)
            result, _ = self.count("break", "--lease-id", lease_id, "--now", name)
            self.assertWorked(result)
            self.assertIsNone(self.holder_of(name))

    def test_a_status_and_a_list_are_read_again(self):
        lease_id = self.take("deploy")
        for _, action, _ in self.each():
            self.proxy.on("*", action)
            self.assertEqual(self.status("deploy")["lease_id"], lease_id)
            self.proxy.on("*", action)
            self.assertEqual(self.listing()["deploy"]["lease_id"], lease_id)

    def test_a_run_runs_its_command_once_and_leaves_the_lock_free(self):
        runs = self.directory / "runs"
        for number, (name, action, _) in enumerate(self.each(), 1):
            self.proxy.on("UpdateItem", action)
            self.assertWorked(self.flock("run", name, "sh", "-c", f"echo x >>{runs}"))
            self.assertEqual(len(runs.read_text(encoding="ascii").splitlines()), number)
            self.assertIsNone(self.holder_of(name))


class NeverEndingFaultTest(RetryTest):
    def test_every_kind_of_throttling_is_waited_out(self):
        self.use_endpoint(self.proxy.url)
        for kind in ("ProvisionedThroughputExceededException", "RequestLimitExceeded", "TooManyRequestsException"):
            with self.subTest(kind=kind):
                self.proxy.on("GetItem", refused(kind, "slow down"))
                result, requests = self.count("status", "deploy")
                self.assertWorked(result)
                self.assertEqual(requests, 2)

    def test_what_cannot_change_is_asked_once(self):
        self.use_endpoint(self.proxy.url)
        for name, action in FINAL.items():
            with self.subTest(fault=name):
                self.proxy.always = action
                result, requests = self.count("status", "deploy")
                self.assertSays(result, 1)
                self.assertEqual(requests, 1)

    def test_four_attempts_are_made_or_as_many_as_the_settings_say(self):
        self.use_endpoint(self.proxy.url)
        profile = self.write("aws-config", "[default]\nmax_attempts = 3\nretry_mode = adaptive\n")
        for name, action in ENDLESS.items():
            self.proxy.always = action
            for changes, attempts in (({}, 4), ({"AWS_MAX_ATTEMPTS": 2}, 2), ({"AWS_MAX_ATTEMPTS": 1}, 1),
                                      ({"AWS_MAX_ATTEMPTS": 6, "AWS_RETRY_MODE": "legacy"}, 6),
                                      ({"AWS_CONFIG_FILE": profile}, 3)):
                with self.subTest(fault=name, changes=changes):
                    result, requests = self.count("status", "deploy", **changes)
                    self.assertSays(result, 1)
                    self.assertEqual(requests, attempts)

    def test_a_wrong_retry_mode_is_named(self):
        self.assertSays(self.flock("status", "deploy", changes={"AWS_RETRY_MODE": "never"}), 1, "AWS_RETRY_MODE", "never")

    def test_an_acquire_that_is_never_answered_tells_the_doubt_and_takes_nothing_that_stays(self):
        self.use_endpoint(self.proxy.url)
        for name, (action, carried_out) in FAULTS.items():
            if not carried_out:
                continue
            with self.subTest(fault=name):
                self.proxy.on("UpdateItem", action)
                result = self.flock("acquire", "-v", name, "--no-wait", changes={"AWS_MAX_ATTEMPTS": 1})
                self.assertSays(self.after_giving_back(result), 1)
                self.assertIsNone(self.holder_of(name))

    def test_a_renew_that_is_never_answered_names_both_lease_ids(self):
        lease_id = self.take("deploy")
        for name, (action, carried_out) in FAULTS.items():
            if not carried_out:
                continue
            with self.subTest(fault=name):
                self.proxy.on("*", action, *[drop_before] * 9)
                result = self.flock("renew", "deploy", lease_id, changes={"AWS_MAX_ATTEMPTS": 1})
                self.proxy.forget_orders()
                self.assertEqual(result.code, 1)
                told = set(LEASE_ID.findall(result.err))
                self.assertIn(self.holder_of("deploy"), told)
                self.assertIn(lease_id, told)
                lease_id = self.holder_of("deploy")


class DeadlineTest(RetryTest):
    """The command's own end comes before any retry."""

    def test_a_throttled_wait_ends_when_it_was_asked_to(self):
        self.use_endpoint(self.proxy.url)
        self.proxy.always = refused("ThrottlingException", "Rate exceeded")
        result = self.flock("acquire", "deploy", "--wait-time", "2", changes={"AWS_MAX_ATTEMPTS": 100})
        self.assertSays(result, 1, "Rate exceeded")
        self.assertIn(self.proxy.count(), range(2, 100))

    def test_a_server_that_hangs_is_given_up_after_the_request_timeout(self):
        never = threading.Event()
        self.addCleanup(never.set)
        self.use_endpoint(self.proxy.url)
        self.proxy.always = held_back(never)
        config = self.write("own.conf", "[awsflock]\nrequest_timeout = 0.5\n")
        result = self.flock("status", "deploy", changes={"AWSFLOCK_CONFIG": config, "AWS_MAX_ATTEMPTS": 3})
        self.assertSays(result, 1)
        self.assertEqual(self.proxy.count(), 3)

    def test_the_heartbeats_of_a_run_go_on_through_one_fault_after_the_other(self):
        self.use_endpoint(self.proxy.url)
        self.proxy.on("UpdateItem", then_pass, drop_after, refused("ThrottlingException", "slow"), drop_before,
                      pass_and_close, refused("InternalServerError", "oops", 500), drop_after, then_pass)
        running = self.start(self.flock_command("run", "--lease-duration", "6", "--kill-after", "0.5", "deploy",
                                                *self.job()))
        wait_until(lambda: self.proxy.count("UpdateItem") > 8 or running.poll() is not None, what="all the faults")
        self.assertEqual(self.finish_job(running)[0], 0)
        self.assertIsNone(self.holder_of("deploy"))


if __name__ == "__main__":
    unittest.main()
