"""A guard whose table is out of reach: who is in ends in time, and nobody gets in unless the guard says so.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from guardtest import DynamoDBSettings, GuardTest, configure, guard  # noqa: E402
from sessiontest import wait_until  # noqa: E402
from proxy import Proxy, held_back  # noqa: E402


class OutageTest(DynamoDBSettings, GuardTest):
    """On DynamoDB Local, over a proxy that stops answering."""

    def setUp(self):
        super().setUp()
        endpoint, self.table = self.set_up_table()
        self.proxy = self.enterContext(Proxy(endpoint))
        configure(self.settings(self.proxy.url, self.table))
        guard("sshd")

    def test_each_request_is_logged_for_debug_alone(self):
        self.assertEqual(self.ssh("alice", "true")[0], 0)
        self.wait_for_no_keeper()
        self.not_logged("UpdateItem")
        guard("sshd", "guard=ops debug")
        self.assertEqual(self.ssh("alice", "true")[0], 0)
        self.logged("UpdateItem")

    def test_a_session_on_dynamodb_is_renewed_and_released(self):
        session = self.enter("alice")
        first = self.status()["lease_id"]
        wait_until(lambda: self.status()["lease_id"] != first, what="a renewal")
        self.assertEqual(self.ssh("bob", "true")[0], 254)
        self.leave(session)
        self.wait_until_free()

    def test_a_black_holed_session_is_gone_before_the_lock_can_be_taken(self):
        session = self.enter("alice", terminal=True)
        session.type("id -u\n")
        wait_until(lambda: len(self.proxy.operations()) >= 1, what="the first request")
        self.proxy.always = held_back(threading.Event())
        monitor = self.only_monitor("alice")
        session.expect("awsflock")
        self.assertHeldUntilGone(monitor)
        session.wait()
        self.logged("awsflock-keeper.*lost")

    def test_nobody_gets_in_while_the_table_cannot_be_reached(self):
        self.proxy.always = held_back(threading.Event())
        configure(self.settings(self.proxy.url, self.table, connect_timeout="0.2", request_timeout="0.3"))
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), f"no answer from {self.proxy.url}")
        self.not_logged("opened")

    def test_with_fail_safe_everybody_does_and_it_is_an_alert(self):
        self.proxy.always = held_back(threading.Event())
        configure(self.settings(self.proxy.url, self.table, connect_timeout="0.2", request_timeout="0.3"),
                  ops={"fail": "safe"})
        code, out, err = self.ssh("alice", "echo in; echo lock=$AWSFLOCK_LOCK.")
        self.assertEqual(code, 0)
        self.assertIn("lock=.\n", out)
        self.assertNotIn(self.proxy.url, out + err)
        self.logged(r"^<81>.*awsflock-keeper.*alice enters without the lock")

    def test_fail_safe_opens_no_door_for_a_table_that_is_not_there(self):
        configure(self.settings(self.proxy.url, "no-such-table"), ops={"fail": "safe"})
        self.assertRefusedWithoutReason(self.ssh("alice", "echo in"), "no-such-table")
