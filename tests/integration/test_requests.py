"""One request per operation, and the truth when a request or its answer is lost.

SPDX-License-Identifier: Apache-2.0
"""
import json
import signal
import threading
import unittest

from awsflocktest import LEASE_ID, PATIENCE_S, OnDynamoDB, run, wait_until
from proxy import Proxy, changed_json, drop_after, drop_before, held_back, pass_and_close, refused, then_pass


class ProxyTest(OnDynamoDB):
    """Requests go through a proxy; what is checked besides does not."""

    def setUp(self):
        super().setUp()
        self.proxy = Proxy(self.endpoint)
        self.addCleanup(self.proxy.close)
        self.use_endpoint(self.proxy.url)

    def make(self, *arguments, **changes):
        """One operation, counted by itself."""
        self.proxy.forget_requests()
        return self.flock(*arguments, changes=changes)

    def holder_of(self, lock):
        """The lease id in the table, None where the lock is free."""
        item = self.item(lock)
        return None if item is None or "released_time" in item else item["lease_id"]["S"]


class RequestCountTest(ProxyTest):
    def test_an_acquire_is_one_request(self):
        self.assertWorked(self.make("acquire", "deploy"))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_an_acquire_without_a_stdout_for_the_lease_id_sends_none(self):
        without_stdout = ["sh", "-c", 'exec "$@" >&-', "sh"]
        for options in ((), ("--json",), ("--no-wait",)):
            with self.subTest(options=options):
                result = run(without_stdout + self.flock_command("acquire", *options, "deploy"), self.environment)
                self.assertSays(result, 1, "standard output")
        self.assertEqual(self.proxy.operations(), [])

    def test_an_acquire_with_a_long_wait_is_one_request_where_the_lock_is_free(self):
        self.assertWorked(self.make("acquire", "deploy", "--wait-time", "1h"))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_a_failed_try_is_one_request_that_also_tells_who_holds_it(self):
        self.acquire("deploy", "--owner", "the-holder")
        self.assertSays(self.make("acquire", "deploy", "--no-wait"), 3, "the-holder")
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_a_renew_is_one_request(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.make("renew", "deploy", lease_id))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_a_release_is_one_request(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.make("release", "deploy", lease_id))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_a_release_with_delete_is_one_request(self):
        lease_id = self.acquire("deploy")
        self.assertWorked(self.make("release", "deploy", lease_id, "--delete"))
        self.assertEqual(self.proxy.count(), 1)
        self.assertIsNone(self.item("deploy"))

    def test_an_acquire_over_a_tombstone_is_one_request(self):
        self.flock("release", "deploy", self.acquire("deploy"))
        self.assertWorked(self.make("acquire", "deploy"))
        self.assertLessEqual(self.proxy.count(), 2)  # two: the tombstone's fence is of this very millisecond
        self.assertEqual(set(self.proxy.operations()), {"UpdateItem"})

    def test_taking_over_an_expired_lease_is_two_requests(self):
        self.acquire("deploy")
        self.let_expire("deploy")
        self.assertWorked(self.make("acquire", "deploy"))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"] * 2)

    def test_a_renew_of_a_lost_lease_is_one_request(self):
        lease_id = self.acquire("deploy")
        self.flock("release", "deploy", lease_id)
        self.assertSays(self.make("renew", "deploy", lease_id), 3)
        self.assertEqual(self.proxy.operations(), ["UpdateItem"])

    def test_a_status_is_one_request(self):
        self.acquire("deploy")
        self.assertWorked(self.make("status", "deploy"))
        self.assertEqual(self.proxy.operations(), ["GetItem"])

    def test_a_run_is_two_requests_on_one_connection(self):
        self.assertWorked(self.make("run", "deploy", "true"))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"] * 2)

    def test_waiting_looks_by_reading_not_by_failing_writes(self):
        self.acquire("deploy")
        self.assertEqual(self.make("acquire", "deploy", "--wait-time", "3").code, 3)
        self.assertGreaterEqual(self.proxy.count("GetItem"), 2)
        # the first try, and the last one when the time is up: refused, so that there is nothing to give back
        self.assertEqual(self.proxy.count("UpdateItem"), 2)

    def test_a_refusal_after_a_silent_resend_is_followed_by_giving_back(self):
        lease_id = self.acquire("deploy")
        self.proxy.on("UpdateItem", then_pass, drop_after)
        result = self.make("acquire", "-v", "deploy", "--wait-time", "1", AWS_MAX_ATTEMPTS=1)
        self.assertEqual(self.after_giving_back(result).code, 3)
        # the first try, the last one twice, and the release of what the first of the two may yet take
        self.assertEqual(self.proxy.count("UpdateItem"), 4)
        self.assertEqual(self.holder_of("deploy"), lease_id)


class LostBeforeTest(ProxyTest):
    """The request never reached the table."""

    def test_each_operation_is_simply_tried_again(self):
        self.proxy.on("UpdateItem", drop_before)
        result = self.make("acquire", "deploy")
        self.assertWorked(result)
        lease_id = self.assertLeaseId(result.out)
        self.assertEqual(self.holder_of("deploy"), lease_id)
        self.proxy.on("UpdateItem", drop_before)
        result = self.make("renew", "deploy", lease_id)
        self.assertWorked(result)
        self.proxy.on("UpdateItem", drop_before)
        self.assertWorked(self.make("release", "deploy", self.assertLeaseId(result.out)))
        self.assertIsNone(self.holder_of("deploy"))

    def test_a_server_that_never_answers_is_given_up_and_the_doubt_is_told(self):
        self.proxy.always = drop_before
        result = self.make("acquire", "-v", "deploy")
        self.assertInDoubt(result, "deploy")
        self.assertIn(self.proxy.url, result.err)
        self.assertIsNone(self.item("deploy"))

    def test_throttling_is_tried_again(self):
        self.proxy.on("UpdateItem", refused("ProvisionedThroughputExceededException", "slow down"))
        result = self.make("acquire", "deploy")
        self.assertWorked(result)
        self.assertEqual(self.holder_of("deploy"), self.assertLeaseId(result.out))
        self.assertEqual(self.proxy.count(), 2)


class LostReplyTest(ProxyTest):
    """The table carried the request out, and the answer was lost."""

    def test_of_an_acquire_is_found_out_to_have_been_a_success(self):
        self.proxy.on("UpdateItem", drop_after)
        result = self.make("acquire", "deploy")
        self.assertWorked(result)
        self.assertEqual(self.holder_of("deploy"), self.assertLeaseId(result.out))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"] * 2)

    def test_attempts_of_one_acquire_are_the_same_write(self):
        self.proxy.on("UpdateItem", drop_after)
        self.assertWorked(self.make("acquire", "deploy"))
        first, second = (request.json() for request in self.proxy.requests)
        self.assertEqual(first, second)

    def test_of_an_acquire_that_is_never_learned_is_given_back(self):
        self.proxy.on("UpdateItem", drop_after)
        result = self.after_giving_back(self.make("acquire", "-v", "deploy", AWS_MAX_ATTEMPTS=1))
        self.assertSays(result, 1)
        self.assertEqual(result.out, "")
        self.assertIsNone(self.holder_of("deploy"))
        self.assertEqual(self.proxy.operations(), ["UpdateItem"] * 2)  # the attempt, and one release of its id

    def test_of_an_acquire_on_a_held_lock_is_still_a_refusal(self):
        lease_id = self.acquire("deploy", "--owner", "the-holder")
        self.proxy.on("UpdateItem", drop_after)
        self.assertSays(self.make("acquire", "deploy", "--no-wait"), 3, "the-holder")
        self.assertEqual(self.holder_of("deploy"), lease_id)

    def test_of_a_renew_is_found_out_to_have_been_a_success(self):
        lease_id = self.acquire("deploy")
        self.proxy.on("UpdateItem", drop_after)
        result = self.make("renew", "deploy", lease_id)
        self.assertWorked(result)
        self.assertEqual(self.holder_of("deploy"), self.assertLeaseId(result.out))

    def test_of_a_renew_that_is_never_learned_tells_both_ids(self):
        lease_id = self.acquire("deploy")
        for lost in (drop_after, drop_before):
            with self.subTest(lost=lost.__name__):
                self.proxy.on("UpdateItem", lost)
                result = self.make("renew", "deploy", lease_id, AWS_MAX_ATTEMPTS=1)
                self.assertEqual(result.code, 1, result)
                self.assertEqual(result.out, "")
                told = set(LEASE_ID.findall(result.err))
                self.assertIn(lease_id, told)
                self.assertEqual(len(told), 2, result)
                holder = self.holder_of("deploy")
                self.assertIn(holder, told)
                lease_id = holder

    def test_of_a_release_is_a_release(self):
        lease_id = self.acquire("deploy")
        self.proxy.on("UpdateItem", drop_after)
        self.assertWorked(self.make("release", "deploy", lease_id))
        self.assertIsNone(self.holder_of("deploy"))

    def test_of_a_release_with_delete_is_a_release(self):
        lease_id = self.acquire("deploy")
        self.proxy.on("*", drop_after)
        self.assertWorked(self.make("release", "deploy", lease_id, "--delete"))
        self.assertIsNone(self.item("deploy"))

    def test_of_a_release_that_is_never_learned_is_reported_and_may_be_repeated(self):
        lease_id = self.acquire("deploy")
        self.proxy.on("UpdateItem", drop_before)
        self.assertSays(self.make("release", "deploy", lease_id, AWS_MAX_ATTEMPTS=1), 1)
        self.assertEqual(self.holder_of("deploy"), lease_id)
        self.assertWorked(self.make("release", "deploy", lease_id))
        self.assertIsNone(self.holder_of("deploy"))

    def test_a_late_duplicate_of_an_acquire_does_not_bring_a_released_lock_back(self):
        self.assertWorked(self.make("acquire", "deploy"))
        duplicate = self.proxy.requests[0].json()
        lease_id = self.holder_of("deploy")
        self.assertWorked(self.flock("release", "deploy", lease_id))
        duplicate.pop("ReturnValuesOnConditionCheckFailure")  # newer than this boto3 knows
        with self.assertRaises(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(**duplicate)
        self.assertIsNone(self.holder_of("deploy"))


class KeptConnectionTest(ProxyTest):
    def run_until(self, operations, *options):
        """A run that ends once the proxy has seen OPERATIONS requests; its exit code and stderr."""
        running = self.start(self.flock_command("run", *options, "deploy", *self.job()))
        wait_until(lambda: self.proxy.count() >= operations or running.poll() is not None, what="the heartbeats")
        return self.finish_job(running)

    def test_the_acquire_and_the_heartbeats_use_one_connection(self):
        code, err = self.run_until(3, "--lease-duration", "5", "--kill-after", "1")
        self.assertEqual(code, 0, err)
        # not the release: where the job's end interrupts a heartbeat, its connection is given up
        self.assertEqual({request.connection for request in self.proxy.requests[:3]}, {1})

    def test_a_heartbeat_whose_connection_died_after_the_write_goes_on(self):
        self.proxy.on("UpdateItem", then_pass, drop_after)
        code, err = self.run_until(4, "--lease-duration", "3", "--kill-after", "0.4")
        self.assertEqual(code, 0, err)
        self.assertIsNone(self.holder_of("deploy"))

    def test_a_connection_that_the_server_closes_between_heartbeats_is_replaced(self):
        self.proxy.always = pass_and_close
        code, err = self.run_until(3, "--lease-duration", "3", "--kill-after", "0.4")
        self.assertEqual(code, 0, err)
        self.assertIsNone(self.holder_of("deploy"))


class OldItemTest(ProxyTest):
    def test_a_server_that_ignores_all_old_is_asked_who_holds_the_lock(self):
        self.acquire("deploy", "--owner", "the-holder")
        self.proxy.on("UpdateItem", changed_json(lambda reply: {name: reply[name] for name in reply if name != "Item"}))
        self.assertSays(self.make("acquire", "deploy", "--no-wait"), 3, "the-holder")
        self.assertEqual(self.proxy.operations(), ["UpdateItem", "GetItem"])
        self.assertTrue(self.proxy.requests[1].json()["ConsistentRead"])

    def test_the_item_holds_what_the_protocol_says(self):
        self.assertWorked(self.make("acquire", "deploy", "--owner", "me", "--lease-duration", "10m"))
        item = self.item("deploy")
        types = {name: next(iter(value)) for name, value in item.items()}
        self.assertEqual(types, {"lock_id": "S", "lease_id": "S", "lease_duration": "N", "owner": "S",
                                 "expiration_time": "N", "fence": "N", "acquired_time": "N", "holder": "M"})
        self.assertEqual(item["lease_duration"]["N"], "600")
        request = self.proxy.requests[0].json()
        self.assertEqual(request["ReturnValuesOnConditionCheckFailure"], "ALL_OLD")
        self.assertEqual(request["ReturnValues"], "ALL_NEW")
        self.assertNotIn("SECRET", json.dumps(request))

    def test_a_tombstone_keeps_the_fence_and_is_old_enough_for_any_peer(self):
        self.flock("release", "deploy", self.acquire("deploy"))
        item = self.item("deploy")
        self.assertLess(int(item["expiration_time"]["N"]), int(item["released_time"]["N"]) - 80000)
        self.assertNotIn("holder", item)
        self.assertGreater(int(item["fence"]["N"]), 0)


class InterruptedTest(ProxyTest):
    def test_an_acquire_that_is_interrupted_before_its_answer_comes_gives_the_lock_back(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(signal=number.name):
                self.proxy.on("UpdateItem", held_back(threading.Event(), after_server=True))
                process = self.start(self.flock_command("acquire", "deploy"))
                wait_until(lambda: self.holder_of("deploy"), what="the grant")
                process.send_signal(number)
                out, err = process.communicate(timeout=PATIENCE_S)
                self.assertEqual((process.returncode, out), (code, b""), err)
                wait_until(lambda: self.holder_of("deploy") is None, what="the giving back")


if __name__ == "__main__":
    unittest.main()
