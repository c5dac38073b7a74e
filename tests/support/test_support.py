"""The tests' own tools: a proxy or a peer that does not do what it says would make other tests worthless.

SPDX-License-Identifier: Apache-2.0
"""
import email.utils
import threading
import time
import unittest
import uuid

from awsflocktest import (EndedSubtests, Terminal, boto3_client, clean_environment, create_table, dynamodb_endpoint, process_state,
                          wait_until)
from proxy import (Proxy, arrives_late, black_hole, changed_json, cut, date_shifted, drop_after, drop_before, duplicated,
                   held_back, html, refused, then_pass, without_date, wrong_crc)
from python_peer import PythonPeer


class SubtestTest(unittest.TestCase):
    def test_what_a_subtest_started_has_ended_before_the_next_one_also_where_it_failed(self):
        told = []

        class Sample(EndedSubtests):
            def settle(self):
                told.append("settled")

            def test(self):
                self.addCleanup(told.append, "the test's")
                for number in (1, 2):
                    with self.subTest(number=number):
                        self.addCleanup(told.append, f"{number}'s")
                        self.assertEqual(number, 2)

        result = unittest.TestResult()
        Sample("test").run(result)
        self.assertEqual(told, ["1's", "settled", "2's", "the test's"])
        self.assertEqual((len(result.failures), result.errors), (1, []))


class ProxyTest(unittest.TestCase):
    def setUp(self):
        endpoint = dynamodb_endpoint()
        self.direct = boto3_client(endpoint)
        self.table = create_table(self.direct, f"test-{uuid.uuid4()}")
        self.addCleanup(self.direct.delete_table, TableName=self.table)
        self.proxy = Proxy(endpoint)
        self.addCleanup(self.proxy.close)
        self.client = boto3_client(self.proxy.url, read_timeout=10)

    def put(self, name):
        return self.client.put_item(TableName=self.table, Item={"lock_id": {"S": name}})

    def is_there(self, name):
        return "Item" in self.direct.get_item(TableName=self.table, Key={"lock_id": {"S": name}}, ConsistentRead=True)

    def test_passes_and_counts_what_it_was_sent(self):
        self.put("x")
        self.client.get_item(TableName=self.table, Key={"lock_id": {"S": "x"}})
        self.assertEqual(self.proxy.operations(), ["PutItem", "GetItem"])
        self.assertEqual(self.proxy.requests[0].json()["TableName"], self.table)
        self.assertEqual(self.proxy.requests[0].connection, self.proxy.requests[1].connection)
        self.assertTrue(self.is_there("x"))

    def test_drops_a_request_before_the_server_sees_it(self):
        self.proxy.on("PutItem", drop_before)
        with self.assertRaises(Exception):
            self.put("x")
        self.assertFalse(self.is_there("x"))

    def test_drops_an_answer_after_the_server_carried_the_request_out(self):
        self.proxy.on("PutItem", drop_after)
        with self.assertRaises(Exception):
            self.put("x")
        self.assertTrue(self.is_there("x"))

    def test_orders_are_taken_in_turn_and_by_operation(self):
        self.proxy.on("PutItem", then_pass, refused("ThrottlingException", "slow down"))
        self.put("x")
        self.client.get_item(TableName=self.table, Key={"lock_id": {"S": "x"}})
        with self.assertRaises(self.client.exceptions.ClientError) as caught:
            self.put("y")
        self.assertEqual(caught.exception.response["Error"]["Code"], "ThrottlingException")
        self.put("z")

    def test_shifts_and_strips_the_date(self):
        self.proxy.always = date_shifted(3600)
        date = self.put("x")["ResponseMetadata"]["HTTPHeaders"]["date"]
        self.assertAlmostEqual(email.utils.parsedate_to_datetime(date).timestamp(), time.time() + 3600, delta=60)
        self.proxy.always = without_date
        self.assertNotIn("date", self.put("x")["ResponseMetadata"]["HTTPHeaders"])

    def test_cuts_an_answer_and_changes_one(self):
        self.proxy.on("ListTables", cut(), html(), changed_json(lambda reply: {"TableNames": ["changed"]}))
        with self.assertRaises(Exception):
            self.client.list_tables()
        answer = self.client.list_tables()  # boto3 takes what is no JSON for an empty answer
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["content-type"], "text/html")
        self.assertNotIn("TableNames", answer)
        self.assertEqual(self.client.list_tables()["TableNames"], ["changed"])

    def test_damages_an_answer(self):
        self.proxy.on("PutItem", wrong_crc)
        with self.assertRaises(Exception):
            self.put("x")
        self.assertTrue(self.is_there("x"))

    def test_swallows_a_request_until_the_client_gives_up(self):
        self.proxy.on("PutItem", black_hole)
        client = boto3_client(self.proxy.url, read_timeout=0.2)
        with self.assertRaises(Exception):
            client.put_item(TableName=self.table, Item={"lock_id": {"S": "x"}})
        self.assertFalse(self.is_there("x"))

    def test_carries_a_request_out_after_the_client_was_cut_off(self):
        self.proxy.on("PutItem", arrives_late(0))
        with self.assertRaises(Exception):
            self.put("x")
        wait_until(lambda: self.is_there("x"), what="the late request")

    def test_asks_the_server_twice(self):
        unless_there = {"ConditionExpression": "attribute_not_exists(lock_id)"}
        item = {"TableName": self.table, "Item": {"lock_id": {"S": "x"}}, **unless_there}
        self.proxy.on("PutItem", duplicated(answer_first=False))
        with self.assertRaises(self.client.exceptions.ConditionalCheckFailedException):
            self.client.put_item(**item)
        item["Item"] = {"lock_id": {"S": "y"}}
        self.proxy.on("PutItem", duplicated())
        self.client.put_item(**item)
        self.assertTrue(self.is_there("y"))

    def test_holds_an_answer_back(self):
        go = threading.Event()
        self.proxy.on("PutItem", held_back(go, after_server=True))
        done = threading.Thread(target=self.put, args=("x",))
        done.start()
        while not self.is_there("x"):
            pass
        self.assertTrue(done.is_alive())
        go.set()
        done.join(20)
        self.assertFalse(done.is_alive())


class PeerTest(unittest.TestCase):
    def setUp(self):
        self.client = boto3_client(dynamodb_endpoint())
        self.table = create_table(self.client, f"test-{uuid.uuid4()}")
        self.addCleanup(self.client.delete_table, TableName=self.table)

    def test_peers_exclude_each_other(self):
        first, second = PythonPeer(self.client, self.table), PythonPeer(self.client, self.table)
        lease_id = first.acquire("x")
        self.assertIsNone(second.acquire("x"))
        renewed = first.renew("x", lease_id)
        self.assertIsNone(first.renew("x", lease_id))
        self.assertFalse(second.release("x", lease_id))
        self.assertTrue(first.release("x", renewed))
        self.assertTrue(second.acquire("x"))

    def test_a_peer_judges_expiry_by_its_own_clock(self):
        slow = PythonPeer(self.client, self.table, clock_offset_s=-3600)
        fast = PythonPeer(self.client, self.table, clock_offset_s=3600)
        PythonPeer(self.client, self.table).acquire("x", 600)
        self.assertIsNone(slow.acquire("x"))
        self.assertTrue(fast.acquire("x"))

    def test_of_two_that_saw_the_same_expired_item_one_takes_it(self):
        PythonPeer(self.client, self.table, clock_offset_s=-7200).acquire("x", 60)
        first, second = PythonPeer(self.client, self.table), PythonPeer(self.client, self.table)
        seen = first.look("x"), second.look("x")
        self.assertTrue(second.take("x", seen[1]))
        self.assertIsNone(first.take("x", seen[0]))


class TerminalTest(unittest.TestCase):
    def on_terminal(self, script):
        terminal = Terminal(["sh", "-c", script], {"PATH": "/usr/bin:/bin", "TERM": "xterm"})
        self.addCleanup(terminal.close)
        return terminal

    def test_types_reads_and_learns_the_exit_code(self):
        terminal = self.on_terminal('printf "name? "; read -r name; echo "hello $name"; exit 7')
        terminal.expect(r"name\? ")
        terminal.type("you\n")
        self.assertEqual(terminal.wait(), 7)
        self.assertIn("hello you", terminal.output)

    def test_ctrl_c_reaches_the_foreground(self):
        terminal = self.on_terminal("echo ready; exec sleep 60")
        terminal.expect("ready")
        self.assertEqual(process_state(terminal.pid) is not None, True)
        terminal.type("\x03")
        self.assertEqual(terminal.wait(), -2)
        self.assertIsNone(process_state(terminal.pid))


class EnvironmentTest(unittest.TestCase):
    def test_nothing_of_the_caller_reaches_a_child(self):
        import os
        import tempfile
        from unittest import mock
        outside = {"AWS_PROFILE": "mine", "AWSFLOCK_TABLE": "mine", "AWSFLOCK": "/bin/true", "HTTP_PROXY": "mine"}
        with tempfile.TemporaryDirectory() as home, mock.patch.dict(os.environ, outside):
            environment = clean_environment(home)
        self.assertEqual([name for name, value in environment.items() if "mine" in value], [])
        self.assertTrue(environment["AWS_ACCESS_KEY_ID"].isalnum() and environment["AWS_SECRET_ACCESS_KEY"].isalnum())


if __name__ == "__main__":
    unittest.main()
